#include <netinet/in.h>

#include "core/tracer.h"
#include "l3/headers.h"
#include "l3/icmp.h"
#include "l3/link.h"
#include "l3/neighbours.h"
#include "l3/originate.h"
#include "l3/solicit.h"

namespace sluice {
namespace {

constexpr uint8_t kRouterSolicitation = 133, kRouterAdvertisement = 134;
constexpr uint8_t kNeighbourSolicitation = 135, kNeighbourAdvertisement = 136, kRedirect = 137;
constexpr uint8_t kSourceLinkAddress = 1, kTargetLinkAddress = 2, kMtuOption = 5;
constexpr uint8_t kRouterFlag = 0x80, kSolicitedFlag = 0x40, kOverrideFlag = 0x20;
constexpr uint8_t kNdHopLimit = 255;
constexpr uint16_t kRouterLifetime = 1800;  // seconds, RFC 4861 section 6.2.1
constexpr uint8_t kAllNodes[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01};
constexpr uint32_t kTargetMessage = 24;  ///< solicitation or advertisement before its options
constexpr uint32_t kLinkOption = 8;

/// A received message: what its checks need, pulled out once.
struct Message {
  const uint8_t* source;
  const uint8_t* destination;
  const uint8_t* body;  ///< ICMPv6 type
  uint32_t length;
  const rte_ether_addr* frame_source;
  const rte_ether_addr* source_link = nullptr;
  const rte_ether_addr* target_link = nullptr;
};

/// RFC 4861 section 4.6: options in units of 8 bytes, none of length zero.
bool read_options(Message& message, uint32_t at) {
  while (at < message.length) {
    if (at + 8 > message.length) return false;
    const uint8_t* option = message.body + at;
    const uint32_t length = option[1] * 8u;
    if (length == 0 || at + length > message.length) return false;
    const auto* link = reinterpret_cast<const rte_ether_addr*>(option + 2);
    if (option[0] == kSourceLinkAddress) message.source_link = link;
    if (option[0] == kTargetLinkAddress) message.target_link = link;
    at += length;
  }
  return true;
}

bool is_solicited_node_multicast(const uint8_t* address) {
  static constexpr uint8_t kPrefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  return memcmp(address, kPrefix, sizeof kPrefix) == 0;
}

/// RFC 4861 sections 6.1.1, 7.1.1 and 7.1.2.
bool is_valid(rte_mbuf* packet, uint16_t l4_offset, Message& message) {
  const rte_ipv6_hdr* ip = ipv6_of(packet);
  if (ip->hop_limits != kNdHopLimit || packet->nb_segs != 1 || packet->data_len < l4_offset + 8u) return false;
  if (message.body[1] != 0 || !icmp6_checksum_ok(packet, l4_offset)) return false;
  const bool unspecified = is_unspecified(6, message.source);
  switch (message.body[0]) {
    case kRouterSolicitation:
      return read_options(message, 8) && !(unspecified && message.source_link != nullptr);
    case kNeighbourSolicitation:
      if (message.length < kTargetMessage || is_multicast(6, message.body + 8)) return false;
      if (!read_options(message, kTargetMessage)) return false;
      return !unspecified || (is_solicited_node_multicast(message.destination) && message.source_link == nullptr);
    case kNeighbourAdvertisement:
      if (message.length < kTargetMessage || is_multicast(6, message.body + 8)) return false;
      if (is_multicast(6, message.destination) && (message.body[4] & kSolicitedFlag) != 0) return false;
      return read_options(message, kTargetMessage);
    default:
      return true;
  }
}

rte_ether_addr multicast_mac(const uint8_t* address) {
  return {{0x33, 0x33, address[12], address[13], address[14], address[15]}};
}

void add_link_option(uint8_t* option, uint8_t type, const rte_ether_addr& mac) {
  option[0] = type;
  option[1] = 1;
  memcpy(option + 2, mac.addr_bytes, RTE_ETHER_ADDR_LEN);
}

/// A packet with room for an ICMPv6 message of this length, which is zeroed; `body` is its place.
rte_mbuf* new_message(WorkerContext& ctx, uint32_t length, uint8_t*& body) {
  rte_mbuf* packet = new_packet(ctx.pool);
  if (packet == nullptr) return nullptr;
  body = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(packet, static_cast<uint16_t>(sizeof(rte_ipv6_hdr) + length))) +
         sizeof(rte_ipv6_hdr);
  memset(body, 0, length);
  return packet;
}

/// Straight to the link: no routing, no stage.
void send_message(WorkerContext& ctx, rte_mbuf* packet, const uint8_t* source, const uint8_t* destination, PortId port,
                  const rte_ether_addr& mac) {
  write_ip_header(packet, {6, source, destination, IPPROTO_ICMPV6, kNdHopLimit});
  set_icmp_checksum(packet, 6, sizeof(rte_ipv6_hdr));
  PacketMeta& meta = *meta_of(packet);
  meta.family = 6;
  meta.protocol = IPPROTO_ICMPV6;
  meta.l4_offset = sizeof(rte_ipv6_hdr);
  transmit_to(ctx, port, mac, packet);
}

void advertise(WorkerContext& ctx, PortId port_id, const PortL3& port, const Message& asked, bool own) {
  uint8_t* body;
  rte_mbuf* packet = new_message(ctx, kTargetMessage + kLinkOption, body);
  if (packet == nullptr) return;
  // RFC 4861 section 7.2.4: who has no address yet is answered for all to hear.
  const bool unspecified = is_unspecified(6, asked.source);
  body[0] = kNeighbourAdvertisement;
  body[4] = static_cast<uint8_t>(kRouterFlag | (unspecified ? 0 : kSolicitedFlag) | (own ? kOverrideFlag : 0));
  memcpy(body + 8, asked.body + 8, 16);
  add_link_option(body + kTargetMessage, kTargetLinkAddress, port.mac);
  const uint8_t* to = unspecified ? kAllNodes : asked.source;
  const rte_ether_addr& back = asked.source_link != nullptr ? *asked.source_link : *asked.frame_source;
  send_message(ctx, packet, asked.body + 8, to, port_id, unspecified ? multicast_mac(kAllNodes) : back);
}

void handle_solicitation(WorkerContext& ctx, PortId in_port, const PortL3& port, const Message& message) {
  const uint8_t* target = message.body + 8;
  const bool probe = is_unspecified(6, message.source);  // duplicate address detection
  const bool own = ctx.routing->owns(in_port, 6, target);
  const bool itself = memcmp(message.source, target, 16) == 0;
  const bool answers = own || (!probe && !itself && may_proxy(ctx, in_port, 6, target));
  if (!probe && message.source_link != nullptr && !ctx.routing->owns(in_port, 6, message.source)) {
    ctx.neighbours->learn(ctx,
                          {NeighbourKey::of(in_port, 6, message.source), *message.source_link, false, true, answers});
  }
  if (answers) advertise(ctx, in_port, port, message, own);
}

void handle_advertisement(WorkerContext& ctx, PortId in_port, const Message& message) {
  const uint8_t* target = message.body + 8;
  if (ctx.routing->owns(in_port, 6, target)) return;
  const uint8_t flags = message.body[4];
  // Section 4.4: a unicast answer may leave the option out.
  const rte_ether_addr& mac = message.target_link != nullptr ? *message.target_link : *message.frame_source;
  ctx.neighbours->learn(ctx, {NeighbourKey::of(in_port, 6, target), mac, (flags & kSolicitedFlag) != 0,
                              (flags & kOverrideFlag) != 0, false});
}

/// RFC 4861 section 6.2.6, on ports where the dataplane is the router of a single peer: a default router, no prefixes.
void handle_router_solicitation(WorkerContext& ctx, PortId in_port, const PortL3& port, const Message& message) {
  if (!port.proxy) return;
  const IpAddress* own = own_address_towards(port, 6, kAllNodes, true);
  if (own == nullptr) return;
  uint8_t* body;
  constexpr uint32_t kFixed = 16;
  rte_mbuf* packet = new_message(ctx, kFixed + 2 * kLinkOption, body);
  if (packet == nullptr) return;
  body[0] = kRouterAdvertisement;
  body[4] = kOwnTtl;
  body[6] = kRouterLifetime >> 8;
  body[7] = kRouterLifetime & 0xff;
  add_link_option(body + kFixed, kSourceLinkAddress, port.mac);
  uint8_t* mtu = body + kFixed + kLinkOption;
  mtu[0] = kMtuOption;
  mtu[1] = 1;
  mtu[6] = static_cast<uint8_t>(port.mtu >> 8);
  mtu[7] = static_cast<uint8_t>(port.mtu);
  const bool unicast = message.source_link != nullptr;
  send_message(ctx, packet, own->bytes.data(), unicast ? message.source : kAllNodes, in_port,
               unicast ? *message.source_link : multicast_mac(kAllNodes));
}

}  // namespace

bool is_nd(const rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  if (meta.family != 6 || meta.protocol != IPPROTO_ICMPV6 || meta.l4_offset == 0) return false;
  const uint8_t type = *rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset);
  return type >= kRouterSolicitation && type <= kRedirect;
}

void handle_nd(WorkerContext& ctx, rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  const PortL3* port = ctx.routing->port(meta.in_port);
  if (port == nullptr) return ctx.drop(packet, abi::DropReason::PortDown);
  if (meta.l2_length < sizeof(rte_ether_hdr)) return ctx.drop(packet, abi::DropReason::MalformedNd);
  const auto* frame = rte_pktmbuf_mtod(packet, const uint8_t*) - meta.l2_length;
  Message message{source_of(packet, 6), destination_of(packet, 6),
                  rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset), packet->pkt_len - meta.l4_offset,
                  reinterpret_cast<const rte_ether_addr*>(frame + RTE_ETHER_ADDR_LEN)};
  if (!is_valid(packet, meta.l4_offset, message)) return ctx.drop(packet, abi::DropReason::MalformedNd);
  switch (message.body[0]) {
    case kRouterSolicitation:
      handle_router_solicitation(ctx, meta.in_port, *port, message);
      break;
    case kNeighbourSolicitation:
      handle_solicitation(ctx, meta.in_port, *port, message);
      break;
    case kNeighbourAdvertisement:
      handle_advertisement(ctx, meta.in_port, message);
      break;
    default:
      break;  // routers do not listen to advertisements and redirects
  }
  if (unlikely(ctx.tracer != nullptr)) ctx.tracer->end(ctx, packet, "neighbour", "neighbour discovery, taken in");
  rte_pktmbuf_free(packet);
}

void send_neighbour_solicitation(WorkerContext& ctx, const PortL3& port, const NeighbourKey& target,
                                 const rte_ether_addr* known) {
  const IpAddress* own = own_address_towards(port, 6, target.address, true);
  uint8_t* body;
  rte_mbuf* packet = own != nullptr ? new_message(ctx, kTargetMessage + kLinkOption, body) : nullptr;
  if (packet == nullptr) return;
  body[0] = kNeighbourSolicitation;
  memcpy(body + 8, target.address, 16);
  add_link_option(body + kTargetMessage, kSourceLinkAddress, port.mac);
  uint8_t group[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  memcpy(group + 13, target.address + 13, 3);
  send_message(ctx, packet, own->bytes.data(), known != nullptr ? target.address : group, target.port,
               known != nullptr ? *known : multicast_mac(group));
}

}  // namespace sluice
