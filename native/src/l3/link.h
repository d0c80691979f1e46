#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "core/worker_context.h"
#include "l3/headers.h"
#include "l3/routing.h"

namespace sluice {

/// Sends an L3 packet as an Ethernet frame with these addresses; l2_length and the headers' place are set as
/// WorkerContext::transmit wants.
inline void transmit_from(WorkerContext& ctx, PortId port, const rte_ether_addr& to, const rte_ether_addr& from,
                          rte_mbuf* packet) {
  const uint8_t family = meta_of(packet)->family;
  auto* ethernet = reinterpret_cast<rte_ether_hdr*>(prepend(ctx, packet, sizeof(rte_ether_hdr)));
  if (unlikely(ethernet == nullptr)) return ctx.drop(packet, abi::DropReason::NoBuffer);
  ethernet->dst_addr = to;
  ethernet->src_addr = from;
  ethernet->ether_type = family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
  meta_of(packet)->l2_length = sizeof(rte_ether_hdr);
  ctx.transmit(port, packet);
}

/// The same from the port's own address.
inline void transmit_to(WorkerContext& ctx, PortId port_id, const rte_ether_addr& mac, rte_mbuf* packet) {
  const PortL3* port = ctx.routing->port(port_id);
  if (unlikely(port == nullptr)) return ctx.drop(packet, abi::DropReason::PortDown);
  transmit_from(ctx, port_id, mac, port->mac, packet);
}

}  // namespace sluice
