#include "l3/reassembly.h"

#include <netinet/in.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>

#include "core/lock.h"
#include "core/tracer.h"
#include "l3/address.h"
#include "l3/headers.h"
#include "l3/icmp.h"
#include "l3/routing.h"
#include "parse/ipv6_chain.h"
#include "parse/parse.h"

namespace sluice {
namespace {

constexpr uint32_t kFragmentHeader = 8;
constexpr uint32_t kMaxLength4 = 65535;
constexpr uint32_t kMaxLength6 = 65535 + sizeof(rte_ipv6_hdr);

/// Takes the fragment header, which ends at `end`, out of the chain: what is before it, link header included, moves up.
void cut_fragment_header(rte_mbuf* packet, uint32_t end) {
  uint8_t* ip = rte_pktmbuf_mtod(packet, uint8_t*);
  const uint32_t at = end - kFragmentHeader;
  ip[next_header_field(ip, at)] = ip[at];
  const uint8_t l2_length = meta_of(packet)->l2_length;
  memmove(ip - l2_length + kFragmentHeader, ip - l2_length, l2_length + at);
  rte_pktmbuf_adj(packet, kFragmentHeader);
}

void write_whole_header(rte_mbuf* packet, uint8_t family, bool dont_fragment) {
  if (family == 4) {
    rte_ipv4_hdr* ip = ipv4_of(packet);
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len));
    ip->fragment_offset = dont_fragment ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
    set_ipv4_checksum(ip);
  } else {
    ipv6_of(packet)->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(packet->pkt_len - sizeof(rte_ipv6_hdr)));
  }
}

}  // namespace

bool Reassembler::Key::operator==(const Key& other) const {
  return id == other.id && table == other.table && family == other.family && protocol == other.protocol &&
         source == other.source && destination == other.destination;
}

uint32_t Reassembler::Key::hash() const {
  const uint32_t hash = rte_hash_crc(source.data(), 16, id ^ table);
  return rte_hash_crc(destination.data(), 16, hash ^ static_cast<uint32_t>(family << 8 | protocol));
}

Reassembler::Reassembler(Limits limits)
    : per_datagram_(limits.per_datagram),
      datagrams_(limits.datagrams),
      nodes_(limits.fragments),
      buckets_(rte_align32pow2(limits.datagrams), kNone),
      free_datagrams_(0),
      free_nodes_(0) {
  for (uint16_t i = 0; i < datagrams_.size(); i++) {
    datagrams_[i].older = i + 1u < datagrams_.size() ? static_cast<uint16_t>(i + 1) : kNone;
  }
  for (uint16_t i = 0; i < nodes_.size(); i++) {
    nodes_[i].next = i + 1u < nodes_.size() ? static_cast<uint16_t>(i + 1) : kNone;
  }
}

Reassembler::~Reassembler() {
  for (uint16_t i = oldest_; i != kNone; i = datagrams_[i].newer) {
    for (uint16_t n = datagrams_[i].nodes; n != kNone; n = nodes_[n].next) rte_pktmbuf_free(nodes_[n].packet);
  }
}

bool Reassembler::read_piece(const WorkerContext& ctx, const rte_mbuf* fragment, Piece& piece) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(fragment));
  const PortL3* port = ctx.routing->port(meta.in_port);
  piece.key.family = meta.family;
  piece.key.table = port != nullptr ? port->table : meta.table;
  memcpy(piece.key.source.data(), source_of(fragment, meta.family), address_bytes(meta.family));
  memcpy(piece.key.destination.data(), destination_of(fragment, meta.family), address_bytes(meta.family));
  if (meta.family == 4) {
    const rte_ipv4_hdr* ip = ipv4_of(fragment);
    const uint16_t field = rte_be_to_cpu_16(ip->fragment_offset);
    piece.key.id = ip->packet_id;
    piece.key.protocol = ip->next_proto_id;
    piece.header = rte_ipv4_hdr_len(ip);
    piece.offset = (field & RTE_IPV4_HDR_OFFSET_MASK) * RTE_IPV4_HDR_OFFSET_UNITS;
    piece.more = (field & RTE_IPV4_HDR_MF_FLAG) != 0;
    piece.dont_fragment = (field & RTE_IPV4_HDR_DF_FLAG) != 0;
  } else {
    Ipv6Chain chain;
    const auto* ip = rte_pktmbuf_mtod(fragment, const uint8_t*);
    if (!walk_ipv6_chain(ip, fragment->data_len, chain) || !chain.fragment) return false;
    memcpy(&piece.key.id, ip + chain.fragment_data - 4, sizeof piece.key.id);
    piece.header = chain.fragment_data;
    piece.offset = chain.fragment_offset;
    piece.more = chain.more;
    piece.dont_fragment = false;
  }
  // Parsing has seen to whole headers, lengths in eights and the end of 64 KiB.
  piece.length = fragment->pkt_len - piece.header;
  return true;
}

uint16_t Reassembler::find_or_create(WorkerContext& ctx, const Key& key) {
  for (uint16_t i = bucket_of(key); i != kNone; i = datagrams_[i].next_in_bucket) {
    if (datagrams_[i].key == key) return i;
  }
  if (free_datagrams_ == kNone) {
    drop_nodes(ctx, datagrams_[oldest_], abi::DropReason::ReassemblyFull);
    remove(oldest_);
  }
  const uint16_t index = free_datagrams_;
  Datagram& datagram = datagrams_[index];
  free_datagrams_ = datagram.older;
  datagram = {};
  datagram.key = key;
  datagram.deadline_ns = ctx.now_ns + (key.family == 4 ? kTimeout4Ns : kTimeout6Ns);
  datagram.nodes = kNone;
  uint16_t& bucket = bucket_of(key);
  datagram.next_in_bucket = bucket;
  bucket = index;
  datagram.older = newest_;
  datagram.newer = kNone;
  (newest_ == kNone ? oldest_ : datagrams_[newest_].newer) = index;
  newest_ = index;
  return index;
}

/// `before` becomes the node that the piece goes behind (kNone: it is the first). False: it overlaps or contradicts.
bool Reassembler::fits_in(const Datagram& datagram, const Piece& piece, uint16_t& before, bool& repeated) const {
  const uint32_t end = piece.offset + piece.length;
  if (datagram.total != 0 && (end > datagram.total || (!piece.more && end != datagram.total))) return false;
  before = kNone;
  repeated = false;
  for (uint16_t n = datagram.nodes; n != kNone; n = nodes_[n].next) {
    const Node& node = nodes_[n];
    if (node.offset == piece.offset && node.length == piece.length) {
      repeated = true;
      return true;
    }
    if (node.offset < end && piece.offset < node.offset + node.length) return false;
    if (!piece.more && node.offset >= end) return false;
    if (node.offset < piece.offset) before = n;
  }
  return true;
}

void Reassembler::insert(Datagram& datagram, const Piece& piece, rte_mbuf* fragment, uint16_t before) {
  const uint16_t index = free_nodes_;
  Node& node = nodes_[index];
  free_nodes_ = node.next;
  uint16_t& link = before == kNone ? datagram.nodes : nodes_[before].next;
  node = {fragment, piece.offset, piece.length, link};
  link = index;
  datagram.node_count++;
  datagram.have += piece.length;
  datagram.largest = std::max(datagram.largest, fragment->pkt_len);
  datagram.dont_fragment = datagram.dont_fragment || piece.dont_fragment;
  if (!piece.more) datagram.total = piece.offset + piece.length;
  // Only the first fragment's headers are needed.
  if (piece.offset != 0) rte_pktmbuf_adj(fragment, static_cast<uint16_t>(piece.header));
}

/// Chains the fragments behind the first, which keeps its headers. Null when the whole is longer than a packet can be:
/// the first may have more options than the others.
rte_mbuf* Reassembler::join(WorkerContext& ctx, Datagram& datagram) {
  rte_mbuf* whole = nodes_[datagram.nodes].packet;
  const uint32_t header = whole->pkt_len - nodes_[datagram.nodes].length;
  const bool v4 = datagram.key.family == 4;
  if (header + datagram.total > (v4 ? kMaxLength4 : kMaxLength6 + kFragmentHeader)) return nullptr;
  while (nodes_[datagram.nodes].next != kNone) {
    const uint16_t second = nodes_[datagram.nodes].next;
    if (rte_pktmbuf_chain(whole, nodes_[second].packet) != 0) return nullptr;
    if (unlikely(ctx.tracer != nullptr)) {
      ctx.tracer->end(ctx, nodes_[second].packet, "reassembly", "joined to the first fragment");
    }
    nodes_[datagram.nodes].next = nodes_[second].next;
    nodes_[second].next = free_nodes_;
    free_nodes_ = second;
  }
  nodes_[datagram.nodes].next = free_nodes_;
  free_nodes_ = datagram.nodes;
  datagram.nodes = kNone;
  if (!v4) cut_fragment_header(whole, header);
  write_whole_header(whole, datagram.key.family, datagram.dont_fragment);
  PacketMeta& meta = *meta_of(whole);
  meta.fragment_size = datagram.largest;
  meta.flags &= static_cast<uint16_t>(~static_cast<uint16_t>(abi::Flag::FRAGMENT));
  return whole;
}

void Reassembler::drop_nodes(WorkerContext& ctx, Datagram& datagram, abi::DropReason reason) {
  while (datagram.nodes != kNone) {
    const uint16_t index = datagram.nodes;
    datagram.nodes = nodes_[index].next;
    ctx.drop(nodes_[index].packet, reason);
    nodes_[index].next = free_nodes_;
    free_nodes_ = index;
  }
  datagram.node_count = 0;
}

void Reassembler::remove(uint16_t index) {
  Datagram& datagram = datagrams_[index];
  uint16_t* link = &bucket_of(datagram.key);
  while (*link != index) link = &datagrams_[*link].next_in_bucket;
  *link = datagram.next_in_bucket;
  (datagram.older == kNone ? oldest_ : datagrams_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? newest_ : datagrams_[datagram.newer].older) = datagram.older;
  datagram.older = free_datagrams_;
  free_datagrams_ = index;
}

rte_mbuf* Reassembler::add(WorkerContext& ctx, rte_mbuf* fragment) {
  Piece piece{};
  if (!read_piece(ctx, fragment, piece)) {
    ctx.drop(fragment, abi::DropReason::MalformedFragment);
    return nullptr;
  }
  rte_mbuf* whole = nullptr;
  {
    Locked locked(lock_);
    const uint16_t index = find_or_create(ctx, piece.key);
    Datagram& datagram = datagrams_[index];
    uint16_t before = kNone;
    bool repeated = false;
    if (datagram.spoilt || !fits_in(datagram, piece, before, repeated)) {
      datagram.spoilt = true;
      drop_nodes(ctx, datagram, abi::DropReason::MalformedFragment);
      ctx.drop(fragment, abi::DropReason::MalformedFragment);
      return nullptr;
    }
    if (repeated) {
      ctx.drop(fragment, abi::DropReason::MalformedFragment);
      return nullptr;
    }
    if (free_nodes_ == kNone || datagram.node_count == per_datagram_) {
      ctx.drop(fragment, abi::DropReason::ReassemblyFull);
      return nullptr;
    }
    insert(datagram, piece, fragment, before);
    if (datagram.total == 0 || datagram.have != datagram.total) return nullptr;
    whole = join(ctx, datagram);
    if (whole == nullptr) drop_nodes(ctx, datagram, abi::DropReason::MalformedFragment);
    remove(index);
  }
  if (whole == nullptr || parse_packet(whole)) return whole;
  ctx.drop(whole, static_cast<abi::DropReason>(meta_of(whole)->reason));
  return nullptr;
}

void Reassembler::tick(WorkerContext& ctx) {
  Locked locked(lock_);
  for (uint16_t i = oldest_; i != kNone;) {
    const uint16_t next = datagrams_[i].newer;
    Datagram& datagram = datagrams_[i];
    if (ctx.now_ns >= datagram.deadline_ns) {
      if (datagram.nodes != kNone && nodes_[datagram.nodes].offset == 0) {
        send_icmp_error(ctx, nodes_[datagram.nodes].packet, IcmpError::ReassemblyExpired);
      }
      drop_nodes(ctx, datagram, abi::DropReason::ReassemblyTimeout);
      remove(i);
    }
    i = next;
  }
}

}  // namespace sluice
