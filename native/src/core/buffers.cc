#include "core/buffers.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "core/packet.h"

namespace sluice {

namespace {
constexpr uint32_t kCache = 256;

rte_mempool* make_pool(const std::string& name, uint32_t buffers, uint16_t room) {
  return rte_pktmbuf_pool_create(name.c_str(), buffers, buffers > 4 * kCache ? kCache : 0, sizeof(PacketMeta), room,
                                 SOCKET_ID_ANY);
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
