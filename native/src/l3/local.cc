#include "l3/local.h"

#include <netinet/in.h>

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
  const uint16_t flags = meta.flags & static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  memset(&meta, 0, sizeof meta);
  meta.in_port = kNoPort;
  meta.out_port = kNoPort;
  meta.next_hop = kNoNextHop;
  meta.flags = flags;
  meta.fragment_size = fragment_size;
  send_own(ctx, packet, in_port);
}

void refuse(WorkerContext& ctx, rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  switch (meta.protocol) {
    case IPPROTO_UDP:
      send_icmp_error(ctx, packet, IcmpError::PortUnreachable);
      break;
    case IPPROTO_TCP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
    case IPPROTO_IGMP:
    case IPPROTO_NONE:
      break;
    default:
      // The pointer is meant for the next-header field; without extension headers it is the fixed header's.
      send_icmp_error(ctx, packet, IcmpError::ProtocolUnknown, 6);
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
