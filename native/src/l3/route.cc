#include "l3/route.h"

#include "l3/headers.h"
#include "l3/icmp.h"
#include "l3/size.h"

namespace sluice {
namespace {

/// FIB values of packets that are all of one table and family.
void lookup_same(const RoutingSnapshot& routing, rte_mbuf* const* packets, uint16_t count, uint64_t* values) {
  const PacketMeta& first = *meta_of(packets[0]);
  const RoutingSnapshot::Table* table = routing.table(first.table);
  if (unlikely(table == nullptr)) {
    memset(values, 0, count * sizeof values[0]);
  } else if (first.family == 4) {
    uint32_t addresses[kMaxBurst];
    for (uint16_t i = 0; i < count; i++) addresses[i] = rte_be_to_cpu_32(ipv4_of(packets[i])->dst_addr);
    table->fib4.lookup(addresses, values, count);
  } else {
    for (uint16_t i = 0; i < count; i++) values[i] = table->fib6.lookup6(ipv6_of(packets[i])->dst_addr);
  }
}

/// What packets must share to be looked up together. Redirected ones are looked up for nothing.
uint32_t lookup_key(rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  return uint32_t{meta.table} << 8 | meta.family;
}

/// Each round takes all packets like the first one left.
void lookup_mixed(const RoutingSnapshot& routing, rte_mbuf* const* packets, uint16_t count, uint64_t* values) {
  uint16_t left[kMaxBurst], members[kMaxBurst];
  rte_mbuf* group[kMaxBurst];
  uint64_t group_values[kMaxBurst];
  for (uint16_t i = 0; i < count; i++) left[i] = i;
  while (count != 0) {
    const uint32_t key = lookup_key(packets[left[0]]);
    uint16_t group_count = 0, kept = 0;
    for (uint16_t i = 0; i < count; i++) {
      if (lookup_key(packets[left[i]]) == key) {
        members[group_count] = left[i];
        group[group_count++] = packets[left[i]];
      } else {
        left[kept++] = left[i];
      }
    }
    lookup_same(routing, group, group_count, group_values);
    for (uint16_t i = 0; i < group_count; i++) values[members[i]] = group_values[i];
    count = kept;
  }
}

void lookup_burst(const RoutingSnapshot& routing, rte_mbuf* const* packets, uint16_t count, uint64_t* values) {
  const uint32_t key = lookup_key(packets[0]);
  uint32_t differences = 0;
  for (uint16_t i = 1; i < count; i++) differences |= lookup_key(packets[i]) ^ key;
  if (likely(differences == 0)) return lookup_same(routing, packets, count, values);
  lookup_mixed(routing, packets, count, values);
}

class Router {
 public:
  Router(WorkerContext& ctx, bool counts_down, RouteVerdicts& out)
      : ctx_(ctx), routing_(*ctx.routing), counts_down_(counts_down), out_(out) {
    out.forward_count = 0;
    out.local_count = 0;
  }

  void apply(rte_mbuf* packet, const RouteEntry& entry) {
    PacketMeta& meta = *meta_of(packet);
    meta.local = 0;
    switch (entry.kind) {
      case RouteKind::Forward: {
        const uint32_t next_hop = routing_.select(entry, meta.hash);
        meta.next_hop = next_hop;
        meta.out_port = routing_.next_hops[next_hop].port;
        return forward(packet, meta, routing_.next_hops[next_hop].mtu);
      }
      case RouteKind::Local:
        return deliver(packet, meta);
      case RouteKind::Blackhole:
        return ctx_.drop(packet, abi::DropReason::BlackholeRoute);
      case RouteKind::LinkLocal:
        if (routing_.owns(meta.in_port, meta.family, destination_of(packet, meta.family))) return deliver(packet, meta);
        return refuse(packet, IcmpError::NoRoute, abi::DropReason::NoRoute);
      case RouteKind::Multicast:
        return multicast(packet, meta);
      case RouteKind::Martian:
        return ctx_.drop(packet, abi::DropReason::NoRoute);
      case RouteKind::NoRoute:
        return refuse(packet, IcmpError::NoRoute, abi::DropReason::NoRoute);
    }
  }

  void apply_redirect(rte_mbuf* packet) {
    PacketMeta& meta = *meta_of(packet);
    meta.local = 0;
    meta.next_hop = kNoNextHop;
    const PortL3* port = routing_.port(meta.out_port);
    if (port == nullptr) return ctx_.drop(packet, abi::DropReason::PortDown);
    forward(packet, meta, port->mtu);
  }

 private:
  void forward(rte_mbuf* packet, PacketMeta& meta, uint16_t mtu) {
    if (meta.in_port != kNoPort) {
      // RFC 4291 section 2.5.6, RFC 3927 section 2.7: such a source means nothing on another link.
      if (is_link_local(meta.family, source_of(packet, meta.family))) {
        return refuse(packet, IcmpError::BeyondScope, abi::DropReason::MartianSource);
      }
      // Here and not only at the way out, so that the error quotes the packet as it was before postrouting.
      if (unlikely(packet->pkt_len > mtu) && size_verdict(packet, meta, mtu) == SizeVerdict::TooBig) {
        send_icmp_error(ctx_, packet, IcmpError::PacketTooBig, mtu);
        return ctx_.drop(packet, abi::DropReason::PacketTooBig);
      }
      if (counts_down_) {
        if (is_last_hop(packet, meta.family)) {
          return refuse(packet, IcmpError::TtlExpired, abi::DropReason::TtlExpired);
        }
        count_down(packet, meta.family);
      }
    }
    out_.forward[out_.forward_count++] = packet;
  }

  void deliver(rte_mbuf* packet, PacketMeta& meta) {
    meta.local = 1;
    meta.next_hop = kNoNextHop;
    out_.local[out_.local_count++] = packet;
  }

  /// The node listens to all-nodes and all-routers of a link (RFC 4291 section 2.8), to nothing else; it routes none.
  void multicast(rte_mbuf* packet, PacketMeta& meta) {
    static constexpr uint8_t kAllNodes[15] = {0xff, 0x02};
    const uint8_t* address = destination_of(packet, meta.family);
    if (meta.family == 6 && memcmp(address, kAllNodes, 15) == 0 && (address[15] == 1 || address[15] == 2)) {
      return deliver(packet, meta);
    }
    ctx_.drop(packet, abi::DropReason::NoLocalService);
  }

  void refuse(rte_mbuf* packet, IcmpError error, abi::DropReason reason) {
    send_icmp_error(ctx_, packet, error);
    ctx_.drop(packet, reason);
  }

  WorkerContext& ctx_;
  const RoutingSnapshot& routing_;
  const bool counts_down_;
  RouteVerdicts& out_;
};

void route(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count, bool counts_down, RouteVerdicts& out) {
  Router router(ctx, counts_down, out);
  if (count == 0) return;
  uint64_t values[kMaxBurst];
  lookup_burst(*ctx.routing, packets, count, values);
  for (uint16_t i = 0; i < count; i++) {
    if (meta_of(packets[i])->redirected) {
      router.apply_redirect(packets[i]);
    } else {
      router.apply(packets[i], ctx.routing->entries[values[i]]);
    }
  }
}

}  // namespace

void route_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count, RouteVerdicts& out) {
  route(ctx, packets, count, true, out);
}

void reroute_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count, RouteVerdicts& out) {
  route(ctx, packets, count, false, out);
}

}  // namespace sluice
