#include "l3/fragment.h"

#include <netinet/in.h>

#include <algorithm>

#include "l3/headers.h"

namespace sluice {
namespace {

constexpr uint32_t kFragmentHeader = 8;
constexpr uint8_t kOptionEnd = 0, kOptionNop = 1, kOptionCopied = 0x80;
constexpr uint32_t kMaxUnfragmentable = 512;

/// What goes before each piece of payload.
struct Heads {
  uint8_t first[kMaxUnfragmentable];
  uint8_t later[kMaxUnfragmentable];
  uint32_t first_length = 0;
  uint32_t later_length = 0;
  uint32_t skipped = 0;  ///< bytes of the packet that the heads stand for
};

/// RFC 791 section 3.1: later fragments carry the options with the copied flag.
void copy_options(const rte_ipv4_hdr* ip, uint32_t header, Heads& heads) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(ip);
  uint32_t to = sizeof *ip;
  for (uint32_t at = sizeof *ip; at < header && bytes[at] != kOptionEnd;) {
    if (bytes[at] == kOptionNop) {
      at++;
      continue;
    }
    const uint32_t length = at + 1 < header ? bytes[at + 1] : 0;
    if (length < 2 || at + length > header) break;
    if ((bytes[at] & kOptionCopied) != 0) {
      memcpy(heads.later + to, bytes + at, length);
      to += length;
    }
    at += length;
  }
  while (to % 4 != 0) heads.later[to++] = kOptionEnd;
  heads.later_length = to;
  heads.later[0] = static_cast<uint8_t>(0x40 | to / 4);
}

bool make_heads4(const rte_mbuf* packet, Heads& heads) {
  const rte_ipv4_hdr* ip = ipv4_of(packet);
  const uint32_t header = rte_ipv4_hdr_len(ip);
  if (packet->data_len < header) return false;
  memcpy(heads.first, ip, header);
  memcpy(heads.later, ip, sizeof *ip);
  heads.first_length = header;
  heads.skipped = header;
  copy_options(ip, header, heads);
  return true;
}

/// RFC 8200 section 4.5: up to and with the routing header, or the hop-by-hop options, headers go with each fragment.
bool make_heads6(WorkerContext& ctx, const rte_mbuf* packet, Heads& heads) {
  const uint8_t* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
  uint32_t end = sizeof(rte_ipv6_hdr), at = end;
  uint32_t next_field = 6, end_field = next_field;
  for (uint8_t next = ip[next_field]; next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;) {
    if (at + 8 > packet->data_len) return false;
    const uint32_t length = (ip[at + 1] + 1u) * 8;
    const bool stays = next != IPPROTO_DSTOPTS;  // destination options before a routing header are included by it
    next = ip[at];
    next_field = at;
    at += length;
    if (stays) {
      end = at;
      end_field = next_field;
    }
  }
  if (end > packet->data_len || end + kFragmentHeader > kMaxUnfragmentable) return false;
  memcpy(heads.first, ip, end);
  uint8_t* fragment = heads.first + end;
  fragment[0] = heads.first[end_field];
  fragment[1] = 0;
  heads.first[end_field] = IPPROTO_FRAGMENT;
  const rte_be32_t id = rte_cpu_to_be_32(ctx.next_packet_id++ | uint32_t{ctx.id} << 24);
  memcpy(fragment + 4, &id, sizeof id);
  heads.first_length = heads.later_length = end + kFragmentHeader;
  memcpy(heads.later, heads.first, heads.first_length);
  heads.skipped = end;
  return true;
}

/// Appends `length` bytes of `from` at `offset`, in as many buffers as it takes.
bool append_range(rte_mempool* pool, rte_mbuf* to, const rte_mbuf* from, uint32_t offset, uint32_t length) {
  while (length != 0) {
    rte_mbuf* last = rte_pktmbuf_lastseg(to);
    uint32_t room = rte_pktmbuf_tailroom(last);
    if (room == 0) {
      rte_mbuf* more = rte_pktmbuf_alloc(pool);
      if (more == nullptr) return false;
      if (rte_pktmbuf_chain(to, more) != 0) {
        rte_pktmbuf_free(more);
        return false;
      }
      last = more;
      room = rte_pktmbuf_tailroom(more);
    }
    const uint32_t piece = std::min(room, length);
    uint8_t* space = rte_pktmbuf_mtod_offset(last, uint8_t*, last->data_len);
    const void* bytes = rte_pktmbuf_read(from, offset, piece, space);
    if (bytes == nullptr) return false;
    if (bytes != space) memcpy(space, bytes, piece);
    last->data_len = static_cast<uint16_t>(last->data_len + piece);
    to->pkt_len += piece;
    offset += piece;
    length -= piece;
  }
  return true;
}

/// The fields that differ from fragment to fragment. `offset` is what the original's own offset adds up to.
void write_fields(rte_mbuf* piece, uint8_t family, uint32_t head, uint32_t offset, bool more) {
  if (family == 4) {
    rte_ipv4_hdr* ip = ipv4_of(piece);
    const uint16_t original = rte_be_to_cpu_16(ip->fragment_offset);
    const bool last_has_more = (original & RTE_IPV4_HDR_MF_FLAG) != 0;
    const uint16_t flags =
        static_cast<uint16_t>((original & RTE_IPV4_HDR_DF_FLAG) | (more || last_has_more ? RTE_IPV4_HDR_MF_FLAG : 0));
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(piece->pkt_len));
    ip->fragment_offset =
        rte_cpu_to_be_16(static_cast<uint16_t>(flags | ((original & RTE_IPV4_HDR_OFFSET_MASK) + offset / 8)));
    set_ipv4_checksum(ip);
  } else {
    rte_ipv6_hdr* ip = ipv6_of(piece);
    ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(piece->pkt_len - sizeof *ip));
    const rte_be16_t field = rte_cpu_to_be_16(static_cast<uint16_t>(offset | (more ? 1 : 0)));
    memcpy(rte_pktmbuf_mtod_offset(piece, uint8_t*, head - kFragmentHeader + 2), &field, sizeof field);
  }
}

rte_mbuf* make_piece(WorkerContext& ctx, const rte_mbuf* packet, const uint8_t* head, uint32_t head_length,
                     uint32_t offset, uint32_t length) {
  rte_mbuf* piece = rte_pktmbuf_alloc(ctx.pool);
  if (piece == nullptr) return nullptr;
  *meta_of(piece) = *meta_of(const_cast<rte_mbuf*>(packet));
  memcpy(rte_pktmbuf_append(piece, static_cast<uint16_t>(head_length)), head, head_length);
  if (append_range(ctx.pool, piece, packet, offset, length)) return piece;
  rte_pktmbuf_free(piece);
  return nullptr;
}

}  // namespace

uint16_t fragment_packet(WorkerContext& ctx, rte_mbuf* packet, uint32_t mtu, rte_mbuf** out) {
  const uint8_t family = meta_of(packet)->family;
  Heads heads;
  if (!(family == 4 ? make_heads4(packet, heads) : make_heads6(ctx, packet, heads))) return 0;
  const uint32_t payload = packet->pkt_len - heads.skipped;
  uint16_t count = 0;
  for (uint32_t done = 0; done < payload;) {
    const bool first = done == 0;
    const uint32_t head = first ? heads.first_length : heads.later_length;
    const uint32_t room = mtu > head ? (mtu - head) & ~7u : 0;
    const uint32_t left = payload - done;
    const bool more = head + left > mtu;
    const uint32_t length = more ? room : left;
    rte_mbuf* piece = nullptr;
    if (length != 0 && count < kMaxFragments) {
      piece = make_piece(ctx, packet, first ? heads.first : heads.later, head, heads.skipped + done, length);
    }
    if (piece == nullptr) {
      rte_pktmbuf_free_bulk(out, count);
      return 0;
    }
    write_fields(piece, family, head, done, more);
    meta_of(piece)->flags |= static_cast<uint16_t>(abi::Flag::FRAGMENT);
    out[count++] = piece;
    done += length;
  }
  rte_pktmbuf_free(packet);
  return count;
}

}  // namespace sluice
