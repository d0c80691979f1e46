#include "port/vnet_header.h"

#include <netinet/in.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstring>

#include "port/checksum.h"

namespace sluice {

namespace {
constexpr uint8_t kNeedsChecksum = 1;  // in flags
constexpr uint8_t kGsoNone = 0, kGsoTcpV4 = 1, kGsoTcpV6 = 4, kGsoEcn = 0x80;
constexpr uint16_t kTcpChecksumOffset = offsetof(rte_tcp_hdr, cksum);
constexpr uint16_t kUdpChecksumOffset = offsetof(rte_udp_hdr, dgram_cksum);

bool make_gso(const rte_mbuf* frame, const PacketMeta& meta, VnetHeader* header) {
  rte_tcp_hdr copy;
  const auto* tcp = static_cast<const rte_tcp_hdr*>(rte_pktmbuf_read(frame, header->csum_start, sizeof copy, &copy));
  uint8_t version;
  const auto* first = static_cast<const uint8_t*>(rte_pktmbuf_read(frame, meta.l2_length, 1, &version));
  if (tcp == nullptr || first == nullptr || header->csum_offset != kTcpChecksumOffset) return false;
  header->gso_type = (*first >> 4) == 4 ? kGsoTcpV4 : kGsoTcpV6;
  if (tcp->tcp_flags & RTE_TCP_CWR_FLAG) header->gso_type |= kGsoEcn;
  header->gso_size = meta.gso_size;
  header->hdr_len = header->csum_start + (tcp->data_off >> 4) * 4;
  return true;
}
}  // namespace

bool apply_vnet_header(const VnetHeader& header, rte_mbuf* frame) {
  PacketMeta& meta = *meta_of(frame);
  if (header.flags & kNeedsChecksum) {
    if (uint32_t{header.csum_start} + header.csum_offset + 2 > frame->pkt_len) return false;
    if (header.csum_offset == kTcpChecksumOffset || header.csum_offset == kUdpChecksumOffset) {
      meta.flags |= static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    } else {
      finish_partial_checksum(frame, header.csum_start, header.csum_offset);
    }
  }
  if (header.gso_type == kGsoNone) return true;
  const uint8_t type = header.gso_type & ~kGsoEcn;
  if (type != kGsoTcpV4 && type != kGsoTcpV6) return false;
  if (header.gso_size == 0 || !has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) return false;
  meta.flags |= static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
  meta.gso_size = header.gso_size;
  return true;
}

bool make_vnet_header(const rte_mbuf* frame, VnetHeader* header) {
  std::memset(header, 0, sizeof *header);
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(frame));
  if (!has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) return !has_flag(meta, abi::Flag::SUPER_FRAME);
  header->flags = kNeedsChecksum;
  header->csum_start = meta.l2_length + meta.l4_offset;
  header->csum_offset = meta.protocol == IPPROTO_TCP ? kTcpChecksumOffset : kUdpChecksumOffset;
  if (meta.l4_offset == 0 || uint32_t{header->csum_start} + header->csum_offset + 2 > frame->pkt_len) return false;
  return !has_flag(meta, abi::Flag::SUPER_FRAME) || make_gso(frame, meta, header);
}

}  // namespace sluice
