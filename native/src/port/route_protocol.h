#pragma once

#include <cstdint>

namespace sluice {

/// Routes to prefixes that a port gives its other end carry this protocol number (rtnetlink(7)): those of others stay
/// as they are, and these go with the port.
constexpr uint8_t kRouteProtocol = 83;

}  // namespace sluice
