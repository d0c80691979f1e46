#include "conntrack/flow_key.h"

#include <netinet/in.h>
#include <rte_byteorder.h>

#include "core/unaligned.h"
#include "parse/quoted.h"

namespace sluice {
namespace {

constexpr uint8_t kEchoReply4 = 0, kEcho4 = 8, kTimestamp4 = 13, kTimestampReply4 = 14, kMask4 = 17, kMaskReply4 = 18;
constexpr uint8_t kRouterAdvertisement4 = 9, kRouterSolicitation4 = 10;
constexpr uint8_t kEcho6 = 128, kEchoReply6 = 129;

void read_addresses(const uint8_t* ip, uint8_t family, FlowKey& key) {
  key.source = {};
  key.destination = {};
  if (family == 4) {
    memcpy(key.source.data(), ip + 12, 4);
    memcpy(key.destination.data(), ip + 16, 4);
  } else {
    memcpy(key.source.data(), ip + 8, 16);
    memcpy(key.destination.data(), ip + 24, 16);
  }
}

KeyKind read_query(uint16_t id, uint8_t request_type, bool answer, FlowKey& key) {
  const uint16_t type = rte_cpu_to_be_16(request_type);
  key.source_port = answer ? type : id;
  key.destination_port = answer ? id : type;
  return answer ? KeyKind::Answer : KeyKind::Flow;
}

KeyKind read_icmp4(const uint8_t* icmp, FlowKey& key) {
  const uint16_t id = load16(icmp + 4);
  switch (icmp[0]) {
    case kEcho4:
    case kTimestamp4:
    case kMask4:
      return read_query(id, icmp[0], false, key);
    case kEchoReply4:
      return read_query(id, kEcho4, true, key);
    case kTimestampReply4:
    case kMaskReply4:
      return read_query(id, static_cast<uint8_t>(icmp[0] - 1), true, key);
    case kRouterAdvertisement4:
    case kRouterSolicitation4:
      return KeyKind::Untracked;
    default:
      return KeyKind::Invalid;
  }
}

/// Multicast listener and neighbour discovery messages (RFC 2710, 3810, 4286, 4861) belong to a link, not to a flow.
bool is_link_message(uint8_t type) {
  return (type >= 130 && type <= 137) || type == 143 || (type >= 148 && type <= 153);
}

KeyKind read_icmp6(const uint8_t* icmp, FlowKey& key) {
  if (icmp[0] == kEcho6 || icmp[0] == kEchoReply6) {
    return read_query(load16(icmp + 4), kEcho6, icmp[0] == kEchoReply6, key);
  }
  return is_link_message(icmp[0]) ? KeyKind::Untracked : KeyKind::Invalid;
}

/// Ports or what stands for them; 8 bytes of `l4` are readable, null when there is no L4 header.
KeyKind read_ports(const uint8_t* l4, FlowKey& key) {
  key.source_port = key.destination_port = 0;
  switch (key.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
      if (l4 == nullptr) return KeyKind::Invalid;
      key.source_port = load16(l4);
      key.destination_port = load16(l4 + 2);
      return KeyKind::Flow;
    case IPPROTO_ICMP:
      if (key.family != 4) return KeyKind::Invalid;
      return l4 == nullptr ? KeyKind::Invalid : read_icmp4(l4, key);
    case IPPROTO_ICMPV6:
      if (key.family != 6) return KeyKind::Invalid;
      return l4 == nullptr ? KeyKind::Invalid : read_icmp6(l4, key);
    default:
      return KeyKind::Flow;
  }
}

bool to_a_group(const FlowKey& key) {
  if (key.family == 6) return key.destination[0] == 0xff;
  return (key.destination[0] & 0xf0) == 224 || memcmp(key.destination.data(), "\xff\xff\xff\xff", 4) == 0;
}

KeyKind read_error(const uint8_t* ip, uint32_t view, const PacketMeta& meta, uint16_t zone, FlowKey& key) {
  if (meta.inner_l4_offset == 0) return KeyKind::Invalid;
  const uint8_t* inner = ip + meta.inner_l3_offset;
  Quoted quoted;
  if (!read_quoted(inner, view - meta.inner_l3_offset, quoted) || quoted.l4_offset == 0) return KeyKind::Invalid;
  FlowKey sent;
  sent.family = quoted.family;
  sent.protocol = quoted.protocol;
  sent.zone = zone;
  read_addresses(inner, quoted.family, sent);
  const KeyKind kind = read_ports(inner + quoted.l4_offset, sent);
  if (kind != KeyKind::Flow && kind != KeyKind::Answer) return KeyKind::Invalid;
  key = sent.inverse();
  return KeyKind::Error;
}

}  // namespace

KeyKind read_flow_key(const rte_mbuf* packet, const PacketMeta& meta, uint16_t zone, FlowKey& key) {
  const uint8_t* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
  if (has_flag(meta, abi::Flag::FRAGMENT)) return KeyKind::Untracked;
  if (has_flag(meta, abi::Flag::ICMP_ERROR)) return read_error(ip, packet->data_len, meta, zone, key);
  key.family = meta.family;
  key.protocol = meta.protocol;
  key.zone = zone;
  read_addresses(ip, meta.family, key);
  if (to_a_group(key)) return KeyKind::Untracked;
  const bool readable = meta.l4_offset != 0 && meta.l4_offset + 4u <= packet->data_len;
  const bool query = meta.protocol == IPPROTO_ICMP || meta.protocol == IPPROTO_ICMPV6;
  // ICMPv6's link messages may be shorter than the 8 bytes that hold an identifier; parse refused short echoes.
  if (query && readable && meta.l4_offset + 8u > packet->data_len) {
    return meta.family == 6 && is_link_message(ip[meta.l4_offset]) ? KeyKind::Untracked : KeyKind::Invalid;
  }
  return read_ports(readable ? ip + meta.l4_offset : nullptr, key);
}

}  // namespace sluice
