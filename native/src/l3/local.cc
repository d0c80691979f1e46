#include "l3/local.h"

#include <netinet/in.h>

#include "core/tracer.h"
#include "l3/headers.h"
#include "l3/icmp.h"
#include "l3/originate.h"
#include "l3/output.h"
#include "l3/routing.h"

namespace sluice {
namespace {

constexpr uint8_t kEchoRequest4 = 8, kEchoReply4 = 0;
constexpr uint8_t kEchoRequest6 = 128, kEchoReply6 = 129;

bool on_proxy_port(const RoutingSnapshot& routing, uint8_t family, const uint8_t* address) {
  for (PortId id = 0; id < routing.ports.size(); id++) {
    if (routing.ports[id].proxy && routing.owns(id, family, address)) return true;
  }
  return false;
}

bool belongs_to_host(const RoutingSnapshot& routing, const rte_mbuf* packet, const PacketMeta& meta) {
  if (routing.host_port == kNoPort || meta.in_port == routing.host_port) return false;
  const uint8_t* address = destination_of(packet, meta.family);
  if (is_link_local(meta.family, address) || is_multicast(meta.family, address)) return false;
  return !on_proxy_port(routing, meta.family, address);
}

bool is_echo_request(const rte_mbuf* packet, const PacketMeta& meta) {
  if (meta.l4_offset == 0 || packet->data_len < meta.l4_offset + 8u) return false;
  const uint8_t type = *rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset);
  return (meta.family == 4 && meta.protocol == IPPROTO_ICMP && type == kEchoRequest4) ||
         (meta.family == 6 && meta.protocol == IPPROTO_ICMPV6 && type == kEchoRequest6);
}

void swap_addresses(rte_mbuf* packet, uint8_t family) {
  uint8_t source[16];
  const uint8_t bytes = address_bytes(family);
  memcpy(source, source_of(packet, family), bytes);
  memcpy(source_of(packet, family), destination_of(packet, family), bytes);
  memcpy(destination_of(packet, family), source, bytes);
}

/// In place: the payload, however long, comes back. A wrong checksum stays as wrong as it was.
void answer_echo(WorkerContext& ctx, rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  const uint8_t family = meta.family;
  const PortId in_port = meta.in_port;
  const uint32_t fragment_size = meta.fragment_size;
  const uint16_t l4_offset = meta.l4_offset;
  const PortL3* port = ctx.routing->port(in_port);
  swap_addresses(packet, family);
  auto* icmp = rte_pktmbuf_mtod_offset(packet, uint16_t*, l4_offset);
  const uint16_t before = icmp[0];
  *reinterpret_cast<uint8_t*>(icmp) = family == 4 ? kEchoReply4 : kEchoReply6;
  icmp[1] = update_checksum(icmp[1], before, icmp[0]);
  // Ones' complement has two zeroes: this one holds over any message, the other not over one of zeroes only, which an
  // IPv4 echo reply can be.
  if (icmp[1] == 0) icmp[1] = 0xffff;
  if (is_multicast(family, source_of(packet, family))) {
    if (port == nullptr || port->icmp_source6.family == 0) return ctx.drop(packet, abi::DropReason::NoLocalService);
    memcpy(source_of(packet, 6), port->icmp_source6.bytes.data(), 16);
    set_icmp_checksum(packet, 6, l4_offset);
  }
  if (family == 4) {
    ipv4_of(packet)->time_to_live = kOwnTtl;
    set_ipv4_checksum(ipv4_of(packet));
  } else {
    ipv6_of(packet)->hop_limits = kOwnTtl;
  }
  constexpr auto kKept = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM) | static_cast<uint16_t>(abi::Flag::TRACED);
  const uint16_t flags = meta.flags & kKept;
  const uint32_t traced = meta.traced;
  memset(&meta, 0, sizeof meta);
  meta.traced = traced;
  meta.in_port = kNoPort;
  meta.out_port = kNoPort;
  meta.next_hop = kNoNextHop;
  meta.flags = flags;
  meta.fragment_size = fragment_size;
  if (unlikely(ctx.tracer != nullptr)) ctx.tracer->note(ctx, packet, "originate", "turned into the echo reply");
  send_own(ctx, packet, in_port);
}

uint32_t protocol_field(const rte_mbuf* packet, const PacketMeta& meta) {
  if (meta.family == 4) return offsetof(rte_ipv4_hdr, next_proto_id);
  return next_header_field(rte_pktmbuf_mtod(packet, const uint8_t*), meta.l4_offset);
}

/// RFC 9293 section 3.10.7.1: a reset that the sender will believe.
void reset_tcp(WorkerContext& ctx, const rte_mbuf* about) {
  const PacketMeta& asked = *meta_of(const_cast<rte_mbuf*>(about));
  if (asked.l4_offset == 0 || about->data_len < asked.l4_offset + sizeof(rte_tcp_hdr)) return;
  const auto& theirs = *rte_pktmbuf_mtod_offset(about, const rte_tcp_hdr*, asked.l4_offset);
  if ((theirs.tcp_flags & RTE_TCP_RST_FLAG) != 0) return;
  rte_mbuf* packet = new_packet(ctx.pool);
  if (packet == nullptr) return;
  const uint16_t ip_length = asked.family == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  rte_pktmbuf_append(packet, static_cast<uint16_t>(ip_length + sizeof(rte_tcp_hdr)));
  auto& reset = *rte_pktmbuf_mtod_offset(packet, rte_tcp_hdr*, ip_length);
  memset(&reset, 0, sizeof reset);
  reset.src_port = theirs.dst_port;
  reset.dst_port = theirs.src_port;
  reset.data_off = sizeof reset / 4 << 4;
  reset.tcp_flags = RTE_TCP_RST_FLAG;
  if ((theirs.tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
    reset.sent_seq = theirs.recv_ack;
  } else {
    const uint32_t control =
        ((theirs.tcp_flags & RTE_TCP_SYN_FLAG) != 0) + ((theirs.tcp_flags & RTE_TCP_FIN_FLAG) != 0);
    const uint32_t payload = about->pkt_len - asked.l4_offset - (theirs.data_off >> 4) * 4u;
    reset.recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(theirs.sent_seq) + payload + control);
    reset.tcp_flags |= RTE_TCP_ACK_FLAG;
  }
  write_ip_header(packet,
                  {asked.family, destination_of(about, asked.family), source_of(about, asked.family), IPPROTO_TCP});
  reset.cksum = asked.family == 4 ? rte_ipv4_udptcp_cksum(ipv4_of(packet), &reset)
                                  : rte_ipv6_udptcp_cksum(ipv6_of(packet), &reset);
  if (unlikely(ctx.tracer != nullptr)) ctx.tracer->note(ctx, about, "originate", "TCP reset");
  send_own(ctx, packet, asked.in_port);
}

void refuse(WorkerContext& ctx, rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  // What the node made itself has no one to tell: the sender is the node.
  switch (meta.in_port == kNoPort ? +IPPROTO_NONE : meta.protocol) {
    case IPPROTO_UDP:
      send_icmp_error(ctx, packet, IcmpError::PortUnreachable);
      break;
    case IPPROTO_TCP:
      reset_tcp(ctx, packet);
      break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
    case IPPROTO_IGMP:
    case IPPROTO_NONE:
      break;
    default:
      send_icmp_error(ctx, packet, IcmpError::ProtocolUnknown, protocol_field(packet, meta));
  }
  ctx.drop(packet, abi::DropReason::NoLocalService);
}

}  // namespace

void deliver_local(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count) {
  rte_mbuf* to_host[kMaxBurst];
  uint16_t host_count = 0;
  for (uint16_t i = 0; i < count; i++) {
    PacketMeta& meta = *meta_of(packets[i]);
    if (belongs_to_host(*ctx.routing, packets[i], meta)) {
      meta.redirected = 1;
      meta.out_port = ctx.routing->host_port;
      memset(meta.next_hop_address, 0, sizeof meta.next_hop_address);
      to_host[host_count++] = packets[i];
    } else if (is_echo_request(packets[i], meta)) {
      answer_echo(ctx, packets[i]);
    } else {
      refuse(ctx, packets[i]);
    }
  }
  output_burst(ctx, to_host, host_count);
}

}  // namespace sluice
