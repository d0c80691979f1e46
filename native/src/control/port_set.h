#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "control/port_closer.h"
#include "port/netns.h"
#include "port/port.h"

namespace sluice {

/// A node's open ports by name. A port keeps its number while its name stays.
class PortSet {
 public:
  struct Entry {
    PortConfig config;
    std::shared_ptr<Port> port;
    std::optional<NetnsId> netns;  ///< in which opening it was tried last; nothing once the port is lost
    std::chrono::steady_clock::time_point tried{};  ///< when that was
    std::string lost;  ///< why the port is down for good and has to be opened anew; empty while it lives

    /// True when a lost port's namespace is there and opening the port was not tried in it just now.
    bool can_return() const;
  };
  using Entries = std::map<std::string, Entry>;

  PortSet(const BufferPools& pools, uint16_t workers) : pools_(pools), workers_(workers) {}

  /// What the set is to become.
  struct Prepared {
    Entries entries;
    std::vector<std::string> replaced;  ///< ports whose device was opened anew
    std::vector<std::string> returned;  ///< those of them that had been lost
  };

  /// Finds the ports that are lost since: their device is gone, or their namespace's path no longer leads to the
  /// namespace. A namespace that has lost its name is let go of.
  void look_after();

  /// Opens what `wanted` has and the set has not, and lost ports that can return: those that still can't stay lost and
  /// are no reason to refuse the rest. Ports of the set stay open, and those that do not change are in the
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
  /// A device that was not open.
  struct Opening {
    size_t index;  ///< of the wanted port
    PortId id;
    std::optional<Result<Entry>> opened;  ///< nothing where another one's failure came first
  };

  Result<Entry> open(const PortConfig& config, PortId id);
  void open_all(const std::vector<PortConfig>& wanted, std::vector<Opening>& openings);
  Status replace(const PortConfig& wanted, Prepared& prepared);
  void bring_back(const PortConfig& wanted, Prepared& prepared);
  Status check_jumbos(const Entries& entries, const std::vector<PortConfig>& wanted, size_t& refused) const;

  BufferPools pools_;
  uint16_t workers_;
  Entries entries_;
  PortCloser closer_;
};

}  // namespace sluice
