#pragma once

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/packet.h"
#include "wasm/linear_memory.h"

namespace sluice {

/// A slot's metadata as the ABI lays it out (abi.json, "slot"); header offsets are from the head.
struct SlotMeta {
  uint8_t verdict;
  uint8_t l2_length;
  uint16_t reason;
  uint16_t head;
  uint16_t head_length;
  uint32_t packet_length;
  uint8_t family;
  uint8_t protocol;
  uint16_t flags;
  uint16_t l4_offset, payload_offset, inner_l3_offset, inner_l4_offset;
  uint32_t hash;
  uint16_t in_port, out_port;
  uint8_t ct_state, ct_direction;
  uint16_t table;
  uint32_t mark;
  uint32_t flow;
  uint32_t spare;
  uint8_t next_hop[16];
};
static_assert(sizeof(SlotMeta) == 64);
static_assert(offsetof(SlotMeta, flags) == abi::kSlotFlags && offsetof(SlotMeta, hash) == abi::kSlotHash);
static_assert(offsetof(SlotMeta, table) == abi::kSlotTable && offsetof(SlotMeta, next_hop) == abi::kSlotNextHop);

// PacketMeta has these fields at the same places: see Window::fill().
static_assert(offsetof(PacketMeta, l2_length) == offsetof(SlotMeta, l2_length));
static_assert(offsetof(PacketMeta, family) == offsetof(SlotMeta, family));
static_assert(offsetof(PacketMeta, flags) == offsetof(SlotMeta, flags));
static_assert(offsetof(PacketMeta, l4_offset) == 16 && offsetof(SlotMeta, l4_offset) == 16);
static_assert(offsetof(PacketMeta, inner_l4_offset) == offsetof(SlotMeta, inner_l4_offset));
static_assert(offsetof(PacketMeta, hash) == offsetof(SlotMeta, hash));
static_assert(offsetof(PacketMeta, out_port) == offsetof(SlotMeta, out_port));
static_assert(offsetof(PacketMeta, ct_state) == 32 && offsetof(SlotMeta, ct_state) == 32);
static_assert(offsetof(PacketMeta, table) == offsetof(SlotMeta, table));
static_assert(offsetof(PacketMeta, mark) == offsetof(SlotMeta, mark));
static_assert(offsetof(PacketMeta, flow) == offsetof(SlotMeta, flow));

/// The burst header as the ABI lays it out.
struct BurstHeader {
  uint32_t count, hook;
  uint64_t now_ns;
  uint32_t segment_base, segment_size, worker, generation, current, input_length, error_length, workers;
  uint64_t random, wall_ns;
  char error_text[abi::kBurstErrorTextSize];
  uint32_t settles;
};
static_assert(offsetof(BurstHeader, workers) == abi::kBurstWorkers);
static_assert(offsetof(BurstHeader, random) == abi::kBurstRandom);
static_assert(offsetof(BurstHeader, error_text) == abi::kBurstErrorText);
static_assert(offsetof(BurstHeader, settles) == abi::kBurstSettles);

/// A burst window: pages that are mapped at abi::kWindowBase into instances, and what the host knows about the packets
/// in it. Stages may write anything there, so the host reads back only what it checks against its own copy.
class Window {
 public:
  static Result<Window> create();

  const SharedRegion& region() const { return region_; }
  BurstHeader& header() const { return *reinterpret_cast<BurstHeader*>(region_.data()); }
  uint8_t* slot(uint16_t index) const { return region_.data() + abi::kSlotsOffset + size_t{index} * abi::kSlotStride; }
  SlotMeta& meta(uint16_t index) const { return *reinterpret_cast<SlotMeta*>(slot(index)); }
  uint32_t* list() const { return reinterpret_cast<uint32_t*>(region_.data() + abi::kSlotListOffset); }
  static uint32_t address(uint16_t index) {
    return abi::kWindowBase + abi::kSlotsOffset + uint32_t{index} * abi::kSlotStride;
  }

  /// Puts a packet into a slot: metadata, link header, and up to `header_bytes` (a multiple of 64) from its L3 header.
  void fill(uint16_t index, rte_mbuf* packet, uint16_t header_bytes);

  /// What a slot's first 16 bytes were when the stage was called; equal bytes mean PASS and nothing written.
  struct alignas(16) Expected {
    uint64_t head, lengths;
  };
  Expected& expected(uint16_t index) { return expected_[index]; }
  /// True when the stage left the first 16 bytes as they were.
  bool untouched(uint16_t index) const {
    const uint8_t* now = slot(index);
    uint64_t head, lengths;
    std::memcpy(&head, now, 8);
    std::memcpy(&lengths, now + 8, 8);
    return ((head ^ expected_[index].head) | (lengths ^ expected_[index].lengths)) == 0;
  }
  /// Puts the first 16 bytes back.
  void restore(uint16_t index) { std::memcpy(slot(index), &expected_[index], 16); }
  /// Sets or clears NEW_SLOT for the next call.
  void set_new_slot(uint16_t index, bool fresh);

  uint16_t head_length(uint16_t index) const { return static_cast<uint16_t>(expected_[index].head >> 48); }

 private:
  static constexpr uint64_t kHostFlags =
      static_cast<uint64_t>(abi::Flag::FRAGMENT) | static_cast<uint64_t>(abi::Flag::PARTIAL_CHECKSUM) |
      static_cast<uint64_t>(abi::Flag::SUPER_FRAME) | static_cast<uint64_t>(abi::Flag::ICMP_ERROR) |
      static_cast<uint64_t>(abi::Flag::TRACED);

  using Vector = uint64_t __attribute__((vector_size(16)));
  static Vector load_vector(const uint64_t* from) {
    Vector value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
  static void store_vector(uint64_t* to, Vector value) { std::memcpy(to, &value, sizeof(value)); }

  /// Copies the first `size` bytes of a packet that is shorter than the view, or whose first segment is.
  static void copy_short(uint8_t* to, const rte_mbuf* packet, uint16_t size);
  /// The four header offsets, those of headers outside the view zeroed.
  static uint64_t visible_offsets(const PacketMeta& meta, uint16_t head_length);

  SharedRegion region_;
  Expected expected_[abi::kMaxSlots];
};

// In the header because it is most of what a stage costs.
inline void Window::fill(uint16_t index, rte_mbuf* packet, uint16_t header_bytes) {
  const PacketMeta& meta = *meta_of(packet);
  uint8_t* const slot_at = slot(index);
  uint8_t* const to = slot_at + abi::kSlotHeadOffset;
  const uint8_t* const head = rte_pktmbuf_mtod(packet, const uint8_t*);
  const uint32_t length = packet->pkt_len;
  uint16_t size = header_bytes;
  if (likely(packet->data_len >= header_bytes)) {
    // A multiple of 64: whole lines, no tail.
    for (uint16_t at = 0; at < header_bytes; at += 64) rte_mov64(to + at, head + at);
  } else {
    size = static_cast<uint16_t>(RTE_MIN(length, uint32_t{header_bytes}));
    copy_short(to, packet, size);
  }
  const auto* words = reinterpret_cast<const uint64_t*>(&meta);
  const uint64_t l2 = meta.l2_length;
  if (likely(l2 == 14)) {
    std::memcpy(to - 14, head - 14, 14);
  } else if (l2 > 0 && l2 <= abi::kSlotHeadroom) {
    std::memcpy(to - l2, head - l2, l2);
  }
  constexpr uint64_t kFamilyToFlags = kHostFlags << 48 | uint64_t{0xffff} << 32;
  constexpr uint64_t kTruncated = uint64_t{static_cast<uint16_t>(abi::Flag::TRUNCATED_VIEW)} << 48;
  const uint64_t first = l2 << 8 | uint64_t{abi::kSlotHeadOffset} << 32 | uint64_t{size} << 48;
  const uint64_t second = length | (words[1] & kFamilyToFlags) | (length > size ? kTruncated : 0);
  auto* out = reinterpret_cast<uint64_t*>(slot_at);
  // These words stay apart: joined into a vector they would go over the stack, and stall for want of store forwarding.
  const auto put = [](uint64_t* at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); };
  put(out, first);
  put(out + 1, second);
  put(&expected_[index].head, first);
  put(&expected_[index].lengths, second);
  // The rest as it lies in PacketMeta: offsets, hash, ports; conntrack, table, mark, flow, and a zero behind it.
  const Vector facts = load_vector(words + 2), tracking = load_vector(words + 4) & Vector{UINT64_MAX, UINT32_MAX};
  store_vector(out + 2, facts);
  store_vector(out + 4, tracking);
  store_vector(out + 6, Vector{0, 0});
  if (unlikely(meta.payload_offset > size || meta.l4_offset > meta.payload_offset || meta.inner_l3_offset != 0)) {
    put(out + 2, visible_offsets(meta, size));
  }
}

}  // namespace sluice
