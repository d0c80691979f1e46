#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/packet.h"
#include "wasm/linear_memory.h"
#include "wasm/vectors.h"

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
static_assert(abi::kSlotTable == abi::kSlotCtState + 2 && abi::kSlotMark == abi::kSlotTable + 2);
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
  uint32_t settles, spare_base, spare_size;
};
static_assert(offsetof(BurstHeader, workers) == abi::kBurstWorkers);
static_assert(offsetof(BurstHeader, random) == abi::kBurstRandom);
static_assert(offsetof(BurstHeader, error_text) == abi::kBurstErrorText);
static_assert(offsetof(BurstHeader, settles) == abi::kBurstSettles);
static_assert(offsetof(BurstHeader, spare_size) == abi::kBurstSpareSize);

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
  static constexpr uint32_t address(uint16_t index) {
    return abi::kWindowBase + abi::kSlotsOffset + uint32_t{index} * abi::kSlotStride;
  }

  /// Puts packets into slots, `packets` by slot: metadata, link header, and up to `header_bytes` from the L3 header.
  void fill(const uint16_t* slots, uint16_t count, rte_mbuf* const* packets, uint16_t header_bytes);
  /// The same of the first `count` slots.
  void fill_all(uint16_t count, rte_mbuf* const* packets, uint16_t header_bytes);

  /// What a slot was when the stage was called, of what the host takes over: its first 16 bytes, which mean PASS and
  /// nothing written when they stay so, and the 16 with table and mark.
  struct alignas(32) Expected {
    uint64_t head, lengths;
    uint64_t tracking[2];
  };
  /// How many of the first `count` slots the stage left as they were, up to the first that it did not.
  uint16_t untouched(uint16_t count) const;
  /// What a stage did to all of that in one slot.
  class Change {
   public:
    Change(const uint8_t* slot_at, const Expected& expected)
        : slot_at_(slot_at),
          expected_(expected),
          head_(load_vector(slot_at) ^ load_vector(&expected.head)),
          tracking_(load_vector(slot_at + abi::kSlotCtState) ^ load_vector(expected.tracking)) {}

    bool is_none() const { return is_zero(head_ | tracking_); }
    /// No more than that it says that it changed header bytes, or its flow slot.
    bool is_mark() const {
      constexpr uint64_t kMarks =
          static_cast<uint64_t>(abi::Flag::WRITTEN) | static_cast<uint64_t>(abi::Flag::FLOW_WRITTEN);
      return is_zero((head_ & Vector{UINT64_MAX, ~(kMarks << 48)}) | tracking_);
    }
    /// Of a mark: header bytes, which are the packet's first head_length().
    bool is_written() const { return (slot_at_[abi::kSlotFlags] & static_cast<uint16_t>(abi::Flag::WRITTEN)) != 0; }
    const uint8_t* header() const { return slot_at_ + abi::kSlotHeadOffset; }
    uint16_t head_length() const { return static_cast<uint16_t>(expected_.head >> 48); }

   private:
    const uint8_t* const slot_at_;
    const Expected& expected_;
    const Vector head_, tracking_;  ///< bits that differ
  };
  Change change(uint16_t index) const { return {slot(index), expected_[index]}; }
  /// Takes a mark back.
  void unmark(uint16_t index) { store_vector(slot(index), load_vector(&expected_[index].head)); }
  /// Puts all of that back.
  void restore(uint16_t index) {
    std::memcpy(slot(index), &expected_[index].head, 16);
    std::memcpy(slot(index) + abi::kSlotCtState, expected_[index].tracking, 16);
  }
  /// Table and mark are so from now on.
  void set_course(uint16_t index, uint16_t table, uint32_t mark) {
    uint64_t& course = expected_[index].tracking[0];  // conntrack state and direction, table, mark
    course = (course & UINT16_MAX) | uint64_t{table} << 16 | uint64_t{mark} << 32;
  }
  /// Sets or clears NEW_SLOT for the next call.
  void set_new_slot(uint16_t index, bool fresh);

  uint16_t head_length(uint16_t index) const { return static_cast<uint16_t>(expected_[index].head >> 48); }

 private:
  SharedRegion region_;
  Expected expected_[abi::kMaxSlots];
};

}  // namespace sluice
