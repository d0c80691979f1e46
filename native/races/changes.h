#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/dataplane.h"

namespace sluice::races {

/// What an agent asks of a node, all of it changing from round to round: plugins' versions and configurations and where
/// they stand, ports, routes, neighbours, timeouts. Two hosts are always reached: 10.0.0.2 behind port "a" and 10.0.1.2
/// behind "b", with fd00::2 and fd00:1::2.
class Changes {
 public:
  explicit Changes(Dataplane& dataplane);

  void make(uint32_t round);
  /// Takes all away.
  void unmake();

 private:
  struct Versions {
    std::string one, other;  ///< digests
    const std::string& at(uint32_t number) const { return number % 2 == 0 ? one : other; }
  };

  nlohmann::json state(uint32_t round) const;
  nlohmann::json plugins(uint32_t round) const;

  Dataplane& dataplane_;
  Versions marking_, stamping_, moving_, trapping_;
};

/// Ends the program where a buffer is still in use.
void check_all_buffers_are_back(Dataplane& dataplane);

}  // namespace sluice::races
