#include "l3/output.h"

#include <netinet/in.h>

#include "core/tracer.h"
#include "l3/fragment.h"
#include "l3/headers.h"
#include "l3/icmp.h"
#include "l3/link.h"
#include "l3/neighbours.h"
#include "l3/routing.h"
#include "l3/size.h"
#include "l3/vxlan.h"
#include "parse/parse.h"
#include "port/offload.h"
#include "port/port.h"

namespace sluice {
namespace {

constexpr uint16_t kMaxPieces = 256;

class Output {
 public:
  explicit Output(WorkerContext& ctx) : ctx_(ctx), routing_(*ctx.routing) {}

  void send(rte_mbuf* packet) {
    PacketMeta& meta = *meta_of(packet);
    if (unlikely(!takes_lane(packet, meta))) return send_any(packet, meta);
    transmit_from(ctx_, lane_.port, lane_.to, lane_.from, packet);
  }

 private:
  /// How the last packets left whose next hop has one MAC address. Packets of a burst tend to share it.
  struct Lane {
    uint32_t next_hop = kNoNextHop;
    uint16_t mtu = 0;
    PortId port = kNoPort;
    rte_ether_addr to{}, from{};
  };

  bool takes_lane(const rte_mbuf* packet, const PacketMeta& meta) const {
    constexpr auto kOffloads =
        static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    return meta.next_hop == lane_.next_hop && packet->pkt_len <= lane_.mtu && (meta.flags & kOffloads) == 0 &&
           meta.fragment_size == 0 && !meta.redirected;
  }

  void keep_lane(const NextHop& hop, const rte_ether_addr& mac) {
    const PortL3* port = routing_.port(hop.port);
    if (&hop == &made_ || hop.tunnel != kNoTunnel || port == nullptr) return;
    const auto number = static_cast<uint32_t>(&hop - routing_.next_hops.data());
    lane_ = {number, hop.mtu, hop.port, mac, port->mac};
  }

  void send_any(rte_mbuf* packet, PacketMeta& meta) {
    const NextHop* hop = likely(!meta.redirected) ? routed_hop(meta) : redirected_hop(packet, meta);
    if (hop == nullptr) return ctx_.drop(packet, abi::DropReason::NoRoute);
    const SizeVerdict verdict = size_verdict(packet, meta, hop->mtu);
    if (unlikely(verdict != SizeVerdict::Fits) && refuse_inner(packet, meta, hop->mtu)) return;
    switch (verdict) {
      case SizeVerdict::Fits:
        return send_fitting(packet, meta, *hop);
      case SizeVerdict::Fragment:
        return send_in_pieces(packet, meta, *hop);
      case SizeVerdict::TooBig:
        send_icmp_error(ctx_, packet, IcmpError::PacketTooBig, hop->mtu);
        return ctx_.drop(packet, abi::DropReason::PacketTooBig);
    }
  }

  const NextHop* routed_hop(const PacketMeta& meta) const {
    return likely(meta.next_hop < routing_.next_hops.size()) ? &routing_.next_hops[meta.next_hop] : nullptr;
  }

  /// Valid until the next call. A redirect can't name a tunnel's far end.
  const NextHop* redirected_hop(const rte_mbuf* packet, const PacketMeta& meta) {
    const PortL3* port = routing_.port(meta.out_port);
    if (port == nullptr || port->tunnel != kNoTunnel) return nullptr;
    made_ = {};
    made_.port = meta.out_port;
    made_.mtu = port->mtu;
    made_.has_mac = port->host && port->has_peer_mac;
    made_.mac = port->peer_mac;
    const uint8_t* address = meta.next_hop_address;
    if (is_unspecified(6, address)) address = destination_of(packet, meta.family);
    made_.gateway_family = meta.family;
    memcpy(made_.gateway, address, address_bytes(meta.family));
    return &made_;
  }

  /// A packet that a stage wrapped and that is too large now: the sender of what is inside is told, as at a tunnel's
  /// entry (RFC 2473 section 7). False when that can't be, and the outer packet may be cut instead.
  bool refuse_inner(rte_mbuf* packet, PacketMeta& meta, uint32_t mtu) {
    const bool ip4 = meta.protocol == IPPROTO_IPIP;
    if (!meta.reframed || meta.fragment_size != 0 || has_flag(meta, abi::Flag::SUPER_FRAME)) return false;
    if ((!ip4 && meta.protocol != IPPROTO_IPV6) || meta.l4_offset == 0 || meta.l4_offset >= mtu) return false;
    const uint16_t wrapping = meta.l4_offset;
    const uint32_t room = mtu - wrapping;
    if (packet->data_len < wrapping + sizeof(rte_ipv6_hdr) || (!ip4 && room < RTE_IPV6_MIN_MTU)) return false;
    const auto* inner4 = rte_pktmbuf_mtod_offset(packet, const rte_ipv4_hdr*, wrapping);
    if (ip4 && (inner4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) == 0) return false;
    rte_pktmbuf_adj(packet, wrapping);
    meta.l2_length = 0;
    if (parse_packet(packet)) send_icmp_error(ctx_, packet, IcmpError::PacketTooBig, room);
    ctx_.drop(packet, abi::DropReason::PacketTooBig);
    return true;
  }

  bool takes_offloads(const NextHop& hop, const PacketMeta& meta) const {
    if (hop.tunnel != kNoTunnel || meta.gso_l4_offset != 0) return false;
    const Port* port = ctx_.ports->at(hop.port);
    return port != nullptr && port->offloads();
  }

  void send_fitting(rte_mbuf* packet, PacketMeta& meta, const NextHop& hop) {
    constexpr auto kSuper = static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
    constexpr auto kPartial = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    if (likely((meta.flags & (kSuper | kPartial)) == 0) || takes_offloads(hop, meta)) return send_whole(packet, hop);
    if ((meta.flags & kSuper) != 0) return send_segments(packet, hop);
    if (!complete_checksum(packet)) return ctx_.drop(packet, abi::DropReason::GsoFailed);
    send_whole(packet, hop);
  }

  void send_segments(rte_mbuf* packet, const NextHop& hop) {
    rte_mbuf* segments[kMaxPieces];
    const uint16_t count = segment(packet, hop.mtu, ctx_.pool, segments, kMaxPieces);
    if (count == 0) return ctx_.drop(packet, abi::DropReason::GsoFailed);
    if (unlikely(ctx_.tracer != nullptr)) ctx_.tracer->split(ctx_, segments[0], "segment", count);
    for (uint16_t i = 0; i < count; i++) send_whole(segments[i], hop);
  }

  /// A super-frame of TCP is cut into segments that fit, all else into fragments.
  void send_in_pieces(rte_mbuf* packet, PacketMeta& meta, const NextHop& hop) {
    if (has_flag(meta, abi::Flag::SUPER_FRAME)) return send_segments(packet, hop);
    rte_mbuf* pieces[kMaxFragments];
    const uint16_t count =
        complete_checksum(packet) ? fragment_packet(ctx_, packet, fragment_limit(meta, hop.mtu), pieces) : 0;
    if (count == 0) return ctx_.drop(packet, abi::DropReason::FragmentFailed);
    if (unlikely(ctx_.tracer != nullptr)) ctx_.tracer->split(ctx_, pieces[0], "fragment", count);
    for (uint16_t i = 0; i < count; i++) send_whole(pieces[i], hop);
  }

  /// `packet` fits and is ready for the wire, but for tunnel and link headers.
  void send_whole(rte_mbuf* packet, const NextHop& hop) {
    if (hop.tunnel == kNoTunnel) return send_to_neighbour(packet, hop);
    const RouteEntry& underlay = routing_.entries[hop.underlay];
    if (underlay.kind != RouteKind::Forward) return ctx_.drop(packet, abi::DropReason::NoRoute);
    const NextHop& below = routing_.next_hops[routing_.select(underlay, meta_of(packet)->hash)];
    if (unlikely(ctx_.tracer != nullptr)) tell_encapsulation(packet, hop);
    if (!vxlan_encapsulate(ctx_, packet, hop)) return ctx_.drop(packet, abi::DropReason::NoBuffer);
    send_to_neighbour(packet, below);
  }

  void send_to_neighbour(rte_mbuf* packet, const NextHop& hop) {
    if (hop.has_mac) {
      keep_lane(hop, hop.mac);
      return transmit_to(ctx_, hop.port, hop.mac, packet);
    }
    const bool gateway = hop.gateway_family != 0;
    const uint8_t packet_family = meta_of(packet)->family;
    const uint8_t family = gateway ? hop.gateway_family : packet_family;
    const NeighbourKey key =
        NeighbourKey::of(hop.port, family, gateway ? hop.gateway : destination_of(packet, packet_family));
    if (!(known_ && key == last_key_)) {
      known_ = ctx_.neighbours->find(key, last_mac_);
      if (!known_) {
        if (unlikely(ctx_.tracer != nullptr)) tell_waiting(packet, key);
        return ctx_.neighbours->wait_for(ctx_, key, packet);
      }
      last_key_ = key;
    }
    if (gateway) keep_lane(hop, last_mac_);
    transmit_to(ctx_, hop.port, last_mac_, packet);
  }

  void tell_encapsulation(const rte_mbuf* packet, const NextHop& hop) {
    const Tunnel& tunnel = routing_.tunnels[hop.tunnel];
    AddressText remote;
    ctx_.tracer->note(ctx_, packet, "encap", "VXLAN, VNI %u, to %s", tunnel.vni,
                      write_text(hop.remote.family, hop.remote.bytes.data(), remote));
  }

  void tell_waiting(const rte_mbuf* packet, const NeighbourKey& key) {
    AddressText address;
    const Port* port = ctx_.ports->at(key.port);
    ctx_.tracer->note(ctx_, packet, "neighbour", "waits for the MAC address of %s at port %s",
                      write_text(key.family, key.address, address), port != nullptr ? port->name.c_str() : "?");
  }

  WorkerContext& ctx_;
  const RoutingSnapshot& routing_;
  NextHop made_;
  Lane lane_;
  // The neighbour found last.
  bool known_ = false;
  NeighbourKey last_key_;
  rte_ether_addr last_mac_{};
};

}  // namespace

void output_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count) {
  Output output(ctx);
  for (uint16_t i = 0; i < count; i++) output.send(packets[i]);
}

}  // namespace sluice
