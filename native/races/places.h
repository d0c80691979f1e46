#pragma once

#include <cstdint>

namespace sluice::races {

// UDP ports.
constexpr uint16_t kTrapPort = 2003;                    ///< whose packets a stage does not survive
constexpr uint16_t kMovedPort = 2010, kOwnPort = 5000;  ///< to which a flow's source port is another one than its own

}  // namespace sluice::races
