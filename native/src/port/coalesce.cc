#include "port/coalesce.h"

#include <netinet/in.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <cstring>

#include "core/packet.h"
#include "port/checksum.h"
#include "port/frame_buffers.h"

namespace sluice {

namespace {

constexpr uint16_t kOpenFlows = 8;     ///< super-frames being built at a time
constexpr uint16_t kMostPackets = 48;  ///< in one super-frame: a 64 KiB one of 1448-byte segments has 45
static_assert(kMostPackets < kMaxSegments, "a port takes it in one piece");
constexpr uint32_t kMostBytes = UINT16_MAX;
constexpr uint8_t kSimpleFlags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG;

/// A packet as a candidate.
struct Candidate {
  rte_mbuf* packet;
  uint8_t* ip;
  rte_tcp_hdr* tcp;
  uint16_t l4_offset;
  uint16_t header_length;  ///< L3 and L4
  uint16_t payload;
  bool ipv4;
};

struct Group {
  Candidate first;
  rte_mbuf* tail;  ///< last buffer of the chain
  uint32_t next_sequence;
  uint32_t length;  ///< of the whole packet
  uint16_t packets;
  uint16_t size;  ///< payload bytes of a segment
  bool open;      ///< takes more
};

uint16_t pseudo_sum(const Candidate& candidate, uint32_t l4_length) {
  const uint64_t addresses = candidate.ipv4 ? sum_bytes(candidate.ip + offsetof(rte_ipv4_hdr, src_addr), 8)
                                            : sum_bytes(candidate.ip + offsetof(rte_ipv6_hdr, src_addr), 32);
  return fold_sum(addresses + rte_cpu_to_be_16(IPPROTO_TCP) + rte_cpu_to_be_16(static_cast<uint16_t>(l4_length)));
}

bool checksum_is_right(const Candidate& candidate) {
  const uint32_t length = candidate.packet->pkt_len - candidate.l4_offset;
  return fold_sum(sum_packet(candidate.packet, candidate.l4_offset, length) + pseudo_sum(candidate, length)) == 0xffff;
}

/// Finds the TCP header of a packet without IP options, extension headers or fragmentation; false: it has none there.
bool find_headers(rte_mbuf* packet, Candidate* candidate) {
  const PacketMeta& meta = *meta_of(packet);
  const uint16_t ip_length = meta.family == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  if (meta.l4_offset != ip_length || meta.payload_offset == 0 || meta.payload_offset > packet->data_len) return false;
  candidate->packet = packet;
  candidate->ip = rte_pktmbuf_mtod(packet, uint8_t*);
  candidate->tcp = reinterpret_cast<rte_tcp_hdr*>(candidate->ip + ip_length);
  candidate->l4_offset = ip_length;
  candidate->header_length = meta.payload_offset;
  candidate->payload = static_cast<uint16_t>(packet->pkt_len - meta.payload_offset);
  candidate->ipv4 = meta.family == 4;
  return true;
}

/// True for what may become part of a super-frame: a data packet in one buffer with no other flags than ACK and PSH.
bool is_joinable(const Candidate& candidate) {
  constexpr auto kNot = static_cast<uint16_t>(abi::Flag::FRAGMENT) | static_cast<uint16_t>(abi::Flag::SUPER_FRAME) |
                        static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  return (meta_of(candidate.packet)->flags & kNot) == 0 && candidate.payload > 0 && candidate.packet->nb_segs == 1 &&
         (candidate.tcp->tcp_flags & ~kSimpleFlags) == 0;
}

bool same_flow(const Candidate& a, const Candidate& b) {
  if (a.ipv4 != b.ipv4 || meta_of(a.packet)->in_port != meta_of(b.packet)->in_port) return false;
  const size_t offset = a.ipv4 ? offsetof(rte_ipv4_hdr, src_addr) : offsetof(rte_ipv6_hdr, src_addr);
  const size_t length = a.ipv4 ? 8 : 32;
  return std::memcmp(a.ip + offset, b.ip + offset, length) == 0 && std::memcmp(a.tcp, b.tcp, 4) == 0;  // both ports
}

/// Type of service or traffic class and flow label, TTL or hop limit, flags; IPv4 ids count up from the first packet's.
bool same_ip_header(const Group& group, const Candidate& next) {
  if (!next.ipv4) {
    return std::memcmp(group.first.ip, next.ip, 4) == 0 &&
           group.first.ip[offsetof(rte_ipv6_hdr, hop_limits)] == next.ip[offsetof(rte_ipv6_hdr, hop_limits)];
  }
  const auto* a = reinterpret_cast<const rte_ipv4_hdr*>(group.first.ip);
  const auto* b = reinterpret_cast<const rte_ipv4_hdr*>(next.ip);
  const uint16_t id = static_cast<uint16_t>(rte_be_to_cpu_16(a->packet_id) + group.packets);
  return a->type_of_service == b->type_of_service && a->time_to_live == b->time_to_live &&
         a->fragment_offset == b->fragment_offset && rte_be_to_cpu_16(b->packet_id) == id;
}

/// Acknowledgement number, window, urgent pointer, options and the bits beside the header's length (AccECN, RFC 9768);
/// PSH is gathered, the rest of the flags is equal by being simple.
bool same_tcp_header(const Group& group, const Candidate& next) {
  const rte_tcp_hdr& a = *group.first.tcp;
  const rte_tcp_hdr& b = *next.tcp;
  if (group.first.header_length != next.header_length || a.recv_ack != b.recv_ack || a.rx_win != b.rx_win) return false;
  if (a.data_off != b.data_off || a.tcp_urp != b.tcp_urp) return false;
  if (((a.tcp_flags ^ b.tcp_flags) & RTE_TCP_ACK_FLAG) != 0) return false;
  const size_t options = next.header_length - next.l4_offset - sizeof(rte_tcp_hdr);
  return std::memcmp(&a + 1, &b + 1, options) == 0;
}

/// The checksum of the first packet is only worth looking at once there is a second.
bool fits(const Group& group, const Candidate& next) {
  return group.open && rte_be_to_cpu_32(next.tcp->sent_seq) == group.next_sequence && next.payload <= group.size &&
         group.packets < kMostPackets && group.length + next.payload <= kMostBytes && same_ip_header(group, next) &&
         same_tcp_header(group, next) && checksum_is_right(next) &&
         (group.packets > 1 || checksum_is_right(group.first));
}

/// PSH or a shorter payload can only be the last packet's, or cutting the super-frame would give others.
bool ends_group(const Candidate& candidate, uint16_t size) {
  return candidate.payload < size || (candidate.tcp->tcp_flags & RTE_TCP_PSH_FLAG) != 0;
}

void begin(Group* group, const Candidate& first) {
  group->first = first;
  group->tail = first.packet;
  group->next_sequence = rte_be_to_cpu_32(first.tcp->sent_seq) + first.payload;
  group->length = first.packet->pkt_len;
  group->packets = 1;
  group->size = first.payload;
  group->open = !ends_group(first, first.payload);
}

/// Chains the packet's payload to the group. Its headers are gone then.
void join(Group* group, const Candidate& next) {
  rte_mbuf* head = group->first.packet;
  group->first.tcp->tcp_flags |= next.tcp->tcp_flags & RTE_TCP_PSH_FLAG;
  group->open = !ends_group(next, group->size);
  rte_pktmbuf_adj(next.packet, next.header_length);
  group->tail->next = next.packet;
  group->tail = next.packet;
  head->nb_segs++;
  head->pkt_len += next.payload;
  group->length += next.payload;
  group->next_sequence += next.payload;
  group->packets++;
}

/// Makes the super-frame's headers agree with its length.
void finish(const Group& group) {
  if (group.packets < 2) return;
  const Candidate& first = group.first;
  if (first.ipv4) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(first.ip);
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(group.length));
    ip->hdr_checksum = 0;
    ip->hdr_checksum = ~fold_sum(sum_bytes(ip, sizeof *ip));
  } else {
    auto* ip = reinterpret_cast<rte_ipv6_hdr*>(first.ip);
    ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(group.length - sizeof *ip));
  }
  first.tcp->cksum = pseudo_sum(first, group.length - first.l4_offset);
  PacketMeta& meta = *meta_of(first.packet);
  meta.flags |= static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  meta.gso_size = group.size;
}

/// The groups being built. When all are in use the oldest makes room.
class Groups {
 public:
  Group* find(const Candidate& candidate) {
    for (uint16_t i = 0; i < used_; i++) {
      if (same_flow(groups_[i].first, candidate)) return &groups_[i];
    }
    return nullptr;
  }

  /// Ends the given group, or the oldest when all are in use, and returns its place.
  Group* renew(Group* group) {
    if (group == nullptr && used_ < kOpenFlows) return &groups_[used_++];
    if (group == nullptr) group = &groups_[oldest_++ % kOpenFlows];
    finish(*group);
    return group;
  }

  void close_all() {
    for (uint16_t i = 0; i < used_; i++) groups_[i].open = false;
  }

  void finish_all() {
    for (uint16_t i = 0; i < used_; i++) finish(groups_[i]);
  }

 private:
  Group groups_[kOpenFlows];
  uint16_t used_ = 0, oldest_ = 0;
};

}  // namespace

uint16_t coalesce(rte_mbuf** packets, uint16_t count) {
  if (count < 2) return count;
  Groups groups;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < count; i++) {
    Candidate candidate;
    if (meta_of(packets[i])->protocol != IPPROTO_TCP) {
      packets[kept++] = packets[i];
      continue;
    }
    if (!find_headers(packets[i], &candidate)) {
      groups.close_all();  // it may be of any flow, and must not be overtaken
      packets[kept++] = packets[i];
      continue;
    }
    Group* group = groups.find(candidate);
    const bool joinable = is_joinable(candidate);
    if (group != nullptr && joinable && fits(*group, candidate)) {
      join(group, candidate);
      continue;
    }
    packets[kept++] = packets[i];
    if (group != nullptr) group->open = false;
    if (joinable) begin(groups.renew(group), candidate);
  }
  groups.finish_all();
  return kept;
}

}  // namespace sluice
