#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

/// Most pieces that one packet may become: 64 KiB at IPv6's least MTU, and room.
constexpr uint16_t kMaxFragments = 128;

/// Cuts an IPv4 or IPv6 packet with complete checksums into fragments of at most `mtu` bytes (RFC 791 section 3.2, RFC
/// 8200 section 4.5), each a copy with the packet's meta. Returns how many are in `out` and frees the packet; 0, and
/// the packet stays the caller's, when there are no buffers, or it can't be cut so that kMaxFragments suffice.
uint16_t fragment_packet(WorkerContext& ctx, rte_mbuf* packet, uint32_t mtu, rte_mbuf** out);

}  // namespace sluice
