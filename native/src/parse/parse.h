#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstdint>

#include "core/packet.h"

namespace sluice {

enum class Parsed : uint8_t { Ip, Arp, Drop };

/// A received frame, data at the link header: Ethernet with up to two VLAN tags (802.1Q, 802.1ad). Strips the link
/// header (it stays in the headroom, meta.l2_length bytes before the data) and parses what it carries. For Arp the data
/// is at the ARP header, meta.family is 0 and the fixed fields are checked (RFC 826, Ethernet and IPv4 only). For Drop
/// meta.reason says why and the caller keeps the packet.
Parsed parse_frame(rte_mbuf* frame);

/// A packet whose data is at its L3 header: after decapsulation, reassembly, or a stage that moved the head. Sets the
/// meta's family, protocol, offsets, hash, FRAGMENT and ICMP_ERROR, counts meta.passes, and cuts what lies behind the
/// IP length. Other flags, l2_length and the routing and conntrack fields are left alone. False: meta.reason says why.
///
/// Fragments: the first has l4_offset when its L4 header is whole, later ones have 0 for all offsets; their hash is
/// without ports, so that all fragments of a packet share it. An ICMP error's hash is its quoted packet's where that is
/// readable.
bool parse_packet(rte_mbuf* packet);

/// For a frame that parse_frame() took: was it sent to `mac`, to broadcast, or to IPv6 multicast (33:33, which ND
/// needs)?
bool for_us(const rte_mbuf* frame, const rte_ether_addr& mac);

/// A burst sorted by what it holds, each in the order of arrival.
struct ParsedBurst {
  rte_mbuf* ip[kMaxBurst];
  rte_mbuf* arp[kMaxBurst];
  rte_mbuf* dropped[kMaxBurst];  ///< meta.reason is set; the caller drops them
  uint16_t ip_count = 0, arp_count = 0, dropped_count = 0;
};

/// parse_frame() for a burst of at most kMaxBurst frames, with for_us() when `mac` is given (not-for-us otherwise).
/// Overwrites `burst`.
void parse_burst(rte_mbuf* const* frames, uint16_t count, const rte_ether_addr* mac, ParsedBurst& burst);

}  // namespace sluice
