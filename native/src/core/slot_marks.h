#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

constexpr size_t kMaxFlowSlots = 8;  ///< plugins with flow state

/// What a flow record says of its plugins' slots. A writer of a slot sets its bit in `writes` before any byte changes,
/// and after all have, takes it away and counts the write. Whoever copies slots reads `writes` before and after.
struct SlotMarks {
  static constexpr uint32_t kOneWrite = 1u << kMaxFlowSlots;
  static constexpr uint32_t kAllSlots = kOneWrite - 1;

  uint8_t schemas[kMaxFlowSlots];  ///< by slot index, of the last write; 0: not written since the flow began
  uint32_t writes;                 ///< a bit for each slot that is being written; from kOneWrite on, writes done

  /// Whether a copy of any of `slots` (bits as in `writes`), made between two looks at `writes`, may be torn. The count
  /// does not say whose write was done, so that one done meanwhile makes it all of them.
  static bool torn(uint32_t slots, uint32_t before, uint32_t after) {
    return ((before & slots) | ((before ^ after) & (slots | ~kAllSlots))) != 0;
  }
};

}  // namespace sluice
