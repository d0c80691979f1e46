#include "l3/vxlan.h"

#include <netinet/in.h>
#include <rte_vxlan.h>

#include "l3/headers.h"
#include "l3/originate.h"
#include "port/checksum.h"

namespace sluice {
namespace {

constexpr rte_be32_t kVniFlag = RTE_BE32(0x08000000);
/// RFC 7348 section 5: the flow's hash in the dynamic port range.
constexpr uint16_t kFirstSourcePort = 49152;
constexpr uint16_t kSourcePortMask = 0x3fff;

struct TunnelHeader {
  rte_udp_hdr udp;
  rte_vxlan_hdr vxlan;
  rte_ether_hdr inner;
};
static_assert(sizeof(TunnelHeader) == 30);
constexpr size_t kShortestWrapping = sizeof(rte_ipv4_hdr) + sizeof(TunnelHeader);
constexpr size_t kLongestWrapping = sizeof(rte_ipv6_hdr) + sizeof(TunnelHeader);
static_assert(kLongestWrapping <= sizeof(NextHop::wrapping));

uint16_t ip_length(const Tunnel& tunnel) {
  return tunnel.local.family == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
}

/// Over the whole outer datagram; never 0, which would say that there is none (RFC 768).
uint16_t udp_checksum6(const rte_mbuf* packet) {
  constexpr uint32_t kUdp = sizeof(rte_ipv6_hdr);
  const uint64_t sum = sum_packet(packet, kUdp, packet->pkt_len - kUdp) + rte_ipv6_phdr_cksum(ipv6_of(packet), 0);
  const auto checksum = static_cast<uint16_t>(~fold_sum(sum));
  return checksum != 0 ? checksum : 0xffff;
}

const Tunnel* find_endpoint(const RoutingSnapshot& routing, const rte_mbuf* packet, const PacketMeta& meta,
                            uint16_t udp_port, bool& endpoint, uint32_t vni) {
  const uint8_t* destination = destination_of(packet, meta.family);
  for (const Tunnel& tunnel : routing.tunnels) {
    if (tunnel.udp_port != udp_port || tunnel.local.family != meta.family) continue;
    if (memcmp(tunnel.local.bytes.data(), destination, address_bytes(meta.family)) != 0) continue;
    endpoint = true;
    if (tunnel.vni == vni) return &tunnel;
  }
  return nullptr;
}

}  // namespace

void vxlan_prepare(const Tunnel& tunnel, NextHop& hop) {
  const bool v4 = tunnel.local.family == 4;
  auto* header = reinterpret_cast<TunnelHeader*>(hop.wrapping.data() + ip_length(tunnel));
  header->udp.dst_port = rte_cpu_to_be_16(tunnel.udp_port);
  header->vxlan.vx_flags = kVniFlag;
  header->vxlan.vx_vni = rte_cpu_to_be_32(tunnel.vni << 8);
  header->inner.dst_addr = hop.mac;
  header->inner.src_addr = tunnel.mac;
  const IpHeader ip{tunnel.local.family, tunnel.local.bytes.data(), hop.remote.bytes.data(), IPPROTO_UDP, kOwnTtl};
  write_ip_header(hop.wrapping.data(), ip, v4 ? 0 : sizeof(rte_ipv6_hdr));
}

bool vxlan_encapsulate(WorkerContext& ctx, rte_mbuf*& packet, const NextHop& hop) {
  const Tunnel& tunnel = ctx.routing->tunnels[hop.tunnel];
  const uint8_t family = tunnel.local.family;
  const uint16_t outer = ip_length(tunnel);
  const uint8_t inner_family = meta_of(packet)->family;
  const auto length = static_cast<uint16_t>(outer + sizeof(TunnelHeader));
  uint8_t* start = prepend(ctx, packet, length);
  if (start == nullptr) return false;
  memcpy(start, hop.wrapping.data(), kShortestWrapping);
  if (family == 6)
    memcpy(start + kShortestWrapping, hop.wrapping.data() + kShortestWrapping, kLongestWrapping - kShortestWrapping);

  PacketMeta& meta = *meta_of(packet);
  auto* header = reinterpret_cast<TunnelHeader*>(start + outer);
  header->inner.ether_type = inner_family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
  header->udp.src_port = rte_cpu_to_be_16(kFirstSourcePort | (meta.hash & kSourcePortMask));
  header->udp.dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len - outer));
  if (family == 4) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(start);
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len));
    ip->packet_id = rte_cpu_to_be_16(static_cast<uint16_t>(ctx.next_packet_id++));
    // The template's is over zeroes in both fields.
    const uint64_t sum = static_cast<uint16_t>(~ip->hdr_checksum) + uint64_t{ip->total_length} + ip->packet_id;
    ip->hdr_checksum = static_cast<uint16_t>(~fold_sum(sum));
  } else {
    reinterpret_cast<rte_ipv6_hdr*>(start)->payload_len = header->udp.dgram_len;
    header->udp.dgram_cksum = udp_checksum6(packet);
  }

  meta.in_port = kNoPort;  // the node itself is the outer packet's source
  meta.family = family;
  meta.protocol = IPPROTO_UDP;
  meta.l2_length = 0;
  meta.l4_offset = outer;
  meta.payload_offset = static_cast<uint16_t>(outer + sizeof(rte_udp_hdr));
  meta.inner_l3_offset = 0;
  meta.inner_l4_offset = 0;
  meta.flags = 0;
  meta.fragment_size = 0;
  return true;
}

Decap vxlan_decapsulate(WorkerContext& ctx, rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  if (ctx.routing->tunnels.empty() || meta.protocol != IPPROTO_UDP || meta.l4_offset == 0) return Decap::NotVxlan;
  if (has_flag(meta, abi::Flag::FRAGMENT)) return Decap::NotVxlan;
  const auto* header = rte_pktmbuf_mtod_offset(packet, const TunnelHeader*, meta.l4_offset);
  const uint16_t udp_port = rte_be_to_cpu_16(header->udp.dst_port);
  const uint32_t header_end = meta.l4_offset + sizeof(TunnelHeader);
  const bool whole = packet->data_len >= header_end;
  const uint32_t vni = whole ? rte_be_to_cpu_32(header->vxlan.vx_vni) >> 8 : 0;

  bool endpoint = false;
  const Tunnel* tunnel = find_endpoint(*ctx.routing, packet, meta, udp_port, endpoint, vni);
  if (!endpoint) return Decap::NotVxlan;
  if (!whole || (header->vxlan.vx_flags & kVniFlag) == 0) {
    ctx.drop(packet, abi::DropReason::MalformedVxlan);
    return Decap::Dropped;
  }
  if (tunnel == nullptr) {
    ctx.drop(packet, abi::DropReason::UnknownVni);
    return Decap::Dropped;
  }

  const PacketMeta outer = meta;
  PacketMeta& inner = *meta_of(packet);
  memset(&inner, 0, sizeof inner);
  inner.in_port = tunnel->port;
  inner.mark = outer.mark;
  inner.passes = outer.passes;
  inner.traced = outer.traced;
  inner.flags = outer.flags & static_cast<uint16_t>(abi::Flag::TRACED);
  rte_pktmbuf_adj(packet, static_cast<uint16_t>(header_end - sizeof(rte_ether_hdr)));
  return Decap::Inner;
}

}  // namespace sluice
