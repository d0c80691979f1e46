#pragma once

#include <rte_ether.h>

#include "control/desired_state.h"
#include "core/error.h"

namespace sluice {

/// Gives the kernel's side of a TAP all that `config` asks for: MAC, MTU, addresses, default routes, permanent
/// neighbour entries for the gateway, and brings it up. Global addresses that `config` does not list are taken off. Of
/// a TAP that others set up (peer_kept) only the routes and neighbour entries are its business. Must run in the
/// interface's network namespace. One that `is_new` has no addresses or routes yet. `gateway_mac` is the dataplane's
/// side; the interface's MAC is put in `peer_mac`.
Status set_up_peer(const PortConfig& config, bool is_new, const rte_ether_addr& gateway_mac, rte_ether_addr* peer_mac);

}  // namespace sluice
