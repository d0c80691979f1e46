#include "wasm/window.h"

#include <netinet/in.h>
#include <rte_ether.h>

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

}  // namespace

uint64_t Window::visible_offsets(const PacketMeta& meta, uint16_t head_length) {
  uint16_t l4 = meta.l4_offset, inner_l3 = meta.inner_l3_offset, inner_l4 = meta.inner_l4_offset;
  if (l4 + least_l4(meta.protocol) > head_length) l4 = 0;
  constexpr uint16_t kIpv4Header = 20, kIpv6Header = 40, kQuotedL4 = 8;  // RFC 792: 8 bytes of L4 are quoted at least
  if (inner_l3 + (meta.family == 4 ? kIpv4Header : kIpv6Header) > head_length) inner_l3 = inner_l4 = 0;
  if (inner_l4 + kQuotedL4 > head_length) inner_l4 = 0;
  return l4 | uint64_t{meta.payload_offset} << 16 | uint64_t{inner_l3} << 32 | uint64_t{inner_l4} << 48;
}

void Window::copy_segments(uint8_t* to, const rte_mbuf* packet, uint32_t size) {
  for (uint32_t done = 0; done < size; packet = packet->next) {
    const uint32_t part = RTE_MIN(uint32_t{packet->data_len}, size - done);
    std::memcpy(to + done, rte_pktmbuf_mtod(packet, const uint8_t*), part);
    done += part;
  }
}

inline void Window::copy_head(uint8_t* to, const rte_mbuf* packet, uint32_t size) {
  if (likely(packet->data_len >= size)) {
    copy_apart(to, rte_pktmbuf_mtod(packet, const uint8_t*), size);
  } else {
    copy_segments(to, packet, size);
  }
}

inline void Window::fill_slot(uint16_t index, const rte_mbuf* packet, uint32_t header_bytes) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  uint8_t* const slot_at = slot(index);
  uint8_t* const to = slot_at + abi::kSlotHeadOffset;
  const uint32_t length = packet->pkt_len;
  const uint32_t size = RTE_MIN(length, header_bytes);
  copy_head(to, packet, size);
  const auto* words = reinterpret_cast<const uint64_t*>(&meta);
  const uint64_t l2 = meta.l2_length;
  const uint8_t* const head = rte_pktmbuf_mtod(packet, const uint8_t*);
  if (likely(l2 == RTE_ETHER_HDR_LEN)) {
    std::memcpy(to - RTE_ETHER_HDR_LEN, head - RTE_ETHER_HDR_LEN, RTE_ETHER_HDR_LEN);
  } else if (l2 > 0 && l2 <= abi::kSlotHeadroom) {
    std::memcpy(to - l2, head - l2, l2);
  }
  constexpr uint64_t kFamilyToFlags = kHostFlags << 48 | uint64_t{0xffff} << 32;
  constexpr uint64_t kTruncated = uint64_t{static_cast<uint16_t>(abi::Flag::TRUNCATED_VIEW)} << 48;
  const uint64_t first = l2 << 8 | uint64_t{abi::kSlotHeadOffset} << 32 | uint64_t{size} << 48;
  const uint64_t second = length | (words[1] & kFamilyToFlags) | (length > size ? kTruncated : 0);
  auto* out = reinterpret_cast<uint64_t*>(slot_at);
  Expected& expected = expected_[index];
  // These words stay apart: joined into a vector they would go over the stack, and stall for want of store forwarding.
  const auto put = [](uint64_t* at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); };
  put(out, first);
  put(out + 1, second);
  put(&expected.head, first);
  put(&expected.lengths, second);
  // The rest as it lies in PacketMeta: offsets, hash, ports; conntrack, table, mark, flow, and a zero behind it.
  const Vector facts = load_vector(words + 2), tracking = load_vector(words + 4) & Vector{UINT64_MAX, UINT32_MAX};
  store_vector(out + 2, facts);
  store_vector(out + 4, tracking);
  store_vector(expected.tracking, tracking);
  store_vector(out + 6, Vector{0, 0});
  if (unlikely(meta.payload_offset > size || meta.l4_offset > meta.payload_offset || meta.inner_l3_offset != 0)) {
    put(out + 2, visible_offsets(meta, static_cast<uint16_t>(size)));
  }
}

void Window::fill(const uint16_t* slots, uint16_t count, rte_mbuf* const* packets, uint16_t header_bytes) {
  for (uint32_t i = 0; i < count; i++) fill_slot(slots[i], packets[slots[i]], header_bytes);
}

Result<Window> Window::create() {
  Window window;
  Result<SharedRegion> region = SharedRegion::create("sluice-window", abi::kWindowSize, true);
  if (!region) return region.error();
  window.region_ = std::move(region.value());
  return window;
}

void Window::set_new_slot(uint16_t index, bool fresh) {
  constexpr uint64_t kBit = uint64_t{static_cast<uint16_t>(abi::Flag::NEW_SLOT)} << 48;
  const uint64_t lengths = fresh ? expected_[index].lengths | kBit : expected_[index].lengths & ~kBit;
  expected_[index].lengths = lengths;
  std::memcpy(slot(index) + 8, &lengths, 8);
}

}  // namespace sluice
