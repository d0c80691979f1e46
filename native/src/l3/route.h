#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"
#include "l3/routing.h"

namespace sluice {

/// A routed burst, each list in the order of arrival. What could not be routed is already dropped and reported.
struct RouteVerdicts {
  rte_mbuf* forward[kMaxBurst];  ///< meta.out_port and meta.next_hop are set
  rte_mbuf* local[kMaxBurst];    ///< for the node itself: meta.local is set
  uint16_t forward_count = 0;
  uint16_t local_count = 0;
};

/// Routes parsed packets, at most kMaxBurst, in the table that each meta.table names. Redirected packets keep the
/// out_port that a stage chose. Of a packet that is forwarded (not made by the node itself: in_port is kNoPort then)
/// the TTL or hop limit is counted down. Takes ownership of the packets; overwrites `out`.
void route_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count, RouteVerdicts& out);

/// The same for packets that route_burst() passed on and a stage then changed: their TTL was counted down already.
void reroute_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count, RouteVerdicts& out);

}  // namespace sluice
