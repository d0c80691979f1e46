// What a listing of flows shows of their slots while a worker writes them.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "conntrack/network.h"
#include "wasm/flow_slots.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: packets read as a table

constexpr SlotAssignment kPart{3, 8, 40}, kOther{4, 48, 16};
using State = std::array<uint8_t, 40>;

class ListedSlots : public ::testing::Test {
 protected:
  void SetUp() override {
    flow = network.send(udp(4, ends(4, abi::CtDirection::ORIGINAL))).flow - 1;
    FlowTable& table = *network.table;
    const auto stride = static_cast<uint32_t>(table.slots(1) - table.slots(0));
    slots = {table.slots(0), stride, reinterpret_cast<uint8_t*>(&table.slot_marks(0)), stride, table.numbers(), 64};
  }

  void write(const SlotAssignment& part, uint8_t value) {
    State state;
    state.fill(value);
    EXPECT_TRUE(slots.write(flow, part, state.data(), value));
  }
  uint32_t& writes() { return network.table->slot_marks(flow).writes; }

  /// The value of all of the slot's bytes and of its schema; 0: it is left out; -1: of different writes.
  int listed(const SlotAssignment& part) {
    int found = 0;
    network.table->for_each([&](const FlowView& view) {
      found = view.slot_schema[part.index];
      if (found == 0) return;
      for (size_t i = 0; i < part.size; i++) {
        if (view.slots[part.offset + i] != view.slot_schema[part.index]) found = -1;
      }
    });
    return found;
  }

  Network network;
  FlowSlots slots;
  uint32_t flow = 0;
};

TEST_F(ListedSlots, ASlotThatIsHalfWrittenIsLeftOut) {
  write(kPart, 1);
  write(kOther, 2);
  writes() |= 1u << kPart.index;  // a writer is at it, taken off its core
  network.table->slots(flow)[kPart.offset] = 3;
  EXPECT_EQ(listed(kPart), 0);
  EXPECT_EQ(listed(kOther), 2) << "another plugin's slot is whole";
  writes() &= ~(1u << kPart.index);
  write(kPart, 3);
  EXPECT_EQ(listed(kPart), 3);
}

TEST_F(ListedSlots, AreOfOneWriteWhileAWorkerWrites) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint8_t value = 1; !stop.load(std::memory_order_relaxed); value = value == 200 ? 1 : value + 1) {
      write(kPart, value);
    }
  });
  uint32_t torn = 0, shown = 0;
  for (int i = 0; i < 100'000; i++) {
    const int found = listed(kPart);
    torn += found == -1;
    shown += found > 0;
  }
  stop = true;
  writer.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_GT(shown, 0u);
}

}  // namespace
}  // namespace sluice
