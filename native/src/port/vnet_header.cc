#include "port/vnet_header.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
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

/// The type field that lies before `l3`.
uint16_t ether_type(const uint8_t* l3) {
  return static_cast<uint16_t>(l3[-2] << 8 | l3[-1]);
}

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

/// Where the L4 header of the frame's own packet begins, by a quick look (the packet path parses in earnest); 0: no IP.
/// A frame that was just received has its first kPacketRoom bytes in one piece.
uint32_t l4_start(const rte_mbuf* frame) {
  const auto* bytes = rte_pktmbuf_mtod(frame, const uint8_t*);
  const uint32_t length = frame->data_len;
  uint32_t at = RTE_ETHER_HDR_LEN;
  while (at + RTE_VLAN_HLEN <= length && (ether_type(bytes + at) == RTE_ETHER_TYPE_VLAN)) at += RTE_VLAN_HLEN;
  if (at + sizeof(rte_ipv4_hdr) > length) return 0;
  if (ether_type(bytes + at) == RTE_ETHER_TYPE_IPV4) return at + (bytes[at] & 15) * 4;
  if (ether_type(bytes + at) != RTE_ETHER_TYPE_IPV6 || at + sizeof(rte_ipv6_hdr) > length) return 0;
  uint8_t next = bytes[at + offsetof(rte_ipv6_hdr, proto)];
  at += sizeof(rte_ipv6_hdr);
  while ((next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) && at + 8 <= length) {
    next = bytes[at];
    at += (bytes[at + 1] + 1) * 8;
  }
  return at;
}
}  // namespace

bool apply_vnet_header(const VnetHeader& header, rte_mbuf* frame) {
  PacketMeta& meta = *meta_of(frame);
  const bool super_frame = header.gso_type != kGsoNone;
  if (header.flags & kNeedsChecksum) {
    if (uint32_t{header.csum_start} + header.csum_offset + 2 > frame->pkt_len) return false;
    const bool known = header.csum_offset == kTcpChecksumOffset || header.csum_offset == kUdpChecksumOffset;
    if (super_frame || (known && header.csum_start == l4_start(frame))) {
      meta.flags |= static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    } else if (!finish_partial_checksum(frame, header.csum_start, header.csum_offset)) {
      return false;
    }
  }
  if (!super_frame) return true;
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
