#include "core/buffers.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "core/packet.h"

namespace sluice {

namespace {
/// Buffers a worker keeps to itself. They are used again last in, first out, so while they are in the CPU's cache: for
/// super-frames that is half of the cost of receiving one.
uint32_t cache_size(uint32_t buffers) {
  return std::min<uint32_t>(buffers / 16, 256);
}

rte_mempool* make_pool(const std::string& name, uint32_t buffers, uint16_t room) {
  return rte_pktmbuf_pool_create(name.c_str(), buffers, cache_size(buffers), sizeof(PacketMeta), room, SOCKET_ID_ANY);
}
}  // namespace

Result<BufferPools> make_buffer_pools(const std::string& name, uint32_t packets, uint32_t jumbos) {
  BufferPools pools;
  pools.packets = make_pool(name + "-packets", packets, RTE_PKTMBUF_HEADROOM + kPacketRoom);
  if (pools.packets != nullptr) pools.jumbos = make_pool(name + "-jumbos", jumbos, UINT16_MAX);
  if (pools.packets == nullptr || pools.jumbos == nullptr) {
    const char* reason = rte_strerror(rte_errno);
    free_buffer_pools(pools);
    return Error{"out-of-memory", "/memory",
                 std::string("packet buffers could not be allocated (") + reason +
                     "); give the node more memory or fewer buffers"};
  }
  return pools;
}

void free_buffer_pools(BufferPools& pools) {
  rte_mempool_free(pools.packets);
  rte_mempool_free(pools.jumbos);
  pools = {};
}

}  // namespace sluice
