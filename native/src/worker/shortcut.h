#pragma once

#include "core/worker_context.h"
#include "worker/node_snapshot.h"

namespace sluice {

/// Sends those packets of a tracked burst on their way whose flows have settled every hook: past the stages, and past
/// the FIB where the flow knows its next hop. They leave as they would have by the hooks and route_burst(). The others
/// stay in `packets`, in order; a packet stays also when an earlier one of its flow does.
void take_shortcuts(WorkerContext& ctx, const NodeSnapshot& snapshot, rte_mbuf** packets, uint16_t& count);

}  // namespace sluice
