#include "parse/segments.h"

#include <algorithm>
#include <cstring>

namespace sluice {

bool pull_up(rte_mbuf* packet, uint32_t need) {
  if (packet->pkt_len < need || packet->nb_segs == 1) return false;
  if (need - packet->data_len > rte_pktmbuf_tailroom(packet)) return false;
  while (packet->data_len < need && packet->next != nullptr) {
    rte_mbuf* segment = packet->next;
    const auto moved = static_cast<uint16_t>(std::min<uint32_t>(need - packet->data_len, segment->data_len));
    memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t*, packet->data_len), rte_pktmbuf_mtod(segment, const uint8_t*),
           moved);
    packet->data_len = static_cast<uint16_t>(packet->data_len + moved);
    segment->data_off = static_cast<uint16_t>(segment->data_off + moved);
    segment->data_len = static_cast<uint16_t>(segment->data_len - moved);
    if (segment->data_len > 0) break;
    packet->next = segment->next;
    packet->nb_segs--;
    rte_pktmbuf_free_seg(segment);
  }
  return packet->data_len >= need;
}

void cut_to(rte_mbuf* packet, uint32_t length) {
  if (packet->pkt_len <= length) return;
  packet->pkt_len = length;
  rte_mbuf* last = packet;
  uint16_t segments = 1;
  uint32_t left = length;
  while (left > last->data_len && last->next != nullptr) {
    left -= last->data_len;
    last = last->next;
    segments++;
  }
  last->data_len = static_cast<uint16_t>(left);
  rte_mbuf* rest = last->next;
  last->next = nullptr;
  packet->nb_segs = segments;
  while (rest != nullptr) {
    rte_mbuf* next = rest->next;
    rte_pktmbuf_free_seg(rest);
    rest = next;
  }
}

}  // namespace sluice
