#pragma once

#include <string>
#include <vector>

#include "generated/abi.h"
#include "wasm/modules.h"

// Stages in several versions, for tests of swaps and shadow runs.

namespace sluice::testing {

constexpr uint32_t kFlowWritten = static_cast<uint32_t>(abi::Flag::FLOW_WRITTEN);
constexpr uint32_t kNewSlot = static_cast<uint32_t>(abi::Flag::NEW_SLOT);

inline std::string burst(uint32_t field) {
  return "(i32.load " + i32(abi::kWindowBase + field) + ")";
}

/// Marks packets with the 4 bytes of text that it was configured with; refuses "bad", and traps on "trap".
inline StageText configured(const std::string& version = "1.0.0") {
  StageText stage{for_each_slot(store32(abi::kSlotMark, "(i32.load " + burst(abi::kBurstSegmentBase) + ")"))};
  stage.manifest = {{"segmentBytes", 8192}, {"version", version}};
  stage.extra = R"((data (i32.const 1000) "no good")
    (func (export "configure") (result i32)
      (if (i32.eq (i32.load (i32.const 33554432)) (i32.const 0x70617274)) (then unreachable))
      (if (i32.eq (i32.and (i32.load (i32.const 33554432)) (i32.const 0xffffff)) (i32.const 0x646162)) (then
        (i64.store offset=64 (i32.const 16777216) (i64.load (i32.const 1000)))
        (i32.store offset=40 (i32.const 16777216) (i32.const 7))
        (return (i32.const 1))))
      (if (i32.eq (i32.load8_u (i32.const 33554432)) (i32.const 0x4c)) (then (return (i32.const 2))))
      (if (i32.load offset=4 )" +
                burst(abi::kBurstSegmentBase) + R"() (then unreachable)) ;; it must be empty
      (i32.store )" +
                burst(abi::kBurstSegmentBase) + R"( (i32.load (i32.const 33554432)))
      (i32.store offset=4 )" +
                burst(abi::kBurstSegmentBase) + R"( (i32.const -1))
      (i32.const 0)))";
  return stage;
}

/// Counts packets in counter 0, and marks them with `mark`.
inline StageText counting(const std::string& version, uint32_t mark) {
  StageText stage{
      for_each_slot("(i64.store (i32.const 17825792) (i64.add (i64.load (i32.const 17825792)) (i64.const 1)))" +
                    store32(abi::kSlotMark, i32(mark)))};
  stage.manifest = {{"counters", {"seen"}}, {"version", version}};
  return stage;
}

/// Gives a flow the number `stamp` once, and marks its packets with it.
inline StageText stamping(uint8_t schema, uint32_t stamp, uint16_t size = 4) {
  StageText stage{for_each_slot("(if (i32.and " + load16(abi::kSlotFlags) + i32(kNewSlot) + ") (then " +
                                store32(abi::kSlotFlowState, i32(stamp)) + set_flag(kFlowWritten) + "))" +
                                store32(abi::kSlotMark, load32(abi::kSlotFlowState)))};
  stage.manifest = {{"flowState", {{"size", size}, {"schema", schema}}}, {"version", std::to_string(schema) + ".0.0"}};
  return stage;
}
/// The same in a new schema: what schema `from` stamped with n becomes n + 1000.
inline StageText migrating(uint8_t schema, std::vector<int> from, uint32_t stamp) {
  StageText stage = stamping(schema, stamp);
  stage.manifest["migratesFrom"] = from;
  stage.extra =
      R"((func (export "migrate") (param $from i32) (param $count i32) )" +
      for_each_slot(store32(abi::kSlotFlowState, "(i32.add (i32.const 1000) " + load32(abi::kSlotFlowState) + ")")) +
      ")";
  return stage;
}

}  // namespace sluice::testing
