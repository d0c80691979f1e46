#include "parse/ip.h"

#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include <algorithm>

#include "core/unaligned.h"
#include "parse/flow_hash.h"
#include "parse/ipv6_chain.h"
#include "parse/quoted.h"
#include "parse/segments.h"

namespace sluice {
namespace {

constexpr uint32_t kTcpHeader = 20, kUdpHeader = 8, kSctpHeader = 12, kIcmpHeader = 8;
constexpr uint32_t kIcmp6Header = 4;  // RFC 4443 section 2.1; each message then has its own body
constexpr uint32_t kMaxPacket = 65535;
constexpr uint32_t kHeaderView = 512;  // bytes to have in one piece when a packet comes in several

using abi::DropReason;

void set_flag(PacketMeta& meta, abi::Flag flag) {
  meta.flags = static_cast<uint16_t>(meta.flags | static_cast<uint16_t>(flag));
}

/// What a parse starts from; host flags of the way in (SUPER_FRAME, PARTIAL_CHECKSUM) stay.
void begin(PacketMeta& meta, uint8_t family) {
  constexpr auto kOwned = static_cast<uint16_t>(abi::Flag::FRAGMENT) | static_cast<uint16_t>(abi::Flag::ICMP_ERROR);
  meta.family = family;
  meta.flags = static_cast<uint16_t>(meta.flags & ~kOwned);
  meta.passes++;
  meta.l4_offset = meta.payload_offset = meta.inner_l3_offset = meta.inner_l4_offset = 0;
}

/// Brings the headers of a packet in several segments into the first, as far as that has room.
void gather(rte_mbuf* packet) {
  const uint32_t wanted = std::min<uint32_t>(packet->pkt_len, kHeaderView);
  if (packet->data_len < wanted) pull_up(packet, wanted);
}

/// The source and destination ports as the flow hash takes them; ICMP echo's identifier stands in both places.
struct Ports {
  uint16_t source = 0, destination = 0;
};

/// An L4 header in work. `view` and `length` are counted from the L3 header, like all offsets.
struct Layer4 {
  const uint8_t* ip;
  uint32_t offset;  ///< of the L4 header
  uint32_t view;    ///< bytes readable in the first segment
  uint32_t length;  ///< the whole packet
  bool whole;       ///< not a first fragment: lengths within L4 can be held against the IP length
};

bool take_header(const Layer4& l4, PacketMeta& meta, uint32_t header, DropReason reason) {
  if (likely(l4.offset + header <= l4.view)) {
    meta.l4_offset = static_cast<uint16_t>(l4.offset);
    meta.payload_offset = static_cast<uint16_t>(l4.offset + header);
    return true;
  }
  if (l4.whole) meta.reason = static_cast<uint16_t>(reason);
  return false;
}

bool parse_tcp(const Layer4& l4, PacketMeta& meta, Ports& ports) {
  if (unlikely(!take_header(l4, meta, kTcpHeader, DropReason::MalformedTcp))) return !l4.whole;
  const uint8_t* tcp = l4.ip + l4.offset;
  const uint32_t header = (tcp[12] >> 4) * 4u;
  if (unlikely(header < kTcpHeader)) return fail(meta, DropReason::MalformedTcp);
  if (unlikely(l4.offset + header > l4.view)) {
    meta.l4_offset = meta.payload_offset = 0;
    return !l4.whole || fail(meta, DropReason::MalformedTcp);
  }
  meta.payload_offset = static_cast<uint16_t>(l4.offset + header);
  ports = {load16(tcp), load16(tcp + 2)};
  return true;
}

bool parse_udp(const Layer4& l4, PacketMeta& meta, Ports& ports) {
  if (unlikely(!take_header(l4, meta, kUdpHeader, DropReason::MalformedUdp))) return !l4.whole;
  const uint8_t* udp = l4.ip + l4.offset;
  const uint32_t length = read16(udp + 4);
  if (unlikely(length < kUdpHeader || (l4.whole && l4.offset + length > l4.length))) {
    return fail(meta, DropReason::MalformedUdp);
  }
  ports = {load16(udp), load16(udp + 2)};
  return true;
}

bool parse_sctp(const Layer4& l4, PacketMeta& meta, Ports& ports) {
  if (!take_header(l4, meta, kSctpHeader, DropReason::MalformedSctp)) return !l4.whole;
  ports = {load16(l4.ip + l4.offset), load16(l4.ip + l4.offset + 2)};
  return true;
}

bool is_icmp_error(uint8_t type) {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}
bool is_icmp6_error(uint8_t type) {
  return type >= 1 && type < 128;
}

uint16_t quoted_echo_id(const Quoted& quoted, const uint8_t* l4) {
  const bool echo = quoted.family == 4 ? l4[0] == 8 || l4[0] == 0 : l4[0] == 128 || l4[0] == 129;
  return echo ? load16(l4 + 4) : 0;
}

Ports quoted_ports(const Quoted& quoted, const uint8_t* l4) {
  switch (quoted.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
      return {load16(l4), load16(l4 + 2)};
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
      const uint16_t id = quoted_echo_id(quoted, l4);
      return {id, id};
    }
    default:
      return {};
  }
}

uint32_t address_hash(const uint8_t* ip, uint8_t family, uint8_t protocol, Ports ports) {
  if (family == 4) {
    return symmetric_hash(endpoint4(load32(ip + 12), ports.source), endpoint4(load32(ip + 16), ports.destination),
                          protocol);
  }
  return symmetric_hash(endpoint6(ip + 8, ports.source), endpoint6(ip + 24, ports.destination), protocol);
}

/// True when the hash is the quoted packet's, and so final.
bool parse_quoted(const Layer4& l4, PacketMeta& meta) {
  set_flag(meta, abi::Flag::ICMP_ERROR);
  const uint32_t inner = l4.offset + kIcmpHeader;
  Quoted quoted;
  if (inner > l4.view || !read_quoted(l4.ip + inner, l4.view - inner, quoted)) return false;
  if (quoted.family != meta.family) return false;
  meta.inner_l3_offset = static_cast<uint16_t>(inner);
  if (quoted.l4_offset == 0) return false;
  meta.inner_l4_offset = static_cast<uint16_t>(inner + quoted.l4_offset);
  const Ports ports = quoted_ports(quoted, l4.ip + meta.inner_l4_offset);
  meta.hash = address_hash(l4.ip + inner, quoted.family, quoted.protocol, ports);
  return true;
}

/// ICMP and ICMPv6. `hashed` is set when an error took its quoted packet's hash.
bool parse_icmp(const Layer4& l4, PacketMeta& meta, Ports& ports, bool& hashed) {
  const uint32_t header = meta.family == 4 ? kIcmpHeader : kIcmp6Header;
  if (!take_header(l4, meta, header, DropReason::MalformedIcmp)) return !l4.whole;
  const uint8_t* icmp = l4.ip + l4.offset;
  const bool has_body = l4.offset + kIcmpHeader <= l4.view;
  if (has_body) meta.payload_offset = static_cast<uint16_t>(l4.offset + kIcmpHeader);
  const bool echo = meta.family == 4 ? icmp[0] == 8 || icmp[0] == 0 : icmp[0] == 128 || icmp[0] == 129;
  const bool error = meta.family == 4 ? is_icmp_error(icmp[0]) : is_icmp6_error(icmp[0]);
  if (!has_body && (echo || error)) return !l4.whole || fail(meta, DropReason::MalformedIcmp);
  if (echo) {
    ports.source = ports.destination = load16(icmp + 4);
  } else if (error && l4.whole) {
    hashed = parse_quoted(l4, meta);
  }
  return true;
}

bool parse_layer4(const Layer4& l4, PacketMeta& meta) {
  Ports ports;
  bool hashed = false, good = true;
  switch (meta.protocol) {
    case IPPROTO_TCP:
      good = parse_tcp(l4, meta, ports);
      break;
    case IPPROTO_UDP:
      good = parse_udp(l4, meta, ports);
      break;
    case IPPROTO_SCTP:
      good = parse_sctp(l4, meta, ports);
      break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      // The other family's ICMP is just a protocol number.
      if ((meta.protocol == IPPROTO_ICMP) == (meta.family == 4)) {
        good = parse_icmp(l4, meta, ports, hashed);
        break;
      }
      [[fallthrough]];
    default:
      if (meta.protocol != IPPROTO_NONE && l4.offset < l4.view) meta.l4_offset = static_cast<uint16_t>(l4.offset);
  }
  if (unlikely(!good)) return false;
  if (unlikely(!l4.whole)) ports = {};
  if (likely(!hashed)) meta.hash = address_hash(l4.ip, meta.family, meta.protocol, ports);
  return true;
}

/// A fragment's own sanity (RFC 791 section 3.2, RFC 8200 section 4.5); false with the reason set.
bool check_fragment(PacketMeta& meta, uint32_t offset, uint32_t length, bool more) {
  set_flag(meta, abi::Flag::FRAGMENT);
  if (length == 0 || (more && length % 8 != 0) || offset + length > kMaxPacket) {
    return fail(meta, DropReason::MalformedFragment);
  }
  return true;
}

bool sum_is_right(const uint8_t* ip, uint32_t header) {
  uint64_t sum = load64(ip) >> 32;
  sum += load32(ip);
  sum += load32(ip + 8);
  sum += load32(ip + 12);
  sum += load32(ip + 16);
  for (uint32_t i = 20; unlikely(i < header); i += 4) sum += load32(ip + i);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

/// RFC 1122 section 3.2.1.3. A source of 0.0.0.0 asks for an address (DHCP) or reports a group (IGMP).
bool martian4(const uint8_t* ip) {
  const uint8_t source = ip[12], destination = ip[16];
  if (likely(source != 0 && source != 127 && source < 224 && destination != 127 && destination != 0)) return false;
  if (source == 127 || destination == 127 || destination == 0) return true;
  if (source == 0) return load32(ip + 12) != 0 || (load32(ip + 16) != UINT32_MAX && (destination & 0xf0) != 224);
  return source < 240 || load32(ip + 12) == UINT32_MAX;
}

/// RFC 4291 sections 2.5.2, 2.5.3, 2.5.5.2 and 2.7: unspecified, loopback, IPv4-mapped, multicast.
bool martian6(const uint8_t* ip) {
  const uint8_t *source = ip + 8, *destination = ip + 24;
  if (unlikely(source[0] == 0xff)) return true;
  const uint64_t source_high = load64(source), destination_high = load64(destination);
  if (likely(source_high != 0 && destination_high != 0)) return false;
  const auto special = [](const uint8_t* address) {
    const uint64_t low = rte_be_to_cpu_64(load64(address + 8));
    return load64(address) == 0 && (low == 1 || low >> 32 == 0xffff);
  };
  if (special(source) || special(destination)) return true;
  const bool to_unspecified = destination_high == 0 && load64(destination + 8) == 0;
  const bool from_unspecified = source_high == 0 && load64(source + 8) == 0;
  return to_unspecified || (from_unspecified && destination[0] != 0xff);
}

}  // namespace

bool parse_ipv4(rte_mbuf* packet, PacketMeta& meta) {
  begin(meta, 4);
  if (unlikely(packet->nb_segs > 1)) gather(packet);
  if (unlikely(packet->data_len < 20)) return fail(meta, DropReason::MalformedIpv4);
  const uint8_t* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
  const uint32_t header = (ip[0] & 15u) * 4, length = read16(ip + 2);
  if (unlikely(ip[0] >> 4 != 4 || header < 20 || length < header || length > packet->pkt_len ||
               header > packet->data_len)) {
    return fail(meta, DropReason::MalformedIpv4);
  }
  if (unlikely(!sum_is_right(ip, header))) return fail(meta, DropReason::BadIpv4Checksum);
  if (unlikely(martian4(ip))) return fail(meta, DropReason::MartianSource);
  if (unlikely(packet->pkt_len > length)) cut_to(packet, length);
  meta.protocol = ip[9];

  const uint16_t fragment = read16(ip + 6);
  const uint32_t fragment_offset = (fragment & 0x1fffu) * 8;
  const bool more = fragment & 0x2000;
  const bool whole = !(fragment & 0x3fff);
  if (unlikely(!whole)) {
    if (!check_fragment(meta, fragment_offset, length - header, more)) return false;
    if (fragment_offset != 0) {
      meta.hash = address_hash(ip, 4, meta.protocol, {});
      return true;
    }
  }
  return parse_layer4({ip, header, packet->data_len, length, whole}, meta);
}

bool parse_ipv6(rte_mbuf* packet, PacketMeta& meta) {
  begin(meta, 6);
  if (unlikely(packet->nb_segs > 1)) gather(packet);
  if (unlikely(packet->data_len < kIpv6HeaderSize)) return fail(meta, DropReason::MalformedIpv6);
  const uint8_t* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
  const uint32_t length = kIpv6HeaderSize + read16(ip + 4);
  // Payload length 0 with hop-by-hop options is a jumbogram (RFC 2675), which Sluice does not carry.
  const bool jumbogram = length == kIpv6HeaderSize && ip[6] == IPPROTO_HOPOPTS;
  if (unlikely(ip[0] >> 4 != 6 || length > packet->pkt_len || jumbogram)) return fail(meta, DropReason::MalformedIpv6);
  if (unlikely(martian6(ip))) return fail(meta, DropReason::MartianSource);
  if (unlikely(packet->pkt_len > length)) cut_to(packet, length);

  const uint32_t view = packet->data_len;
  Ipv6Chain chain;
  if (unlikely(!walk_ipv6_chain(ip, view, chain))) return fail(meta, DropReason::MalformedExtensionHeader);
  meta.protocol = chain.protocol;
  if (unlikely(chain.fragment)) {
    if (!check_fragment(meta, chain.fragment_offset, length - chain.fragment_data, chain.more)) return false;
    if (chain.fragment_offset != 0) {
      meta.hash = address_hash(ip, 6, meta.protocol, {});
      return true;
    }
  }
  return parse_layer4({ip, chain.end, view, length, !chain.fragment}, meta);
}

}  // namespace sluice
