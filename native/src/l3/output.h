#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

/// The last step: packets that were routed (meta.next_hop, or redirected with out_port and next_hop_address) leave.
/// Sizes are held against the way out's MTU: super-frames are segmented where the port can't take them, other packets
/// fragmented, or dropped and reported. Then tunnel headers, the neighbour's MAC, and ctx.transmit(). Takes ownership.
void output_burst(WorkerContext& ctx, rte_mbuf* const* packets, uint16_t count);

}  // namespace sluice
