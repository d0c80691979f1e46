#include "parse/parse.h"

#include <netinet/in.h>
#include <rte_prefetch.h>

#include <cstring>

#include "core/unaligned.h"
#include "parse/flow_hash.h"
#include "parse/ip.h"
#include "parse/plain.h"
#include "parse/segments.h"

namespace sluice {
namespace {

constexpr int kMaxVlanTags = 2;
constexpr uint32_t kArpSize = 28;

Parsed refuse(PacketMeta& meta, abi::DropReason reason) {
  fail(meta, reason);
  return Parsed::Drop;
}

Parsed parse_arp(rte_mbuf* frame, PacketMeta& meta) {
  meta.family = 0;
  meta.protocol = 0;
  meta.l4_offset = meta.payload_offset = meta.inner_l3_offset = meta.inner_l4_offset = 0;
  meta.hash = 0;
  if (!make_contiguous(frame, kArpSize)) return refuse(meta, abi::DropReason::MalformedArp);
  const uint8_t* arp = rte_pktmbuf_mtod(frame, const uint8_t*);
  // Ethernet, IPv4, 6-byte and 4-byte addresses, then request (1) or reply (2).
  static constexpr uint8_t kFixed[] = {0, 1, 8, 0, 6, 4, 0};
  if (memcmp(arp, kFixed, sizeof(kFixed)) != 0 || (arp[7] != 1 && arp[7] != 2)) {
    return refuse(meta, abi::DropReason::MalformedArp);
  }
  return Parsed::Arp;
}

Parsed parse_network(rte_mbuf* frame, PacketMeta& meta, uint16_t ethertype, uint32_t link_length) {
  meta.l2_length = static_cast<uint8_t>(link_length);
  rte_pktmbuf_adj(frame, static_cast<uint16_t>(link_length));
  if (ethertype == RTE_ETHER_TYPE_IPV4) return parse_ipv4(frame, meta) ? Parsed::Ip : Parsed::Drop;
  if (ethertype == RTE_ETHER_TYPE_IPV6) return parse_ipv6(frame, meta) ? Parsed::Ip : Parsed::Drop;
  if (ethertype == RTE_ETHER_TYPE_ARP) return parse_arp(frame, meta);
  return refuse(meta, abi::DropReason::UnknownEthertype);
}

__rte_noinline Parsed parse_any_frame(rte_mbuf* frame, PacketMeta& meta) {
  if (!make_contiguous(frame, RTE_ETHER_HDR_LEN)) return refuse(meta, abi::DropReason::MalformedEthernet);
  uint16_t ethertype = read16(rte_pktmbuf_mtod_offset(frame, const uint8_t*, 12));
  uint32_t link_length = RTE_ETHER_HDR_LEN;
  const auto tagged = [&] { return ethertype == RTE_ETHER_TYPE_VLAN || ethertype == RTE_ETHER_TYPE_QINQ; };
  for (int tags = 0; tagged() && tags < kMaxVlanTags; tags++) {
    if (!make_contiguous(frame, link_length + RTE_VLAN_HLEN)) return refuse(meta, abi::DropReason::MalformedEthernet);
    ethertype = read16(rte_pktmbuf_mtod_offset(frame, const uint8_t*, link_length + 2));
    link_length += RTE_VLAN_HLEN;
  }
  return parse_network(frame, meta, ethertype, link_length);
}

inline bool is_for(const rte_mbuf* frame, const PacketMeta& meta, const rte_ether_addr& mac) {
  if (meta.l2_length == 0) return true;
  const auto* destination =
      reinterpret_cast<const rte_ether_addr*>(rte_pktmbuf_mtod(frame, const uint8_t*) - meta.l2_length);
  if (likely(rte_is_same_ether_addr(destination, &mac))) return true;
  if (rte_is_broadcast_ether_addr(destination)) return true;
  return destination->addr_bytes[0] == 0x33 && destination->addr_bytes[1] == 0x33;  // RFC 2464 section 7
}

}  // namespace

Parsed parse_frame(rte_mbuf* frame) {
  PacketMeta& meta = *meta_of(frame);
  return likely(plain::parse_frame(frame, meta)) ? Parsed::Ip : parse_any_frame(frame, meta);
}

bool parse_packet(rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  if (!make_contiguous(packet, 1)) return fail(meta, abi::DropReason::MalformedIpv4);
  const uint8_t version = *rte_pktmbuf_mtod(packet, const uint8_t*) >> 4;
  if (version == 6) return plain::parse_packet<6>(packet, meta, 0) || parse_ipv6(packet, meta);
  return plain::parse_packet<4>(packet, meta, 0) || parse_ipv4(packet, meta);
}

bool for_us(const rte_mbuf* frame, const rte_ether_addr& mac) {
  return is_for(frame, *meta_of(const_cast<rte_mbuf*>(frame)), mac);
}

void parse_burst(rte_mbuf* const* frames, uint16_t count, const rte_ether_addr* mac, ParsedBurst& burst) {
  constexpr uint16_t kAhead = 4;
  for (uint16_t i = 0; i < kAhead && i < count; i++) rte_prefetch0(rte_pktmbuf_mtod(frames[i], void*));
  uint16_t ip = 0, arp = 0, dropped = 0;
  for (uint16_t i = 0; i < count; i++) {
    if (i + kAhead < count) {
      rte_prefetch0(rte_pktmbuf_mtod(frames[i + kAhead], void*));
      rte_prefetch0(meta_of(frames[i + kAhead]));
    }
    rte_mbuf* frame = frames[i];
    PacketMeta& meta = *meta_of(frame);
    Parsed parsed = likely(plain::parse_frame(frame, meta)) ? Parsed::Ip : parse_any_frame(frame, meta);
    if (mac != nullptr && likely(parsed != Parsed::Drop) && unlikely(!is_for(frame, meta, *mac))) {
      parsed = refuse(meta, abi::DropReason::NotForUs);
    }
    if (likely(parsed == Parsed::Ip)) {
      burst.ip[ip++] = frame;
    } else if (parsed == Parsed::Arp) {
      burst.arp[arp++] = frame;
    } else {
      burst.dropped[dropped++] = frame;
    }
  }
  burst.ip_count = ip;
  burst.arp_count = arp;
  burst.dropped_count = dropped;
}

}  // namespace sluice
