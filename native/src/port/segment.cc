#include <netinet/in.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cstring>

#include "core/buffers.h"
#include "core/packet.h"
#include "port/checksum.h"
#include "port/offload.h"

namespace sluice {

namespace {

constexpr uint8_t kLastOnly = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;

/// Reads a packet's bytes one after the other across its segments.
class Cursor {
 public:
  Cursor(const rte_mbuf* packet, uint32_t offset) : part_(packet), offset_(offset) {}

  /// The caller never asks for more than there is.
  void copy(uint8_t* to, uint32_t length) {
    while (length > 0) {
      while (offset_ == part_->data_len) {
        part_ = part_->next;
        offset_ = 0;
      }
      const uint32_t here = std::min<uint32_t>(length, part_->data_len - offset_);
      std::memcpy(to, rte_pktmbuf_mtod_offset(part_, const uint8_t*, offset_), here);
      to += here;
      offset_ += here;
      length -= here;
    }
  }

 private:
  const rte_mbuf* part_;
  uint32_t offset_;
};

/// Where the IP headers are that stages put before the one of the super-frame.
struct Wrapping {
  static constexpr uint8_t kMax = 4;
  uint16_t offsets[kMax];
  uint8_t count = 0;
};

/// Goes through the headers from the packet's start to the super-frame's IP header at `l3_offset`. False when there is
/// anything but IP headers with extensions, each of which carries the next one.
bool find_wrapping(const uint8_t* headers, uint32_t l3_offset, Wrapping* wrapping) {
  uint32_t at = 0;
  while (at < l3_offset) {
    if (wrapping->count == Wrapping::kMax) return false;
    wrapping->offsets[wrapping->count++] = static_cast<uint16_t>(at);
    uint8_t next;
    if (headers[at] >> 4 == 4) {
      const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(headers + at);
      next = ip->next_proto_id;
      at += rte_ipv4_hdr_len(ip);
    } else {
      next = reinterpret_cast<const rte_ipv6_hdr*>(headers + at)->proto;
      at += sizeof(rte_ipv6_hdr);
      while ((next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) && at < l3_offset) {
        next = headers[at];
        at += (headers[at + 1] + 1u) * 8;
      }
    }
    if (next != IPPROTO_IPIP && next != IPPROTO_IPV6) return false;
  }
  return at == l3_offset;
}

/// The super-frame's headers and what all its segments have in common.
struct Template {
  const uint8_t* headers;  ///< from the packet's start to the TCP options' end, contiguous
  uint32_t l2_length;      ///< bytes of link header before them
  uint32_t length;         ///< of the headers, without link header
  Wrapping wrapping;
  uint32_t l3_offset;  ///< of the IP header that TCP belongs to; 0 when nothing is wrapped around it
  uint32_t l4_offset;
  uint32_t payload;  ///< bytes a segment
  uint32_t total;    ///< bytes of the super-frame's payload
  bool ipv4;
  uint64_t ip_sum;      ///< IPv4: of the header without total length, id and checksum
  uint64_t pseudo_sum;  ///< pseudo-header without the length
  uint32_t sequence;
  uint16_t ip_id;
  uint8_t tcp_flags;
};

/// False when the frame cannot be cut.
bool read_template(rte_mbuf* packet, uint16_t mtu, Template* frame) {
  const PacketMeta& meta = *meta_of(packet);
  if (!has_flag(meta, abi::Flag::SUPER_FRAME) || !has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) return false;
  const bool wrapped = meta.gso_l4_offset != 0;
  if (meta.gso_size == 0 || (!wrapped && meta.protocol != IPPROTO_TCP)) return false;
  frame->l3_offset = wrapped ? meta.gso_l3_offset : 0;
  frame->l4_offset = wrapped ? meta.gso_l4_offset : meta.l4_offset;
  if (frame->l4_offset == 0 || frame->l4_offset + sizeof(rte_tcp_hdr) > packet->data_len) return false;
  frame->headers = rte_pktmbuf_mtod(packet, const uint8_t*);
  if (wrapped && !find_wrapping(frame->headers, frame->l3_offset, &frame->wrapping)) return false;
  const auto* tcp = reinterpret_cast<const rte_tcp_hdr*>(frame->headers + frame->l4_offset);
  frame->l2_length = meta.l2_length;
  frame->length = frame->l4_offset + (tcp->data_off >> 4) * 4;
  // The headers of a frame that fills its buffer, and what a stage pushed before them, need not fit into a new buffer.
  if (frame->length > packet->data_len || frame->length >= mtu || frame->length > kPacketRoom) return false;
  frame->payload = std::min<uint32_t>(meta.gso_size, mtu - frame->length);
  frame->total = packet->pkt_len - frame->length;
  frame->ipv4 = frame->headers[frame->l3_offset] >> 4 == 4;
  frame->sequence = rte_be_to_cpu_32(tcp->sent_seq);
  frame->tcp_flags = tcp->tcp_flags;
  // The field holds the sum of the pseudo-header with the super-frame's own length: adding its complement takes that
  // out.
  const uint16_t length = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len - frame->l4_offset));
  frame->pseudo_sum = uint64_t{tcp->cksum} + static_cast<uint16_t>(~length);
  frame->ip_sum = 0;
  frame->ip_id = 0;
  if (frame->ipv4) {
    const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(frame->headers + frame->l3_offset);
    frame->ip_sum = sum_bytes(ip, rte_ipv4_hdr_len(ip)) + static_cast<uint16_t>(~ip->total_length) +
                    static_cast<uint16_t>(~ip->packet_id) + static_cast<uint16_t>(~ip->hdr_checksum);
    frame->ip_id = rte_be_to_cpu_16(ip->packet_id);
  }
  return true;
}

/// The IP header at `headers`, of a packet of `length` bytes from there.
void write_ip(const Template& frame, uint8_t* headers, uint32_t length, uint32_t index) {
  if (!frame.ipv4) {
    auto* ip = reinterpret_cast<rte_ipv6_hdr*>(headers);
    ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(length - sizeof *ip));
    return;
  }
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(headers);
  ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(length));
  ip->packet_id = rte_cpu_to_be_16(static_cast<uint16_t>(frame.ip_id + index));
  ip->hdr_checksum = ~fold_sum(frame.ip_sum + ip->total_length + ip->packet_id);
}

/// Makes the lengths of the wrapping headers fit a packet of `length` bytes.
void write_wrapping(const Wrapping& wrapping, uint8_t* headers, uint32_t length, uint32_t index) {
  for (uint8_t i = 0; i < wrapping.count; i++) {
    uint8_t* at = headers + wrapping.offsets[i];
    const uint32_t here = length - wrapping.offsets[i];
    if (at[0] >> 4 == 6) {
      auto* ip = reinterpret_cast<rte_ipv6_hdr*>(at);
      ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(here - sizeof *ip));
      continue;
    }
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(at);
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(here));
    ip->packet_id = rte_cpu_to_be_16(static_cast<uint16_t>(rte_be_to_cpu_16(ip->packet_id) + index));
    ip->hdr_checksum = 0;
    ip->hdr_checksum = ~fold_sum(sum_bytes(ip, rte_ipv4_hdr_len(ip)));
  }
}

void write_tcp(const Template& frame, uint8_t* headers, uint32_t offset, uint32_t payload, uint64_t payload_sum) {
  auto* tcp = reinterpret_cast<rte_tcp_hdr*>(headers + frame.l4_offset);
  const uint32_t header_length = frame.length - frame.l4_offset;
  tcp->sent_seq = rte_cpu_to_be_32(frame.sequence + offset);
  tcp->tcp_flags = frame.tcp_flags;
  if (offset + payload < frame.total) tcp->tcp_flags &= ~kLastOnly;
  if (offset > 0) tcp->tcp_flags &= ~RTE_TCP_CWR_FLAG;
  tcp->cksum = 0;
  const uint16_t length = rte_cpu_to_be_16(static_cast<uint16_t>(header_length + payload));
  tcp->cksum = ~fold_sum(frame.pseudo_sum + length + sum_bytes(tcp, header_length) + payload_sum);
}

/// Fills the packet's buffers, and more that it chains, with payload; returns the payload's sum. Headers and buffers
/// are of even length, so the parts' sums just add up. False: no buffer.
bool append_payload(rte_mbuf* packet, rte_mempool* pool, Cursor* source, uint32_t length, uint64_t* sum) {
  rte_mbuf* last = packet;
  *sum = 0;
  for (;;) {
    const uint32_t here = std::min<uint32_t>(length, rte_pktmbuf_tailroom(last) & ~1u);
    uint8_t* to = rte_pktmbuf_mtod_offset(last, uint8_t*, last->data_len);
    source->copy(to, here);
    *sum += sum_bytes(to, here);
    last->data_len += here;
    packet->pkt_len += here;
    length -= here;
    if (length == 0) return true;
    rte_mbuf* more = rte_pktmbuf_alloc(pool);
    if (more == nullptr) return false;
    last->next = more;
    last = more;
    packet->nb_segs++;
  }
}

rte_mbuf* make_segment(const Template& frame, const PacketMeta& meta, rte_mempool* pool, Cursor* source,
                       uint32_t offset, uint32_t index) {
  rte_mbuf* packet = rte_pktmbuf_alloc(pool);
  if (packet == nullptr) return nullptr;
  uint8_t* headers = rte_pktmbuf_mtod(packet, uint8_t*);
  std::memcpy(headers - frame.l2_length, frame.headers - frame.l2_length, frame.l2_length + frame.length);
  packet->data_len = frame.length;
  packet->pkt_len = frame.length;
  const uint32_t payload = std::min(frame.payload, frame.total - offset);
  uint64_t payload_sum;
  if (!append_payload(packet, pool, source, payload, &payload_sum)) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  write_wrapping(frame.wrapping, headers, packet->pkt_len, index);
  write_ip(frame, headers + frame.l3_offset, packet->pkt_len - frame.l3_offset, index);
  write_tcp(frame, headers, offset, payload, payload_sum);
  PacketMeta* copy = meta_of(packet);
  *copy = meta;
  copy->flags &= ~(static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM));
  copy->gso_size = 0;
  copy->gso_l3_offset = 0;
  copy->gso_l4_offset = 0;
  return packet;
}

}  // namespace

uint16_t segment(rte_mbuf* packet, uint16_t mtu, rte_mempool* pool, rte_mbuf** out, uint16_t max) {
  Template frame;
  if (!read_template(packet, mtu, &frame)) return 0;
  if ((frame.total + frame.payload - 1) / frame.payload > max) return 0;
  Cursor source(packet, frame.length);
  uint16_t count = 0;
  uint32_t offset = 0;
  do {
    out[count] = make_segment(frame, *meta_of(packet), pool, &source, offset, count);
    if (out[count] == nullptr) {
      for (uint16_t i = 0; i < count; i++) rte_pktmbuf_free(out[i]);
      return 0;
    }
    count++;
    offset += frame.payload;
  } while (offset < frame.total);
  rte_pktmbuf_free(packet);
  return count;
}

}  // namespace sluice
