#include "port/frame_buffers.h"

#include <cstring>

namespace sluice {

bool FrameBuffers::refill(const BufferPools& pools) {
  if (head_ == nullptr) head_ = rte_pktmbuf_alloc(pools.packets);
  if (jumbo_ == nullptr) {
    jumbo_ = rte_pktmbuf_alloc(pools.jumbos);
    if (jumbo_ != nullptr) jumbo_->data_off = 0;
  }
  return head_ != nullptr && jumbo_ != nullptr;
}

void FrameBuffers::scatter(iovec* parts) {
  parts[0] = {&header_, sizeof header_};
  parts[1] = {rte_pktmbuf_mtod(head_, void*), kPacketRoom};
  parts[2] = {rte_pktmbuf_mtod(jumbo_, void*), UINT16_MAX};
}

rte_mbuf* FrameBuffers::take(uint32_t length, PortId in_port) {
  rte_mbuf* frame = head_;
  head_ = nullptr;
  frame->pkt_len = length;
  frame->data_len = length < kPacketRoom ? length : kPacketRoom;
  if (length > kPacketRoom) {
    jumbo_->data_len = length - kPacketRoom;
    frame->next = jumbo_;
    frame->nb_segs = 2;
    jumbo_ = nullptr;
  }
  PacketMeta* meta = meta_of(frame);
  std::memset(static_cast<void*>(meta), 0, sizeof *meta);
  meta->in_port = in_port;
  return frame;
}

void FrameBuffers::release() {
  rte_pktmbuf_free(head_);
  rte_pktmbuf_free(jumbo_);
  head_ = jumbo_ = nullptr;
}

int gather(const rte_mbuf* frame, iovec* parts) {
  int used = 0;
  for (const rte_mbuf* part = frame; part != nullptr; part = part->next) {
    parts[used++] = {rte_pktmbuf_mtod(part, void*), part->data_len};
  }
  return used;
}

}  // namespace sluice
