#pragma once

#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "core/packet.h"
#include "core/worker_context.h"

namespace sluice {

// Views of a packet whose data starts at its L3 header, and small changes to it.

inline rte_ipv4_hdr* ipv4_of(const rte_mbuf* packet) {
  return rte_pktmbuf_mtod(packet, rte_ipv4_hdr*);
}
inline rte_ipv6_hdr* ipv6_of(const rte_mbuf* packet) {
  return rte_pktmbuf_mtod(packet, rte_ipv6_hdr*);
}

inline uint8_t* source_of(const rte_mbuf* packet, uint8_t family) {
  return rte_pktmbuf_mtod_offset(packet, uint8_t*, family == 4 ? 12 : 8);
}
inline uint8_t* destination_of(const rte_mbuf* packet, uint8_t family) {
  return rte_pktmbuf_mtod_offset(packet, uint8_t*, family == 4 ? 16 : 24);
}

/// RFC 1624, equation 3. All values as they lie in memory.
inline uint16_t update_checksum(uint16_t checksum, uint16_t before, uint16_t after) {
  uint32_t sum = static_cast<uint16_t>(~checksum) + static_cast<uint16_t>(~before) + uint32_t{after};
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

/// The TTL or hop limit has run out for a packet that would be forwarded (RFC 1812 section 5.3.1).
inline bool is_last_hop(const rte_mbuf* packet, uint8_t family) {
  return (family == 4 ? ipv4_of(packet)->time_to_live : ipv6_of(packet)->hop_limits) <= 1;
}

/// Counts down the TTL or hop limit.
inline void count_down(rte_mbuf* packet, uint8_t family) {
  if (family == 4) {
    rte_ipv4_hdr* ip = ipv4_of(packet);
    ip->time_to_live--;
    const uint32_t sum = ip->hdr_checksum + uint32_t{RTE_BE16(0x0100)};
    ip->hdr_checksum = static_cast<uint16_t>(sum + (sum >= 0xffff ? 1 : 0));
  } else {
    ipv6_of(packet)->hop_limits--;
  }
}

inline void set_ipv4_checksum(rte_ipv4_hdr* ip) {
  ip->hdr_checksum = 0;
  ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/// IPv6: offset of the next-header field that names the header at `end`, which is behind zero or more extension headers
/// that parsing found sound.
uint32_t next_header_field(const uint8_t* ip, uint32_t end);

/// The case of prepend() that takes another buffer.
uint8_t* prepend_buffer(WorkerContext& ctx, rte_mbuf*& packet, uint16_t length);

/// Room for `length` bytes in front of the data; they are not set. Takes a further buffer when the headroom is used up,
/// and then `packet` is that one. Null, and the packet as it was, when there is none.
inline uint8_t* prepend(WorkerContext& ctx, rte_mbuf*& packet, uint16_t length) {
  const bool room = rte_pktmbuf_headroom(packet) >= length && rte_mbuf_refcnt_read(packet) == 1;
  if (unlikely(!room || !RTE_MBUF_DIRECT(packet))) return prepend_buffer(ctx, packet, length);
  return reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet, length));
}

}  // namespace sluice
