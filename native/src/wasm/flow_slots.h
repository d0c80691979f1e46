#pragma once

#include <rte_branch_prediction.h>
#include <rte_pause.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/shared_words.h"
#include "core/slot_marks.h"

namespace sluice {

/// A plugin's part of every flow's plugin area.
struct SlotAssignment {
  uint8_t index = 0;    ///< of its schema byte
  uint16_t offset = 0;  ///< a multiple of 8
  uint16_t size = 0;    ///< bytes, of an area of whole words of 8; 0: the plugin has no flow state
};

/// Where the stages' state lies in the flow records: memory owned by the flow table, addressed by flow number.
/// Workers that have packets of one flow read and write its slots at once. A reader gets what one write left, with its
/// schema; of two writes at once the first one is kept. Nobody waits for a writer for longer than `tries` (a worker can
/// be taken off its core), and no bit outlives the process that set it: FlowTable::restore_flow() clears them.
struct FlowSlots {
  static constexpr uint32_t kTries = 2048;  ///< for the flows of a call together: some tens of microseconds

  uint8_t* slots = nullptr;     ///< the plugin area of flow 0
  uint32_t slot_stride = 0;     ///< bytes from one flow's area to the next one's
  uint8_t* marks = nullptr;     ///< SlotMarks of flow 0
  uint32_t marks_stride = 0;    ///< bytes
  uint32_t flows = 0;           ///< flow numbers are below this
  uint16_t bytes_per_flow = 0;  ///< size of a plugin area
  bool shared = true;           ///< by several workers; one alone needs no look at `writes`, and no locked instruction

  uint8_t* slot(uint32_t flow, const SlotAssignment& part) const {
    return slots + size_t{flow} * slot_stride + part.offset;
  }
  SlotMarks& marks_of(uint32_t flow) const {
    return *reinterpret_cast<SlotMarks*>(marks + size_t{flow} * marks_stride);
  }

  uint8_t schema(uint32_t flow, uint8_t index) const {
    return __atomic_load_n(&marks_of(flow).schemas[index], __ATOMIC_RELAXED);
  }
  /// The slot was not written.
  void clear(uint32_t flow, uint8_t index) const {
    __atomic_store_n(&marks_of(flow).schemas[index], uint8_t{0}, __ATOMIC_RELAXED);
  }

  /// Whole words: up to 7 bytes more than the part's size. False when another worker was writing the slot all the time;
  /// `tries` are counted down.
  bool read(uint32_t flow, const SlotAssignment& part, uint8_t* to, uint8_t& schema, uint32_t& tries) const {
    const SlotMarks& marks = marks_of(flow);
    const uint32_t writing = 1u << part.index;
    while (true) {
      const uint32_t before = __atomic_load_n(&marks.writes, __ATOMIC_ACQUIRE);
      schema = __atomic_load_n(&marks.schemas[part.index], __ATOMIC_RELAXED);
      load_words(to, slot(flow, part), (part.size + 7u) & ~7u);
      // Words of a later write are not seen without its bit or its number.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (!shared) return true;
      const uint32_t after = __atomic_load_n(&marks.writes, __ATOMIC_RELAXED);
      if (likely(!SlotMarks::torn(writing, before, after))) return true;
      if (tries == 0) return false;
      tries--;
      rte_pause();
    }
  }
  /// False, and nothing written, when another worker is writing the slot.
  bool write(uint32_t flow, const SlotAssignment& part, const uint8_t* from, uint8_t schema) const {
    SlotMarks& marks = marks_of(flow);
    const uint32_t writing = 1u << part.index;
    const uint32_t before = shared ? __atomic_fetch_or(&marks.writes, writing, __ATOMIC_ACQUIRE) : marks.writes;
    if (unlikely((before & writing) != 0)) return false;
    if (!shared) __atomic_store_n(&marks.writes, before | writing, __ATOMIC_RELAXED);
    std::atomic_thread_fence(std::memory_order_release);  // no word is seen before the bit
    store_words(slot(flow, part), from, (part.size + 7u) & ~7u);
    __atomic_store_n(&marks.schemas[part.index], schema, __ATOMIC_RELAXED);
    if (shared) {
      __atomic_fetch_add(&marks.writes, SlotMarks::kOneWrite - writing, __ATOMIC_RELEASE);
    } else {
      __atomic_store_n(&marks.writes, before + SlotMarks::kOneWrite, __ATOMIC_RELEASE);
    }
    return true;
  }
};

/// Who owns which part of the plugin area, by plugin name. A plugin keeps its part while it is out of the pipeline,
/// until the room is needed. Its text form is kept beside the flow file, so that a restarted dataplane reads old flows
/// rightly.
class SlotRegistry {
 public:
  struct Entry {
    std::string plugin;  ///< empty: free
    SlotAssignment slot;
    uint8_t schema = 0;  ///< last schema version that was assigned
    bool in_use = false;
  };

  explicit SlotRegistry(uint16_t bytes_per_flow = 64) : bytes_per_flow_(bytes_per_flow) {}

  /// The part that `plugin` has, at least `size` bytes. Makes one where there is none, if need be in place of plugins
  /// that are not `in_use`. `fresh` is set when it is new: the caller clears that index's schema byte in all flows
  /// before use.
  Result<SlotAssignment> assign(const std::string& plugin, uint16_t size, uint8_t schema, bool& fresh);

  const Entry* find(const std::string& plugin) const;
  const std::array<Entry, kMaxFlowSlots>& entries() const { return entries_; }
  void mark_in_use(const std::string& plugin, bool in_use);

  std::string serialize() const;
  static Result<SlotRegistry> parse(const std::string& text, uint16_t bytes_per_flow);

 private:
  Entry* place(uint16_t size);

  uint16_t bytes_per_flow_;
  std::array<Entry, kMaxFlowSlots> entries_;
};

}  // namespace sluice
