#include "core/buffers.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <algorithm>
#include <cstring>

#include "core/packet.h"

namespace sluice {

namespace {
/// Buffers a worker keeps to itself. They are used again last in, first out, so while they are in the CPU's cache: for
/// super-frames that is half of the cost of receiving one.
uint32_t cache_size(uint32_t buffers) {
  return std::min<uint32_t>(buffers / 16, 256);
}

/// rte_pktmbuf_pool_create() but for one thing: without hugepages it would start every buffer at a page of its own, so
/// that the first lines of all packets share a few cache sets. There buffers may lie across pages; nothing but the CPU
/// and kernels reads them, or an IOMMU by virtual address. It halves the cost of an empty stage (wasm/cost_test.cc).
rte_mempool* make_pool(const std::string& name, uint32_t buffers, uint16_t room) {
  const unsigned flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
  const auto size = static_cast<unsigned>(sizeof(rte_mbuf) + sizeof(PacketMeta) + room);
  rte_mempool* pool = rte_mempool_create_empty(name.c_str(), buffers, size, cache_size(buffers),
                                               sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, flags);
  if (pool == nullptr) return nullptr;
  rte_pktmbuf_pool_private layout{};
  layout.mbuf_data_room_size = room;
  layout.mbuf_priv_size = sizeof(PacketMeta);
  const int ops = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  if (ops == 0) rte_pktmbuf_pool_init(pool, &layout);
  const int populated = ops == 0 ? rte_mempool_populate_default(pool) : ops;
  if (populated < 0) {
    rte_mempool_free(pool);
    rte_errno = -populated;
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
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

rte_mbuf* new_packet(rte_mempool* pool) {
  rte_mbuf* packet = rte_pktmbuf_alloc(pool);
  if (packet == nullptr) return nullptr;
  PacketMeta* meta = meta_of(packet);
  std::memset(meta, 0, sizeof *meta);
  meta->in_port = kNoPort;
  meta->out_port = kNoPort;
  meta->next_hop = kNoNextHop;
  return packet;
}

}  // namespace sluice
