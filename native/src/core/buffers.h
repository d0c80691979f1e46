#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <string>

#include "core/error.h"

namespace sluice {

/// The two kinds of packet buffer. Both carry a PacketMeta in the private area.
struct BufferPools {
  rte_mempool* packets = nullptr;  ///< kPacketRoom data bytes and RTE_PKTMBUF_HEADROOM before them
  rte_mempool* jumbos = nullptr;   ///< second segment of a super-frame: 64 KiB less 1, no headroom
};

constexpr uint16_t kPacketRoom = 2048;

/// Makes both pools. `packets` and `jumbos` are numbers of buffers.
Result<BufferPools> make_buffer_pools(const std::string& name, uint32_t packets, uint32_t jumbos);
void free_buffer_pools(BufferPools& pools);

/// An empty buffer with a zeroed PacketMeta of a packet that the node makes itself: no in_port, not routed. Null when
/// the pool is empty.
rte_mbuf* new_packet(rte_mempool* pool);

}  // namespace sluice
