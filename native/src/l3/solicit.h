#pragma once

#include <rte_ether.h>

#include "core/worker_context.h"
#include "l3/neighbours.h"

namespace sluice {

/// Asks for a neighbour's MAC by ARP or ND: at `known` alone when there is one (a probe), else everyone on the link.
void send_solicitation(WorkerContext& ctx, const NeighbourKey& target, const rte_ether_addr* known);

void send_arp_request(WorkerContext& ctx, const PortL3& port, const NeighbourKey& target, const rte_ether_addr* known);
void send_neighbour_solicitation(WorkerContext& ctx, const PortL3& port, const NeighbourKey& target,
                                 const rte_ether_addr* known);

/// The node's address on the port to ask from: one whose prefix covers the target, else the first of the family that is
/// (or is not, as asked) link-local, else none.
const IpAddress* own_address_towards(const PortL3& port, uint8_t family, const uint8_t* target, bool link_local);

/// On a proxy port: may the dataplane answer in place of `target`? Not when that is behind this very port.
bool may_proxy(const WorkerContext& ctx, PortId in_port, uint8_t family, const uint8_t* target);

}  // namespace sluice
