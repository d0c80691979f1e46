#pragma once

#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstdint>

#include "core/packet.h"
#include "core/unaligned.h"
#include "parse/flow_hash.h"

namespace sluice {

/// The common packet in a straight line: TCP or UDP in one segment, without IPv4 options, fragments or extension
/// headers. It accepts nothing that parse_ipv4() and parse_ipv6() would not, with the same facts; what it does not
/// accept, be it rare or malformed, is theirs to judge.
namespace plain {

constexpr uint32_t kView4 = 28, kView6 = 48;  ///< bytes of an IP header and of UDP's

struct Facts {
  uint32_t length;  ///< of the packet
  uint32_t payload;
  uint32_t hash;
  uint8_t protocol;
};

/// The payload's offset, or 0. At least 8 bytes of `l4` are readable, and all that `length` says.
inline uint32_t payload_of(const uint8_t* l4, uint32_t offset, uint32_t length, uint8_t protocol) {
  if (protocol == IPPROTO_TCP) {
    if (unlikely(offset + 20 > length)) return 0;
    const uint32_t header = (l4[12] >> 4) * 4u;
    return likely(header >= 20 && offset + header <= length) ? offset + header : 0;
  }
  if (unlikely(protocol != IPPROTO_UDP)) return 0;
  const uint32_t datagram = read16(l4 + 4);
  return likely(datagram >= 8 && offset + datagram <= length) ? offset + 8 : 0;
}

/// `ip` has `available` readable bytes, at least kView4.
inline bool read4(const uint8_t* ip, uint32_t available, Facts& facts) {
  constexpr uint16_t kUnlessFragment = RTE_BE16(0x3fff);
  facts.length = read16(ip + 2);
  facts.protocol = ip[9];
  if (unlikely(ip[0] != 0x45 || (load16(ip + 6) & kUnlessFragment) != 0)) return false;
  if (unlikely(facts.length < kView4 || facts.length > available)) return false;
  if (unlikely(static_cast<uint8_t>(ip[12] - 1) >= 223 || ip[12] == 127 || ip[16] == 0 || ip[16] == 127)) return false;

  const uint64_t first = load64(ip);
  const auto source = load32(ip + 12), destination = load32(ip + 16);
  const uint64_t sum = (first >> 32) + static_cast<uint32_t>(first) + load32(ip + 8) + source + destination;
  if (unlikely(sum % 65535 != 0)) return false;  // RFC 1071: the words' sum is zero in ones' complement

  facts.payload = payload_of(ip + 20, 20, facts.length, facts.protocol);
  const auto ports = load32(ip + 20);
  facts.hash = symmetric_hash(endpoint4(source, static_cast<uint16_t>(ports)),
                              endpoint4(destination, static_cast<uint16_t>(ports >> 16)), facts.protocol);
  return facts.payload != 0;
}

/// `ip` has `available` readable bytes, at least kView6.
inline bool read6(const uint8_t* ip, uint32_t available, Facts& facts) {
  facts.length = 40u + read16(ip + 4);
  facts.protocol = ip[6];
  if (unlikely(ip[0] >> 4 != 6 || facts.length < kView6 || facts.length > available)) return false;
  // ::/64 holds all special unicast addresses that may not be seen.
  if (unlikely(ip[8] == 0xff || load64(ip + 8) == 0 || load64(ip + 24) == 0)) return false;

  facts.payload = payload_of(ip + 40, 40, facts.length, facts.protocol);
  const auto ports = load32(ip + 40);
  facts.hash = symmetric_hash(endpoint6(ip + 8, static_cast<uint16_t>(ports)),
                              endpoint6(ip + 24, static_cast<uint16_t>(ports >> 16)), facts.protocol);
  return facts.payload != 0;
}

/// Writes the facts and cuts link header and padding; the L3 header is `skip` bytes behind the data.
inline void commit(rte_mbuf* packet, PacketMeta& meta, const Facts& facts, uint8_t family, uint32_t skip) {
  constexpr auto kOwned = static_cast<uint16_t>(abi::Flag::FRAGMENT) | static_cast<uint16_t>(abi::Flag::ICMP_ERROR);
  packet->data_off = static_cast<uint16_t>(packet->data_off + skip);
  packet->data_len = static_cast<uint16_t>(facts.length);
  packet->pkt_len = facts.length;
  meta.family = family;
  meta.protocol = facts.protocol;
  meta.flags = static_cast<uint16_t>(meta.flags & ~kOwned);
  meta.passes++;
  meta.l4_offset = family == 4 ? 20 : 40;
  meta.payload_offset = static_cast<uint16_t>(facts.payload);
  meta.inner_l3_offset = meta.inner_l4_offset = 0;
  meta.hash = facts.hash;
}

/// The L3 header of this family is `skip` bytes behind the data.
template <uint8_t kFamily>
inline bool parse_packet(rte_mbuf* packet, PacketMeta& meta, uint32_t skip) {
  constexpr uint32_t kView = kFamily == 4 ? kView4 : kView6;
  if (unlikely(packet->data_len < skip + kView || packet->nb_segs != 1)) return false;
  const uint8_t* ip = rte_pktmbuf_mtod_offset(packet, const uint8_t*, skip);
  const uint32_t available = packet->data_len - skip;
  Facts facts;
  if (unlikely(!(kFamily == 4 ? read4(ip, available, facts) : read6(ip, available, facts)))) return false;
  commit(packet, meta, facts, kFamily, skip);
  return true;
}

/// A frame without VLAN tags.
inline bool parse_frame(rte_mbuf* frame, PacketMeta& meta) {
  constexpr uint32_t kLink = RTE_ETHER_HDR_LEN;
  if (unlikely(frame->data_len < kLink)) return false;
  const auto type = load16(rte_pktmbuf_mtod_offset(frame, const uint8_t*, 12));
  meta.l2_length = kLink;
  if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4))) return parse_packet<4>(frame, meta, kLink);
  return type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && parse_packet<6>(frame, meta, kLink);
}

}  // namespace plain
}  // namespace sluice
