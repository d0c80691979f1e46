#include "wasm/window.h"

#include <immintrin.h>
#include <netinet/in.h>
#include <rte_ether.h>

namespace sluice {

namespace {

constexpr uint64_t kTruncated = uint64_t{static_cast<uint16_t>(abi::Flag::TRUNCATED_VIEW)} << 48;

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

constexpr uint64_t kHostFlags = static_cast<uint64_t>(abi::Flag::FRAGMENT) |
                                static_cast<uint64_t>(abi::Flag::PARTIAL_CHECKSUM) |
                                static_cast<uint64_t>(abi::Flag::SUPER_FRAME) |
                                static_cast<uint64_t>(abi::Flag::ICMP_ERROR) | static_cast<uint64_t>(abi::Flag::TRACED);

static_assert(offsetof(rte_mbuf, packet_type) == 32 && offsetof(rte_mbuf, pkt_len) == 36 &&
              offsetof(rte_mbuf, data_len) == 40);

/// Stores the four header offsets, those of headers outside the view zeroed.
void hide_offsets(uint8_t* slot_at, const PacketMeta& meta, uint16_t head_length) {
  uint16_t l4 = meta.l4_offset, inner_l3 = meta.inner_l3_offset, inner_l4 = meta.inner_l4_offset;
  if (l4 + least_l4(meta.protocol) > head_length) l4 = 0;
  constexpr uint16_t kIpv4Header = 20, kIpv6Header = 40, kQuotedL4 = 8;  // RFC 792: 8 bytes of L4 are quoted at least
  if (inner_l3 + (meta.family == 4 ? kIpv4Header : kIpv6Header) > head_length) inner_l3 = inner_l4 = 0;
  if (inner_l4 + kQuotedL4 > head_length) inner_l4 = 0;
  const uint16_t offsets[] = {l4, meta.payload_offset, inner_l3, inner_l4};
  std::memcpy(slot_at + abi::kSlotL4Offset, offsets, sizeof(offsets));
}

/// Copies the first `size` bytes of a packet whose first segment is shorter.
void copy_segments(uint8_t* to, const rte_mbuf* packet, uint32_t size) {
  for (uint32_t done = 0; done < size; packet = packet->next) {
    const uint32_t part = RTE_MIN(uint32_t{packet->data_len}, size - done);
    std::memcpy(to + done, rte_pktmbuf_mtod(packet, const uint8_t*), part);
    done += part;
  }
}

void fill_rare(uint8_t* slot_at, Window::Expected& expected, const rte_mbuf* packet, uint32_t header_bytes);

namespace narrow {
#include "wasm/window_fill.inc"
}

#define SLUICE_WIDE_VECTORS
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace wide {
#include "wasm/window_fill.inc"
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef SLUICE_WIDE_VECTORS

const bool kWide = __builtin_cpu_supports("avx2");

/// Any packet.
__rte_noinline void fill_rare(uint8_t* slot_at, Window::Expected& expected, const rte_mbuf* packet,
                              uint32_t header_bytes) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  const uint32_t size = RTE_MIN(packet->pkt_len, header_bytes);
  uint8_t* const to = slot_at + abi::kSlotHeadOffset;
  if (packet->data_len >= size) {
    copy_apart(to, rte_pktmbuf_mtod(packet, const uint8_t*), size);
  } else {
    copy_segments(to, packet, size);
  }
  const uint32_t l2 = meta.l2_length;
  if (l2 > 0 && l2 <= abi::kSlotHeadroom) std::memcpy(to - l2, rte_pktmbuf_mtod(packet, const uint8_t*) - l2, l2);
  const uint64_t placement = uint64_t{l2} << 8 | uint64_t{abi::kSlotHeadOffset} << 32 | uint64_t{size} << 48;
  const uint64_t truncated = packet->pkt_len > size ? kTruncated : 0;
  narrow::store_meta(slot_at, expected, Vector{placement, packet->pkt_len | truncated},
                     reinterpret_cast<const uint64_t*>(&meta));
  hide_offsets(slot_at, meta, static_cast<uint16_t>(size));
}

}  // namespace

void Window::fill(const uint16_t* slots, uint16_t count, rte_mbuf* const* packets, uint16_t header_bytes) {
  const auto slot_of = [slots](uint32_t i) { return slots[i]; };
  (kWide ? wide::fill<decltype(slot_of)> : narrow::fill<decltype(slot_of)>)(slot(0), expected_, packets, header_bytes,
                                                                            count, slot_of);
}

void Window::fill_all(uint16_t count, rte_mbuf* const* packets, uint16_t header_bytes) {
  const auto slot_of = [](uint32_t i) { return i; };
  (kWide ? wide::fill<decltype(slot_of)> : narrow::fill<decltype(slot_of)>)(slot(0), expected_, packets, header_bytes,
                                                                            count, slot_of);
}

uint16_t Window::untouched(uint16_t count) const {
  const uint8_t* slot_at = slot(0);
  uint32_t i = 0;
  while (i < count && Change(slot_at, expected_[i]).is_none()) i++, slot_at += abi::kSlotStride;
  return static_cast<uint16_t>(i);
}

Result<Window> Window::create() {
  Window window;
  Result<SharedRegion> region = SharedRegion::create("sluice-window", abi::kWindowSize, abi::kWindowBase, true);
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
