#include "l3/headers.h"

#include <netinet/in.h>

namespace sluice {

uint32_t next_header_field(const uint8_t* ip, uint32_t end) {
  uint32_t field = offsetof(rte_ipv6_hdr, proto);
  for (uint32_t header = sizeof(rte_ipv6_hdr); header < end;) {
    const uint8_t type = ip[field];
    field = header;
    if (type == IPPROTO_FRAGMENT) {
      header += 8;
    } else {
      header += type == IPPROTO_AH ? (ip[header + 1] + 2u) * 4 : (ip[header + 1] + 1u) * 8;
    }
  }
  return field;
}

uint8_t* prepend_buffer(WorkerContext& ctx, rte_mbuf*& packet, uint16_t length) {
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
