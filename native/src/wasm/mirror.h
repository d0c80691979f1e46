#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

bool has_port(const WorkerContext& ctx, uint32_t port);

/// A copy of the packet's first `length` bytes from its L3 header (0: all), with its link header in the headroom, or
/// one of zeroes and its ethertype when it has none. The packet's data is at its L3 header. Null without buffers.
rte_mbuf* copy_to_mirror(WorkerContext& ctx, rte_mbuf* packet, uint32_t length);

/// Sends such a copy in frames that the port can take: whole where it takes offloads, else with a completed checksum, a
/// super-frame in segments. What cannot be segmented is dropped as gso-failed, what is larger than the port's MTU as
/// packet-too-big. A copy that is shorter than its packet leaves as it is: its headers tell of bytes that are not
/// there. Takes ownership.
void send_mirror(WorkerContext& ctx, PortId port, rte_mbuf* copy);

}  // namespace sluice
