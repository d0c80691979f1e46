#include "wasm/window.h"

#include <netinet/in.h>
#include <rte_memcpy.h>

namespace sluice {

namespace {

/// Bytes of an L4 header that must be in the window for its offset to be told.
uint16_t least_l4(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return 20;
    case IPPROTO_SCTP:
      return 12;
    default:
      return 8;
  }
}

/// The four header offsets, those of headers outside the window zeroed.
uint64_t visible_offsets(const PacketMeta& meta, uint16_t head_length) {
  uint16_t l4 = meta.l4_offset, inner_l3 = meta.inner_l3_offset, inner_l4 = meta.inner_l4_offset;
  if (l4 + least_l4(meta.protocol) > head_length) l4 = 0;
  constexpr uint16_t kIpv4Header = 20, kIpv6Header = 40, kQuotedL4 = 8;  // RFC 792: at least 8 bytes of L4 are quoted
  if (inner_l3 + (meta.family == 4 ? kIpv4Header : kIpv6Header) > head_length) inner_l3 = inner_l4 = 0;
  if (inner_l4 + kQuotedL4 > head_length) inner_l4 = 0;
  return l4 | uint64_t{meta.payload_offset} << 16 | uint64_t{inner_l3} << 32 | uint64_t{inner_l4} << 48;
}

inline void copy_head(uint8_t* to, const uint8_t* from, uint16_t size, uint16_t header_bytes) {
  if (likely(size == header_bytes)) {
    // header_bytes is a multiple of 64: whole lines, no tail.
    for (uint16_t at = 0; at < header_bytes; at += 64) rte_mov64(to + at, from + at);
  } else {
    rte_memcpy(to, from, size);
  }
}

/// Copies from all segments. Not for the common packet.
void copy_segments(uint8_t* to, const rte_mbuf* packet, uint16_t size) {
  for (uint16_t done = 0; done < size; packet = packet->next) {
    const uint16_t part = RTE_MIN(packet->data_len, static_cast<uint16_t>(size - done));
    std::memcpy(to + done, rte_pktmbuf_mtod(packet, const uint8_t*), part);
    done = static_cast<uint16_t>(done + part);
  }
}

constexpr uint16_t kHostFlags =
    static_cast<uint16_t>(abi::Flag::FRAGMENT) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM) |
    static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::ICMP_ERROR);

}  // namespace

Result<Window> Window::create() {
  Window window;
  Result<SharedRegion> region = SharedRegion::create("sluice-window", abi::kWindowSize, true);
  if (!region) return region.error();
  window.region_ = std::move(region.value());
  return window;
}

void Window::fill(uint16_t index, rte_mbuf* packet, uint16_t header_bytes) {
  const PacketMeta& meta = *meta_of(packet);
  uint8_t* const slot_at = slot(index);
  const uint32_t length = packet->pkt_len;
  const uint16_t size = static_cast<uint16_t>(RTE_MIN(length, uint32_t{header_bytes}));
  const uint8_t* head = rte_pktmbuf_mtod(packet, const uint8_t*);
  if (likely(packet->data_len >= size)) {
    copy_head(slot_at + abi::kSlotHeadOffset, head, size, header_bytes);
  } else {
    copy_segments(slot_at + abi::kSlotHeadOffset, packet, size);
  }
  const uint8_t l2 = meta.l2_length;
  if (likely(l2 == 14)) {
    std::memcpy(slot_at + abi::kSlotHeadOffset - 14, head - 14, 14);
  } else if (l2 > 0 && l2 <= abi::kSlotHeadroom) {
    std::memcpy(slot_at + abi::kSlotHeadOffset - l2, head - l2, l2);
  }
  uint64_t flags = meta.flags & kHostFlags;
  if (length > size) flags |= static_cast<uint16_t>(abi::Flag::TRUNCATED_VIEW);
  uint16_t family_protocol;
  std::memcpy(&family_protocol, &meta.family, 2);
  uint64_t offsets;
  if (likely(meta.payload_offset <= size && meta.l4_offset <= meta.payload_offset && meta.inner_l3_offset == 0)) {
    std::memcpy(&offsets, &meta.l4_offset, 8);
  } else {
    offsets = visible_offsets(meta, size);
  }
  uint32_t ports;
  std::memcpy(&ports, &meta.in_port, 4);
  uint16_t ct;
  std::memcpy(&ct, &meta.ct_state, 2);
  // Eight stores, composed in registers, in the order of SlotMeta.
  const uint64_t words[8] = {
      uint64_t{l2} << 8 | uint64_t{abi::kSlotHeadOffset} << 32 | uint64_t{size} << 48,
      length | uint64_t{family_protocol} << 32 | flags << 48,
      offsets,
      meta.hash | uint64_t{ports} << 32,
      ct | uint64_t{meta.table} << 16 | uint64_t{meta.mark} << 32,
      meta.flow,
      0,
      0,
  };
  auto* out = reinterpret_cast<uint64_t*>(slot_at);
  for (int i = 0; i < 8; i++) out[i] = words[i];
  expected_[index] = {words[0], words[1]};
}

void Window::set_new_slot(uint16_t index, bool fresh) {
  constexpr uint64_t kBit = uint64_t{static_cast<uint16_t>(abi::Flag::NEW_SLOT)} << 48;
  const uint64_t lengths = fresh ? expected_[index].lengths | kBit : expected_[index].lengths & ~kBit;
  expected_[index].lengths = lengths;
  std::memcpy(slot(index) + 8, &lengths, 8);
}

}  // namespace sluice
