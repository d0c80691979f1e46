// A stage that takes too long in one call of a thousand.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "wasm/node.h"
#include "wasm/versions.h"

namespace sluice::testing {
namespace {

constexpr int kCalls = 1000;
const std::string kPasses = "passes", kDropped = "dropped stage-failed";

/// Ends by itself, some tens of milliseconds later.
StageText slow_at_times() {
  StageText stage;
  stage.extra = "(global $calls (mut i32) (i32.const 0))";
  stage.process =
      "(local $left i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))"
      "(if (i32.eqz (i32.rem_u (global.get $calls) " +
      i32(kCalls) +
      ")) (then"
      "  (local.set $left (i32.const 100000000))"
      "  (loop $on (br_if $on (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))";
  return stage;
}

size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

class Slow : public ::testing::Test {
 protected:
  void run(FailureStrategy failure) {
    PluginConfig slow = Node::plugin("slow", node.add(slow_at_times()));
    slow.failure = failure;
    slow.budget_us = 2000;
    node.run({Node::plugin("other", node.add(counting("1.0.0", 0))), slow});
  }
  std::string next() {
    sent++;
    const std::string outcome = node.outcome(node.udp());
    return outcome.rfind("dropped", 0) == 0 ? outcome : kPasses;
  }
  /// All calls of a thousand but the last.
  void run_up() {
    for (int i = 1; i < kCalls; i++) ASSERT_EQ(next(), kPasses) << i;
  }
  void expect_told(uint64_t failures) {
    const PluginStatus status = node.status("slow");
    EXPECT_EQ(status.totals.failures, failures);
    ASSERT_TRUE(status.last_trap.has_value());
    EXPECT_EQ(status.last_trap->code, "budget-exceeded");
    EXPECT_EQ(node.counter("other", "seen"), sent) << "the stage before it sees all packets";
    EXPECT_EQ(node.status("other").totals.failures, 0u);
    EXPECT_EQ(node.context.buffers_in_use(), 0u);
  }

  Node node;
  uint64_t sent = 0;
};

TEST_F(Slow, FailClosedDropsThatBurstAndAllLaterOnes) {
  run(FailureStrategy::FailClosed);
  ASSERT_NO_FATAL_FAILURE(run_up());
  EXPECT_EQ(next(), kDropped);
  EXPECT_EQ(next(), kDropped);
  EXPECT_EQ(node.status("slow").state, "failed");
  EXPECT_EQ(node.drops("slow", "stage-failed"), 2u);
  expect_told(1);
}

TEST_F(Slow, FailOpenLetsThatBurstAndAllLaterOnesPassWithoutIt) {
  run(FailureStrategy::FailOpen);
  ASSERT_NO_FATAL_FAILURE(run_up());
  EXPECT_EQ(next(), kPasses);
  EXPECT_EQ(next(), kPasses);
  EXPECT_EQ(node.status("slow").state, "failed");
  EXPECT_EQ(node.status("slow").totals.packets, static_cast<uint64_t>(kCalls)) << "it is not called again";
  expect_told(1);
}

TEST_F(Slow, ReloadDropsUntilItRunsAgainAndLeavesNothingOfTheOldInstance) {
  run(FailureStrategy::Reload);
  size_t mapped = 0;
  for (uint64_t failures = 1; failures <= 3; failures++) {
    ASSERT_NO_FATAL_FAILURE(run_up());
    EXPECT_EQ(next(), kDropped);
    EXPECT_EQ(node.status("slow").state, "reloading");
    EXPECT_EQ(next(), kDropped);
    for (int i = 0; i < 250 && node.status("slow").state != "running"; i++) usleep(20'000);
    expect_told(failures);
    if (failures == 1) mapped = mappings();
  }
  EXPECT_LE(mappings(), mapped + 2);
  const std::vector<std::string> messages = node.host->take_messages();
  EXPECT_EQ(
      std::count_if(messages.begin(), messages.end(),
                    [](const std::string& text) { return text.find("longer than its time budget") != text.npos; }),
      3)
      << "each failure is told";
  EXPECT_EQ(next(), kPasses);
}

}  // namespace
}  // namespace sluice::testing
