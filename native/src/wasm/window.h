#pragma once

#include <rte_mbuf.h>

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
  uint32_t trace;
  uint8_t next_hop[16];
};
static_assert(sizeof(SlotMeta) == 64);
static_assert(offsetof(SlotMeta, flags) == abi::kSlotFlags && offsetof(SlotMeta, hash) == abi::kSlotHash);
static_assert(offsetof(SlotMeta, table) == abi::kSlotTable && offsetof(SlotMeta, next_hop) == abi::kSlotNextHop);

/// The burst header as the ABI lays it out.
struct BurstHeader {
  uint32_t count, hook;
  uint64_t now_ns;
  uint32_t segment_base, segment_size, worker, generation, current, input_length, error_length, unused;
  uint64_t random, wall_ns;
  char error_text[abi::kBurstErrorTextSize];
};
static_assert(offsetof(BurstHeader, random) == abi::kBurstRandom);
static_assert(offsetof(BurstHeader, error_text) == abi::kBurstErrorText);

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
  /// Puts the first 16 bytes back, with `flags` or'ed into them.
  void restore(uint16_t index) { std::memcpy(slot(index), &expected_[index], 16); }
  /// Sets or clears NEW_SLOT for the next call.
  void set_new_slot(uint16_t index, bool fresh);

  uint16_t head_length(uint16_t index) const { return static_cast<uint16_t>(expected_[index].head >> 48); }

 private:
  SharedRegion region_;
  Expected expected_[abi::kMaxSlots];
};

}  // namespace sluice
