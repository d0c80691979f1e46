#include "worker/shortcut.h"

#include <bitset>

#include "conntrack/flow_table.h"
#include "l3/headers.h"
#include "l3/output.h"
#include "l3/size.h"

namespace sluice {

namespace {

/// One burst in search of its shortcuts.
class Shortcuts {
 public:
  Shortcuts(const WorkerContext& ctx, const NodeSnapshot& snapshot)
      : flows_(*ctx.flows),
        routing_(*snapshot.routing),
        generation_(static_cast<uint32_t>(snapshot.generation) & Way::kGenerationMask) {}

  /// True, and the packet as it is to leave, with its next hop set.
  bool take(rte_mbuf* packet, Shortcut& shortcut) {
    PacketMeta& meta = *meta_of(packet);
    const bool known = shortcut.way.generation == generation_ && shortcut.way.table == meta.table;
    if (unlikely(!known) && !find_way(packet, meta, shortcut)) return false;
    const NextHop& hop = routing_.next_hops[shortcut.way.next_hop];
    if (unlikely(size_verdict(packet, meta, hop.mtu) != SizeVerdict::Fits || is_last_hop(packet, meta.family))) {
      return false;
    }
    if (unlikely(!flows_.take_shortcut(packet, shortcut))) return false;
    count_down(packet, meta.family);
    meta.next_hop = shortcut.way.next_hop;
    meta.out_port = hop.port;
    return true;
  }

 private:
  /// As route_burst() would find it. False when the packet is not one to be forwarded.
  bool find_way(const rte_mbuf* packet, const PacketMeta& meta, Shortcut& shortcut) {
    if (generation_ == 0 || meta.in_port == kNoPort) return false;
    if (is_link_local(meta.family, source_of(packet, meta.family))) return false;
    const auto destination = flows_.shortcut_destination(packet, shortcut);
    const RouteEntry& entry = routing_.lookup(meta.table, meta.family, destination.data());
    if (entry.kind != RouteKind::Forward) return false;
    const uint32_t next_hop = routing_.select(entry, meta.hash);
    if (next_hop > Way::kMaxNextHop) return false;
    shortcut.way = {generation_, meta.table, next_hop};
    flows_.keep_way(packet, shortcut);
    return true;
  }

  FlowTable& flows_;
  const RoutingSnapshot& routing_;
  const uint32_t generation_;
};

}  // namespace

void take_shortcuts(WorkerContext& ctx, const NodeSnapshot& snapshot, rte_mbuf** packets, uint16_t& count) {
  if (unlikely(ctx.tracer != nullptr)) return;
  const std::optional<Passage> passage = snapshot.pipeline->passage();
  if (!passage) return;
  Shortcut shortcuts[kMaxBurst];
  ctx.flows->find_shortcuts(*passage, packets, count, shortcuts);
  Shortcuts burst(ctx, snapshot);
  rte_mbuf* taken[kMaxBurst];
  uint16_t taken_count = 0, kept = 0;
  std::bitset<64> kept_flows;  // by the last bits of their numbers
  for (uint16_t i = 0; i < count; i++) {
    rte_mbuf* packet = packets[i];
    const uint32_t flow = meta_of(packet)->flow % kept_flows.size();
    if (likely(shortcuts[i].found && !kept_flows[flow] && burst.take(packet, shortcuts[i]))) {
      taken[taken_count++] = packet;
    } else {
      packets[kept++] = packet;
      kept_flows.set(flow);
    }
  }
  count = kept;
  if (taken_count == 0) return;
  snapshot.pipeline->count_passed(ctx.id, taken_count);
  output_burst(ctx, taken, taken_count);
}

}  // namespace sluice
