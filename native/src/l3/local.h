#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

/// Packets for the node itself (meta.local), at most kMaxBurst: they leave by the host port, or, where there is none,
/// and for addresses that only the dataplane has (link-local ones, those of proxy ports), are answered here: echo
/// requests with replies, UDP with port unreachable, TCP with a reset, unknown protocols likewise. Takes ownership.
void deliver_local(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count);

}  // namespace sluice
