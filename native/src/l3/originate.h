#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

constexpr uint8_t kOwnTtl = 64;

/// An empty buffer with a zeroed PacketMeta of a packet that the node makes itself: no in_port, not routed.
rte_mbuf* new_packet(WorkerContext& ctx);

/// Writes an IPv4 or IPv6 header for what follows it in the packet: data starts where the header goes, its space is
/// included in the packet's length. Addresses are 4 or 16 bytes in network byte order.
void write_ip_header(rte_mbuf* packet, uint8_t family, const uint8_t* source, const uint8_t* destination,
                     uint8_t protocol, uint8_t ttl);

/// Sends an L3 packet that the node made by way of ctx.originate(). It is routed in the table of `toward`, the port
/// whose peer it answers; a link-local destination leaves by that port without a lookup. Takes ownership.
void send_own(WorkerContext& ctx, rte_mbuf* packet, PortId toward);

}  // namespace sluice
