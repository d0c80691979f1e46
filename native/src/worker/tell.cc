#include "worker/tell.h"

#include <netinet/in.h>
#include <algorithm>

#include "l3/address.h"
#include "l3/headers.h"
#include "l3/routing.h"
#include "port/port.h"

namespace sluice {

namespace {

template <typename Note>
void for_traced(rte_mbuf* const* packets, uint16_t count, Note note) {
  for (uint16_t i = 0; i < count; i++) {
    if (has_flag(*meta_of(packets[i]), abi::Flag::TRACED)) note(packets[i], *meta_of(packets[i]));
  }
}

const char* port_name(const WorkerContext& ctx, PortId id) {
  const Port* port = ctx.ports->at(id);
  return port != nullptr ? port->name.c_str() : "?";
}

const char* protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "TCP";
    case IPPROTO_UDP:
      return "UDP";
    case IPPROTO_SCTP:
      return "SCTP";
    case IPPROTO_ICMP:
      return "ICMP";
    case IPPROTO_ICMPV6:
      return "ICMPv6";
    default:
      return nullptr;
  }
}

const char* state_name(uint8_t state) {
  static constexpr const char* kNames[] = {"untracked", "new", "established", "related", "invalid"};
  return state < std::size(kNames) ? kNames[state] : "?";
}

/// The prefix that the packet's route has, as text.
const char* prefix_text(const rte_mbuf* packet, const PacketMeta& meta, uint8_t length, AddressText& text) {
  IpPrefix prefix{make_address(meta.family, destination_of(packet, meta.family)), length};
  prefix = network_of(prefix);
  return write_text(meta.family, prefix.address.bytes.data(), text);
}

}  // namespace

void tell_parsed(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count) {
  for_traced(packets, count, [&](const rte_mbuf* packet, const PacketMeta& meta) {
    if (meta.family == 0) return ctx.tracer->note(ctx, packet, "parse", "ARP");
    const char* fragment = has_flag(meta, abi::Flag::FRAGMENT) ? ", a fragment" : "";
    const char* super = has_flag(meta, abi::Flag::SUPER_FRAME) ? ", a super-frame" : "";
    if (const char* name = protocol_name(meta.protocol); name != nullptr) {
      ctx.tracer->note(ctx, packet, "parse", "IPv%u, %s at %u%s%s", meta.family, name, meta.l4_offset, fragment, super);
    } else {
      ctx.tracer->note(ctx, packet, "parse", "IPv%u, protocol %u at %u%s", meta.family, meta.protocol, meta.l4_offset,
                       fragment);
    }
  });
}

void tell_tracked(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count) {
  for_traced(packets, count, [&](const rte_mbuf* packet, const PacketMeta& meta) {
    if (meta.flow == 0) return ctx.tracer->note(ctx, packet, "conntrack", "%s", state_name(meta.ct_state));
    ctx.tracer->note(ctx, packet, "conntrack", "%s, %s, flow %u", state_name(meta.ct_state),
                     meta.ct_direction == 0 ? "original" : "reply", meta.flow - 1);
  });
}

void tell_routed(WorkerContext& ctx, const RouteVerdicts& routed) {
  for_traced(routed.forward, routed.forward_count, [&](const rte_mbuf* packet, const PacketMeta& meta) {
    if (meta.redirected || meta.next_hop >= ctx.routing->next_hops.size()) {
      return ctx.tracer->note(ctx, packet, "route", "redirected to port %s", port_name(ctx, meta.out_port));
    }
    const NextHop& hop = ctx.routing->next_hops[meta.next_hop];
    const RouteEntry& entry = ctx.routing->lookup(meta.table, meta.family, destination_of(packet, meta.family));
    AddressText prefix, next;
    prefix_text(packet, meta, entry.length, prefix);
    if (hop.tunnel != kNoTunnel) {
      ctx.tracer->note(ctx, packet, "route", "%s/%u by port %s to endpoint %s", prefix, entry.length,
                       port_name(ctx, hop.port), write_text(hop.remote.family, hop.remote.bytes.data(), next));
    } else if (hop.gateway_family != 0) {
      ctx.tracer->note(ctx, packet, "route", "%s/%u by port %s next hop %s", prefix, entry.length,
                       port_name(ctx, hop.port), write_text(hop.gateway_family, hop.gateway, next));
    } else {
      ctx.tracer->note(ctx, packet, "route", "%s/%u by port %s", prefix, entry.length, port_name(ctx, hop.port));
    }
  });
  for_traced(routed.local, routed.local_count, [&](const rte_mbuf* packet, const PacketMeta&) {
    ctx.tracer->note(ctx, packet, "route", "local: for the node itself");
  });
}

void tell_decapsulated(WorkerContext& ctx, rte_mbuf* packet) {
  for_traced(&packet, 1, [&](const rte_mbuf* inner, const PacketMeta& meta) {
    ctx.tracer->note(ctx, inner, "decap", "VXLAN, in by port %s", port_name(ctx, meta.in_port));
  });
  tell_parsed(ctx, &packet, 1);
}

void tell_joined(WorkerContext& ctx, rte_mbuf* const* before, uint16_t before_count, rte_mbuf* const* after,
                 uint16_t after_count) {
  // Both are in the order of arrival, and what is left is among what was there.
  for (uint16_t i = 0, left = 0; i < before_count; i++) {
    if (left < after_count && before[i] == after[left]) {
      left++;
    } else {
      ctx.tracer->end(ctx, before[i], "coalesce", "joined to an earlier packet of its flow");
    }
  }
}

}  // namespace sluice
