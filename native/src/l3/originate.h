#pragma once

#include <rte_mbuf.h>

#include "core/buffers.h"
#include "core/worker_context.h"

namespace sluice {

constexpr uint8_t kOwnTtl = 64;

/// What an IP header of the node's own says. Addresses are 4 or 16 bytes in network byte order.
struct IpHeader {
  uint8_t family;
  const uint8_t* source;
  const uint8_t* destination;
  uint8_t protocol;
  uint8_t ttl = kOwnTtl;
};

/// Writes it to `at`, without options or extension headers. `length` is the whole packet's.
void write_ip_header(uint8_t* at, const IpHeader& header, uint32_t length);

/// The same at the start of a packet in which its space is included.
inline void write_ip_header(rte_mbuf* packet, const IpHeader& header) {
  write_ip_header(rte_pktmbuf_mtod(packet, uint8_t*), header, packet->pkt_len);
}

/// Sends an L3 packet that the node made by way of ctx.originate(). It is routed in the table of `toward`, the port
/// whose peer it answers; a link-local destination leaves by that port without a lookup. Takes ownership.
void send_own(WorkerContext& ctx, rte_mbuf* packet, PortId toward);

}  // namespace sluice
