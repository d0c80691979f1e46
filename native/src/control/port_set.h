#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "control/port_closer.h"
#include "port/port.h"

namespace sluice {

/// A node's open ports by name. A port keeps its number while its name stays.
class PortSet {
 public:
  struct Entry {
    PortConfig config;
    std::shared_ptr<Port> port;
  };
  using Entries = std::map<std::string, Entry>;

  PortSet(const BufferPools& pools, uint16_t workers) : pools_(pools), workers_(workers) {}

  /// What the set is to become.
  struct Prepared {
    Entries entries;
    std::vector<std::string> replaced;  ///< ports whose device was opened anew
  };

  /// Opens what `wanted` has and the set has not. Ports of the set stay open, and those that do not change are in the
  /// result too. `release` is called before the devices of ports that change are opened anew: it must take those ports
  /// away from the workers. When something cannot be opened, all is as it was.
  using Release = std::function<void(const std::vector<std::string>& names)>;
  Result<Prepared> prepare(const std::vector<PortConfig>& wanted, const Release& release);

  /// Makes a prepared set the set, once no worker uses the other ports any more: those are closed, their devices
  /// removed.
  void commit(Prepared prepared);

  /// Closes what was opened for it and opens replaced ports as they were.
  void abandon(Prepared& prepared);

  /// Ends all ports. With `keep_taps`, TAPs in other namespaces stay for the next start.
  void close_all(bool keep_taps);

  const Entries& entries() const { return entries_; }
  Port* find(const std::string& name) const;

 private:
  Result<std::shared_ptr<Port>> open(const PortConfig& config, PortId id);
  Status replace(const PortConfig& wanted, Prepared& prepared);
  std::optional<PortId> free_id(const Entries& next) const;

  BufferPools pools_;
  uint16_t workers_;
  Entries entries_;
  PortCloser closer_;
};

}  // namespace sluice
