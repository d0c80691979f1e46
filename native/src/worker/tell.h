#pragma once

#include <rte_mbuf.h>

#include "core/tracer.h"
#include "core/worker_context.h"
#include "l3/route.h"

namespace sluice {

// What the graph tells ctx.tracer, which is not null, of a step that traced packets among these have taken. Other
// packets cost a look at their flags.

void tell_parsed(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count);
void tell_tracked(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count);
void tell_routed(WorkerContext& ctx, const RouteVerdicts& routed);
void tell_decapsulated(WorkerContext& ctx, rte_mbuf* packet);
/// Of a burst before and after coalesce(): the packets that are parts of others now.
void tell_joined(WorkerContext& ctx, rte_mbuf* const* before, uint16_t before_count, rte_mbuf* const* after,
                 uint16_t after_count);

}  // namespace sluice
