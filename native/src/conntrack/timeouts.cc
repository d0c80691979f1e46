#include "conntrack/timeouts.h"

namespace sluice {
namespace {

constexpr uint32_t kLongest = 30 * 24 * 3600;

/// State 0 is not for the user: a flow has it for the length of a burst.
size_t find_state(const std::string& name) {
  for (size_t state = 1; state < kFlowStates; state++) {
    if (name == kTimeoutDefaults[state].name) return state;
  }
  return 0;
}

std::string all_names() {
  std::string names;
  for (size_t state = 1; state < kFlowStates; state++) {
    names += (state > 1 ? ", " : "") + std::string(kTimeoutDefaults[state].name);
  }
  return names;
}

}  // namespace

Timeouts default_timeouts() {
  Timeouts timeouts;
  for (size_t state = 0; state < kFlowStates; state++) timeouts[state] = kTimeoutDefaults[state].seconds;
  return timeouts;
}

Result<Timeouts> make_timeouts(const std::vector<std::pair<std::string, uint32_t>>& changes) {
  Timeouts timeouts = default_timeouts();
  for (const auto& [name, seconds] : changes) {
    const std::string path = "/conntrack/timeouts/" + name;
    const size_t state = find_state(name);
    if (state == 0) {
      return Error{"unknown-timeout", path, "\"" + name + "\" is no timeout; there are " + all_names()};
    }
    if (seconds < 1 || seconds > kLongest) {
      return Error{"timeout-out-of-range", path,
                   std::to_string(seconds) + " s; allowed are 1 to " + std::to_string(kLongest) + " s (30 days)"};
    }
    timeouts[state] = seconds;
  }
  return timeouts;
}

}  // namespace sluice
