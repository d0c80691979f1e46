#pragma once

#include <rte_mbuf.h>

#include "core/packet.h"
#include "l3/headers.h"

namespace sluice {

enum class SizeVerdict : uint8_t {
  Fits,
  Fragment,  ///< to fragment_limit()
  TooBig,    ///< to be dropped and reported
};

/// Bytes of L3 packet that go on the wire at once: a super-frame's segments, not the whole.
inline uint32_t wire_length(const rte_mbuf* packet, const PacketMeta& meta) {
  if (likely(!has_flag(meta, abi::Flag::SUPER_FRAME)) || meta.gso_size == 0) return packet->pkt_len;
  uint32_t headers = meta.payload_offset;
  if (meta.gso_l4_offset != 0) {  // wrapped by a stage: parsing saw the wrapping only
    const uint32_t tcp = meta.gso_l4_offset;
    if (tcp + sizeof(rte_tcp_hdr) > packet->data_len) return packet->pkt_len;
    headers = tcp + (rte_pktmbuf_mtod_offset(packet, const rte_tcp_hdr*, tcp)->data_off >> 4) * 4u;
  }
  return headers == 0 ? packet->pkt_len : RTE_MIN(packet->pkt_len, headers + meta.gso_size);
}

/// A packet that was put together here leaves in pieces no larger than those it came in: its sender knew that size.
inline uint32_t fragment_limit(const PacketMeta& meta, uint32_t mtu) {
  return meta.fragment_size != 0 ? RTE_MIN(mtu, meta.fragment_size) : mtu;
}

/// What a way out with this MTU means for the packet. IPv4 is fragmented where DF allows. IPv6 (RFC 8200 section 5)
/// only where this node is the source: its own packets, those that a stage gave a new header, and those that it
/// reassembled.
inline SizeVerdict size_verdict(const rte_mbuf* packet, const PacketMeta& meta, uint32_t mtu) {
  if (likely(wire_length(packet, meta) <= fragment_limit(meta, mtu))) return SizeVerdict::Fits;
  if (meta.fragment_size != 0 && meta.fragment_size <= mtu) return SizeVerdict::Fragment;
  if (meta.family == 4) {
    const bool dont = (ipv4_of(packet)->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0;
    return dont ? SizeVerdict::TooBig : SizeVerdict::Fragment;
  }
  const bool reassembled = meta.fragment_size != 0;
  return !reassembled && (meta.in_port == kNoPort || meta.reframed) ? SizeVerdict::Fragment : SizeVerdict::TooBig;
}

}  // namespace sluice
