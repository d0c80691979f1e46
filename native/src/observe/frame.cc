#include "observe/frame.h"

namespace sluice {

Frame::Frame(const rte_mbuf* packet, bool framed) : packet_(packet), before_(0), made_(false) {
  const uint16_t link = link_header_length(packet);
  const bool parsed = link != 0 || meta_of(const_cast<rte_mbuf*>(packet))->family != 0;
  if (!framed && parsed) {
    before_ = link;
    made_ = link == 0;
  }
  length_ = packet->pkt_len + before_ + (made_ ? RTE_ETHER_HDR_LEN : 0);
}

uint32_t Frame::copy(uint8_t* to, uint32_t size) const {
  if (!made_) return copy_bytes(packet_, before_, to, size);
  rte_ether_hdr header{};
  const bool v4 = meta_of(const_cast<rte_mbuf*>(packet_))->family == 4;
  header.ether_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
  const uint32_t link = std::min<uint32_t>(size, sizeof header);
  std::memcpy(to, &header, link);
  return link + copy_bytes(packet_, 0, to + link, size - link);
}

const uint8_t* Frame::start(uint8_t* scratch, uint32_t size, uint32_t& captured) const {
  const uint32_t in_place = packet_->data_len + before_;
  if (!made_ && in_place >= std::min(length_, size)) {
    captured = std::min(in_place, size);
    return rte_pktmbuf_mtod(packet_, const uint8_t*) - before_;
  }
  captured = copy(scratch, size);
  return scratch;
}

}  // namespace sluice
