#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"
#include "l3/routing.h"

namespace sluice {

/// Fills in hop.wrapping for a hop whose tunnel, remote and mac are set.
void vxlan_prepare(const Tunnel& tunnel, NextHop& hop);

/// Puts the tunnel's inner Ethernet, VXLAN, UDP and outer IP header (RFC 7348) before an L3 packet with complete
/// checksums. Its meta is the outer packet's then. The UDP checksum is zero, as RFC 7348 and RFC 6936 allow. `packet`
/// may change to a new first buffer. False, and the packet unchanged, when there is no buffer.
bool vxlan_encapsulate(WorkerContext& ctx, rte_mbuf*& packet, const NextHop& hop);

enum class Decap : uint8_t { NotVxlan, Inner, Dropped };

/// For a parsed packet: is it a datagram to one of the node's tunnel endpoints? Then the data starts at the inner
/// Ethernet header, in_port is the tunnel's port, and the rest of the meta is as new (mark and passes are kept).
/// Dropped: it was counted and freed.
Decap vxlan_decapsulate(WorkerContext& ctx, rte_mbuf* packet);

}  // namespace sluice
