#include "worker/graph.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "conntrack/flow_table.h"
#include "l3/headers.h"
#include "l3/local.h"
#include "l3/neighbours.h"
#include "l3/output.h"
#include "l3/route.h"
#include "l3/vxlan.h"
#include "parse/parse.h"
#include "port/coalesce.h"
#include "port/offload.h"
#include "worker/shortcut.h"
#include "worker/tell.h"

namespace sluice {

namespace {

/// Times that one packet may be parsed: tunnels within tunnels, and stages that decapsulate.
constexpr uint8_t kMaxPasses = 8;

void drop_refused(WorkerContext& ctx, rte_mbuf* packet) {
  ctx.drop(packet, static_cast<abi::DropReason>(meta_of(packet)->reason));
}

/// Not parsed yet, and written by a stage.
bool is_to_link_local(rte_mbuf* packet) {
  if (packet->data_len < sizeof(rte_ipv6_hdr)) return false;
  return *rte_pktmbuf_mtod(packet, const uint8_t*) >> 4 == 6 && is_link_local(6, destination_of(packet, 6));
}

/// Neither a fragment, nor perhaps neighbour discovery or a tunnel's datagram.
bool is_tracked_as_it_is(const PacketMeta& meta, bool tunnels) {
  return !has_flag(meta, abi::Flag::FRAGMENT) && meta.protocol != IPPROTO_ICMPV6 &&
         !(tunnels && meta.protocol == IPPROTO_UDP);
}

uint16_t table_of(const RoutingSnapshot& routing, PortId port) {
  const PortL3* facts = routing.port(port);
  return facts != nullptr ? facts->table : 0;
}

}  // namespace

void Graph::receive(const NodeSnapshot& snapshot, const Port& port, rte_mbuf** frames, uint16_t count) {
  if (unlikely(ctx_.tracer != nullptr)) ctx_.tracer->received(ctx_, port.id, frames, count);
  ParsedBurst parsed;
  parse_burst(frames, count, &port.mac, parsed);
  if (unlikely(ctx_.tracer != nullptr)) {
    tell_parsed(ctx_, parsed.ip, parsed.ip_count);
    tell_parsed(ctx_, parsed.arp, parsed.arp_count);
  }
  for (uint16_t i = 0; i < parsed.dropped_count; i++) drop_refused(ctx_, parsed.dropped[i]);
  for (uint16_t i = 0; i < parsed.arp_count; i++) handle_arp(ctx_, parsed.arp[i]);
  if (parsed.ip_count > 0) {
    const uint16_t table = table_of(*snapshot.routing, port.id);
    Burst burst;
    for (uint16_t i = 0; i < parsed.ip_count; i++) {
      meta_of(parsed.ip[i])->table = table;
      burst.add(parsed.ip[i]);
    }
    enter(snapshot, burst);
  }
  finish(snapshot);
}

void Graph::tick(const NodeSnapshot& snapshot) {
  if (ctx_.id == 0) {
    ctx_.neighbours->tick(ctx_);
    reassembler_.tick(ctx_);
  }
  finish(snapshot);
}

/// Parsed packets, meta.table set, up to their routing.
void Graph::enter(const NodeSnapshot& snapshot, Burst& burst) {
  Burst inner;
  sort(snapshot, burst, inner);
  if (inner.count > 0) {
    join_trains(inner);
    enter(snapshot, inner);
  }
  if (burst.count == 0) return;
  ctx_.flows->track_burst(ctx_, burst.packets, burst.count);
  if (unlikely(ctx_.tracer != nullptr)) tell_tracked(ctx_, burst.packets, burst.count);
  take_shortcuts(ctx_, snapshot, burst.packets, burst.count);
  Burst redirected;
  run_hook(snapshot, abi::Hook::PREROUTING, burst, redirected);
  if (redirected.count > 0) route(snapshot, redirected);
  route(snapshot, burst);
}

/// Takes out what is not to be tracked as it is: neighbour discovery, fragments, and datagrams of the node's tunnels,
/// whose contents are put into `inner`, parsed.
void Graph::sort(const NodeSnapshot& snapshot, Burst& burst, Burst& inner) {
  const bool tunnels = !snapshot.routing->tunnels.empty();
  uint16_t kept = 0;
  for (uint16_t i = 0; i < burst.count; i++) {
    rte_mbuf* packet = burst.packets[i];
    if (likely(is_tracked_as_it_is(*meta_of(packet), tunnels))) {
      burst.packets[kept++] = packet;
      continue;
    }
    if (unlikely(has_flag(*meta_of(packet), abi::Flag::FRAGMENT))) {
      if (ctx_.tracer != nullptr) ctx_.tracer->note(ctx_, packet, "reassembly", "waits for the other fragments");
      packet = reassembler_.add(ctx_, packet);
      if (packet == nullptr) continue;
      if (ctx_.tracer != nullptr) ctx_.tracer->note(ctx_, packet, "reassembly", "whole, %u bytes", packet->pkt_len);
    }
    if (unlikely(is_nd(packet))) {
      handle_nd(ctx_, packet);
      continue;
    }
    const Decap decap = vxlan_decapsulate(ctx_, packet);
    if (decap == Decap::NotVxlan) {
      burst.packets[kept++] = packet;
      continue;
    }
    if (decap == Decap::Dropped) continue;
    if (meta_of(packet)->passes >= kMaxPasses) {
      ctx_.drop(packet, abi::DropReason::TunnelLoop);
      continue;
    }
    switch (parse_frame(packet)) {
      case Parsed::Ip:
        meta_of(packet)->table = table_of(*snapshot.routing, meta_of(packet)->in_port);
        if (unlikely(ctx_.tracer != nullptr)) tell_decapsulated(ctx_, packet);
        inner.add(packet);
        break;
      case Parsed::Arp:
        handle_arp(ctx_, packet);
        break;
      case Parsed::Drop:
        drop_refused(ctx_, packet);
        break;
    }
  }
  burst.count = kept;
}

void Graph::route(const NodeSnapshot& snapshot, Burst& burst) {
  if (burst.count == 0) return;
  RouteVerdicts routed;
  route_burst(ctx_, burst.packets, burst.count, routed);
  if (unlikely(ctx_.tracer != nullptr)) tell_routed(ctx_, routed);
  if (routed.local_count > 0) {
    Burst local;
    std::memcpy(local.packets, routed.local, routed.local_count * sizeof(rte_mbuf*));
    local.count = routed.local_count;
    deliver(snapshot, local);
  }
  std::memcpy(burst.packets, routed.forward, routed.forward_count * sizeof(rte_mbuf*));
  burst.count = routed.forward_count;
  if (burst.count > 0) forward(snapshot, burst);
}

void Graph::forward(const NodeSnapshot& snapshot, Burst& burst) {
  for (uint16_t i = 0; i < burst.count; i++) meta_of(burst.packets[i])->rewritten = 0;
  Burst redirected;
  run_hook(snapshot, abi::Hook::FORWARD, burst, redirected);
  if (redirected.count > 0) leave(snapshot, redirected);
  leave(snapshot, burst);
}

/// Packets for the node itself.
void Graph::deliver(const NodeSnapshot& snapshot, Burst& burst) {
  Burst redirected;
  run_hook(snapshot, abi::Hook::INPUT, burst, redirected);
  if (redirected.count > 0) leave(snapshot, redirected);
  ctx_.flows->confirm_burst(ctx_, burst.packets, burst.count);
  if (burst.count > 0) deliver_local(ctx_, burst.packets, burst.count);
}

/// Routed packets on their last steps.
void Graph::leave(const NodeSnapshot& snapshot, Burst& burst) {
  if (burst.count == 0) return;
  Burst redirected;
  run_hook(snapshot, abi::Hook::POSTROUTING, burst, redirected);
  for (Burst* part : {&redirected, &burst}) {
    reroute_changed(*part);
    ctx_.flows->confirm_burst(ctx_, part->packets, part->count);
    if (part->count > 0) output_burst(ctx_, part->packets, part->count);
  }
}

/// What stages rewrote since routing may have another destination now.
void Graph::reroute_changed(Burst& burst) {
  Burst changed;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < burst.count; i++) {
    PacketMeta& meta = *meta_of(burst.packets[i]);
    if (unlikely(meta.rewritten && !meta.redirected)) {
      changed.add(burst.packets[i]);
    } else {
      burst.packets[kept++] = burst.packets[i];
    }
  }
  burst.count = kept;
  if (changed.count == 0) return;
  RouteVerdicts routed;
  reroute_burst(ctx_, changed.packets, changed.count, routed);
  if (unlikely(ctx_.tracer != nullptr)) tell_routed(ctx_, routed);
  for (uint16_t i = 0; i < routed.forward_count; i++) burst.add(routed.forward[i]);
  ctx_.flows->confirm_burst(ctx_, routed.local, routed.local_count);
  if (routed.local_count > 0) deliver_local(ctx_, routed.local, routed.local_count);
}

/// Takes a burst through a hook. Redirected packets are put into `redirected`, and REINPUT ones back to the start.
void Graph::run_hook(const NodeSnapshot& snapshot, abi::Hook hook, Burst& burst, Burst& redirected) {
  if (burst.count == 0) return;
  if (unlikely(ctx_.tracer != nullptr)) ctx_.tracer->entered(ctx_, hook, burst.packets, burst.count);
  if (snapshot.pipeline->empty(hook)) return;
  ChainOutput output;
  snapshot.pipeline->run(ctx_, hook, burst.packets, burst.count, output);
  std::memcpy(redirected.packets, output.redirected, output.redirected_count * sizeof(rte_mbuf*));
  redirected.count = output.redirected_count;
  for (uint16_t i = 0; i < output.reply_count; i++) answer(output.replies[i]);
  if (output.reinput_count > 0) enter_again(snapshot, output.reinput, output.reinput_count);
}

/// What a stage made an answer of is a packet of the node's own from here on. Its flow is left alone: one that began
/// with it stays unconfirmed.
void Graph::answer(rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  const PortId toward = meta.in_port;
  PacketMeta own{};
  own.answer = 1;
  own.passes = meta.passes;
  own.flags = meta.flags;
  own.gso_size = meta.gso_size;
  own.gso_l3_offset = meta.gso_l3_offset;
  own.gso_l4_offset = meta.gso_l4_offset;
  own.traced = meta.traced;
  own.table = meta.table;
  own.mark = meta.mark;
  own.in_port = own.out_port = kNoPort;
  own.next_hop = kNoNextHop;
  own.ct_state = static_cast<uint8_t>(abi::CtState::UNTRACKED);
  own.confirmed = 1;
  meta = own;
  // A link-local address says nothing but on the link that the packet came by.
  if (is_to_link_local(packet)) {
    meta.redirected = 1;
    meta.out_port = toward;
  }
  ctx_.originate(packet);
}

/// What a stage took out of its wrapping is a packet of its own, that came in by the same port. The flow of the
/// wrapping is confirmed, as its packet arrived where it was sent.
void Graph::enter_again(const NodeSnapshot& snapshot, rte_mbuf** packets, uint16_t count) {
  ctx_.flows->confirm_burst(ctx_, packets, count);
  Burst burst;
  for (uint16_t i = 0; i < count; i++) {
    rte_mbuf* packet = packets[i];
    PacketMeta& meta = *meta_of(packet);
    meta.flow = 0;
    meta.ct_state = static_cast<uint8_t>(abi::CtState::UNTRACKED);
    meta.ct_direction = meta.confirmed = meta.reframed = meta.rewritten = meta.redirected = 0;
    if (meta.passes >= kMaxPasses) {
      ctx_.drop(packet, abi::DropReason::TunnelLoop);
    } else if (!parse_packet(packet)) {
      drop_refused(ctx_, packet);
    } else {
      burst.add(packet);
    }
  }
  join_trains(burst);
  if (unlikely(ctx_.tracer != nullptr)) tell_parsed(ctx_, burst.packets, burst.count);
  if (burst.count > 0) enter(snapshot, burst);
}

/// TCP packets that follow each other in their flow become super-frames.
void Graph::join_trains(Burst& burst) {
  if (likely(ctx_.tracer == nullptr)) {
    burst.count = coalesce(burst.packets, burst.count);
    return;
  }
  const Burst before = burst;
  burst.count = coalesce(burst.packets, burst.count);
  tell_joined(ctx_, before.packets, before.count, burst.packets, burst.count);
}

/// Empties ctx.originated.
void Graph::parse_originated(Burst& burst, Burst& answers) {
  ctx_.own_passes = 0;
  for (uint16_t i = 0; i < ctx_.originated.count; i++) {
    rte_mbuf* packet = ctx_.originated.packets[i];
    const PacketMeta& meta = *meta_of(packet);
    if (unlikely(meta.passes >= kMaxPasses)) {
      ctx_.drop(packet, abi::DropReason::TunnelLoop);
    } else if (unlikely(!parse_packet(packet))) {
      drop_refused(ctx_, packet);
    } else {
      ctx_.own_passes = std::max(ctx_.own_passes, meta.passes);
      if (meta.answer) settle_offloads(packet);
      (meta.answer ? answers : burst).add(packet);
    }
  }
  ctx_.originated.count = 0;
}

/// Packets of the node's own that came of this burst: ICMP errors, echo replies, stages' answers and new packets.
void Graph::send_originated(const NodeSnapshot& snapshot) {
  Burst burst, answers;
  parse_originated(burst, answers);
  // Tracked, so that an ICMP error about a translated packet meets its flow, and a stage can translate it back. Not so
  // answers: a flow of their own would make what is sent to them pass as replies.
  ctx_.flows->track_burst(ctx_, burst.packets, burst.count);
  for (uint16_t i = 0; i < answers.count; i++) burst.add(answers.packets[i]);
  if (unlikely(ctx_.tracer != nullptr)) tell_tracked(ctx_, burst.packets, burst.count);
  RouteVerdicts routed;
  route_burst(ctx_, burst.packets, burst.count, routed);
  if (unlikely(ctx_.tracer != nullptr)) tell_routed(ctx_, routed);
  ctx_.flows->confirm_burst(ctx_, routed.local, routed.local_count);
  if (routed.local_count > 0) deliver_local(ctx_, routed.local, routed.local_count);
  Burst out;
  for (uint16_t i = 0; i < routed.forward_count; i++) {
    meta_of(routed.forward[i])->rewritten = 0;
    out.add(routed.forward[i]);
  }
  Burst redirected;
  run_hook(snapshot, abi::Hook::OUTPUT, out, redirected);
  if (redirected.count > 0) leave(snapshot, redirected);
  leave(snapshot, out);
  ctx_.own_passes = 0;
}

void Graph::finish(const NodeSnapshot& snapshot) {
  // What the native steps make is sent in two rounds: an answer may give rise to one more (an ICMP error that can't be
  // routed does not). Stages at OUTPUT may go on; the rest waits for the next burst or tick, so that no burst takes
  // long.
  for (int round = 0; round < 2 && ctx_.originated.count > 0; round++) send_originated(snapshot);
  ctx_.flows->settle_burst(ctx_);
}

}  // namespace sluice
