#include "wasm/flow_slots.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(SlotRegistry, APluginKeepsItsPlace) {
  SlotRegistry registry(64);
  bool fresh = false;
  const SlotAssignment first = registry.assign("a", 20, 1, fresh).value();
  EXPECT_TRUE(fresh);
  EXPECT_EQ(first.size, 24);
  registry.assign("b", 8, 1, fresh).value();
  const SlotAssignment again = registry.assign("a", 24, 2, fresh).value();
  EXPECT_FALSE(fresh);
  EXPECT_EQ(again.offset, first.offset);
  EXPECT_EQ(again.index, first.index);
}

TEST(SlotRegistry, UnusedPlacesAreGivenAwayOnlyWhenNeeded) {
  SlotRegistry registry(64);
  bool fresh = false;
  registry.assign("old", 32, 1, fresh).value();
  registry.assign("used", 16, 1, fresh).value();
  registry.mark_in_use("used", true);
  registry.assign("small", 16, 1, fresh).value();
  registry.mark_in_use("small", true);
  EXPECT_NE(registry.find("old"), nullptr);
  EXPECT_TRUE(registry.assign("new", 24, 1, fresh).ok());
  EXPECT_EQ(registry.find("old"), nullptr);
  registry.mark_in_use("new", true);
  EXPECT_EQ(registry.assign("more", 24, 1, fresh).error().code, "flow-state-full");
}

TEST(SlotRegistry, AGrownSlotGetsAnotherPlaceAndIndex) {
  SlotRegistry registry(64);
  bool fresh = false;
  const SlotAssignment small = registry.assign("a", 8, 1, fresh).value();
  registry.mark_in_use("a", true);
  const SlotAssignment large = registry.assign("a", 32, 2, fresh).value();
  EXPECT_TRUE(fresh);
  EXPECT_NE(large.index, small.index) << "the running version still writes the old schema byte";
  EXPECT_GE(large.offset, small.offset + small.size);
}

TEST(SlotRegistry, AtMostEightPlugins) {
  SlotRegistry registry(128);
  bool fresh = false;
  for (int i = 0; i < 8; i++) {
    const std::string name = "plugin-" + std::to_string(i);
    ASSERT_TRUE(registry.assign(name, 8, 1, fresh).ok());
    registry.mark_in_use(name, true);
  }
  EXPECT_FALSE(registry.assign("one-too-many", 8, 1, fresh).ok());
}

TEST(SlotRegistry, TextFormIsReadBack) {
  SlotRegistry registry(64);
  bool fresh = false;
  registry.assign("a", 20, 3, fresh).value();
  const SlotAssignment b = registry.assign("b", 8, 1, fresh).value();
  const auto read = SlotRegistry::parse(registry.serialize(), 64);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().find("a")->schema, 3);
  EXPECT_EQ(read.value().find("b")->slot.offset, b.offset);
  EXPECT_EQ(read.value().find("b")->slot.index, b.index);
}

TEST(SlotRegistry, DamagedTextIsRefused) {
  const char* rows[] = {
      "",
      "{",
      "[]",
      "{}",
      R"({"bytesPerFlow": 32, "slots": []})",
      R"({"bytesPerFlow": 64, "slots": 1})",
      R"({"bytesPerFlow": 64, "slots": [{"plugin": "a", "index": 8, "offset": 0, "size": 8, "schema": 1}]})",
      R"({"bytesPerFlow": 64, "slots": [{"plugin": "a", "index": 0, "offset": 60, "size": 8, "schema": 1}]})",
      R"({"bytesPerFlow": 64, "slots": [{"plugin": "a", "index": 0, "offset": 0, "size": 8, "schema": 1},
                                          {"plugin": "b", "index": 1, "offset": 4, "size": 8, "schema": 1}]})",
      R"({"bytesPerFlow": 64, "slots": [{"plugin": 1, "index": 0, "offset": 0, "size": 8, "schema": 1}]})",
  };
  for (const char* row : rows) EXPECT_FALSE(SlotRegistry::parse(row, 64).ok()) << row;
}

}  // namespace
}  // namespace sluice
