// A flow's plugin state while two workers have packets of the flow.
#include "wasm/flow_slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

constexpr SlotAssignment kPart{3, 8, 40}, kOther{4, 48, 16};
using State = std::array<uint8_t, 40>;

State filled(uint8_t value) {
  State state;
  state.fill(value);
  return state;
}

class FlowSlotsTest : public ::testing::Test {
 protected:
  void write(uint8_t value) { EXPECT_TRUE(slots.write(1, kPart, filled(value).data(), value)); }
  /// The value of all bytes and of the schema; -1: the slot could not be read; -2: of different writes.
  int read(uint32_t tries = FlowSlots::kTries) {
    State state = filled(0xee);
    uint8_t schema = 0;
    if (!slots.read(1, kPart, state.data(), schema, tries)) return -1;
    return state == filled(schema) ? schema : -2;
  }
  uint32_t& writes() { return slots.marks_of(1).writes; }

  alignas(8) uint8_t area[256] = {};
  const FlowSlots slots{area + 16, 128, area, 128, 2, 64};
};

TEST_F(FlowSlotsTest, AReaderSeesWholeWritesOnly) {
  write(1);
  std::atomic<bool> stop{false};
  const auto run = [&](uint8_t first, uint8_t last) {
    return std::thread([this, &stop, first, last] {
      for (uint8_t value = first; !stop.load(std::memory_order_relaxed); value = value == last ? first : value + 1) {
        slots.write(1, kPart, filled(value).data(), value);
      }
    });
  };
  std::thread writers[] = {run(1, 100), run(101, 200)};
  uint32_t torn = 0, unread = 0;
  for (int i = 0; i < 1'000'000; i++) {
    const int found = read();
    torn += found == -2;
    unread += found == -1;
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_LT(unread, 500'000u) << "only while a writer is off its core";
  write(7);
  EXPECT_EQ(read(), 7) << "no bit was left behind";
}

TEST_F(FlowSlotsTest, TheFirstOfTwoWritesAtOnceIsKept) {
  write(1);
  writes() |= 1u << kPart.index;  // a writer is at it
  EXPECT_FALSE(slots.write(1, kPart, filled(2).data(), 2));
  EXPECT_EQ(read(), -1);
  const State other{};
  EXPECT_TRUE(slots.write(1, kOther, other.data(), 1)) << "another plugin's slot is another one's";
  writes() &= ~(1u << kPart.index);
  EXPECT_EQ(read(), 1);
}

TEST_F(FlowSlotsTest, AWriterOfAnotherSlotIsNotWaitedFor) {
  write(1);
  writes() |= 1u << kOther.index;
  EXPECT_EQ(read(0), 1);
}

TEST_F(FlowSlotsTest, AWorkerAloneLeavesWhatSeveralCanRead) {
  FlowSlots alone = slots;
  alone.shared = false;
  EXPECT_TRUE(alone.write(1, kPart, filled(9).data(), 9));
  EXPECT_EQ(writes(), SlotMarks::kOneWrite);
  EXPECT_EQ(read(0), 9);
}

TEST_F(FlowSlotsTest, TheCountOfWritesGoesRound) {
  writes() = ~(SlotMarks::kOneWrite - 1);
  write(1);
  EXPECT_EQ(writes(), 0u);
  EXPECT_EQ(read(0), 1);
}

TEST(FlowState, APacketWhoseStateAnotherWorkerDoesNotStopWritingIsDropped) {
  Node node("", 2);
  StageText stage{for_each_slot(store32(abi::kSlotMark, load32(abi::kSlotFlowState)))};
  stage.manifest = {{"flowState", {{"size", 40}, {"schema", 1}}}};
  node.run({Node::plugin("test", node.add(stage))});
  const SlotAssignment part = node.host->slot_registry().find("test")->slot;
  ASSERT_TRUE(node.slots.write(4, part, filled(5).data(), 1));
  const auto packet_of = [&](uint32_t flow) {
    rte_mbuf* packet = node.udp();
    meta_of(packet)->flow = flow + 1;
    return packet;
  };
  node.slots.marks_of(4).writes |= 1u << part.index;
  node.burst({packet_of(4), packet_of(5), packet_of(4)});
  EXPECT_EQ(node.passed.size(), 1u) << "the other flow's";
  node.free_all();
  EXPECT_EQ(node.outcome(packet_of(4)), "dropped flow-state-busy");
  EXPECT_EQ(node.drops("test", "flow-state-busy"), 3u);

  node.slots.marks_of(4).writes = 0;
  rte_mbuf* packet = packet_of(4);
  node.burst({packet});
  ASSERT_EQ(node.passed.size(), 1u);
  EXPECT_EQ(meta_of(packet)->mark, 0x05050505u);
  node.free_all();
  EXPECT_EQ(node.status("test").totals.failures, 0u);
}

}  // namespace
}  // namespace sluice
