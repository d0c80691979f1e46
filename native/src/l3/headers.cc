#include "l3/headers.h"

namespace sluice {

uint8_t* prepend(WorkerContext& ctx, rte_mbuf*& packet, uint16_t length) {
  if (likely(rte_pktmbuf_headroom(packet) >= length && rte_mbuf_refcnt_read(packet) == 1 && RTE_MBUF_DIRECT(packet))) {
    return reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet, length));
  }
  rte_mbuf* front = rte_pktmbuf_alloc(ctx.pool);
  if (front == nullptr) return nullptr;
  *meta_of(front) = *meta_of(packet);
  uint8_t* data = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(front, length));
  if (rte_pktmbuf_chain(front, packet) != 0) {
    rte_pktmbuf_free(front);
    return nullptr;
  }
  packet = front;
  return data;
}

}  // namespace sluice
