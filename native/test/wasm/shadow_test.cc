#include "wasm/swap_fixture.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

class ShadowRun : public Swap {
 protected:
  void start(const StageText& candidate, ShadowLimits limits) {
    auto prepared = node.prepare({Node::plugin("test", node.add(candidate))}, abi::Hook::FORWARD, true);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    next = prepared.value();
    const Status started = node.host->start_shadow(next, limits);
    ASSERT_TRUE(started.ok()) << started.error().message;
  }
  ShadowReport wait() {
    for (int i = 0; i < 400; i++) {
      const ShadowReport report = node.host->shadow_report().value();
      if (report.state != ShadowReport::State::Running) return report;
      usleep(10'000);
    }
    ADD_FAILURE() << "the shadow run does not end";
    return {};
  }
  void bursts(int count) {
    for (int i = 0; i < count; i++) {
      node.burst({node.udp(1), node.udp(2), node.udp(3)});
      node.free_all();
    }
  }

  std::shared_ptr<Pipeline> next;
};

TEST_F(ShadowRun, AVersionThatDoesTheSamePasses) {
  node.run({Node::plugin("test", node.add(counting("1.0.0", 7)))});
  start(counting("1.1.0", 7), {6, 0, 5000});
  bursts(3);
  const ShadowReport report = wait();
  EXPECT_EQ(report.state, ShadowReport::State::Passed);
  ASSERT_EQ(report.plugins.size(), 1u);
  EXPECT_GE(report.plugins[0].packets, 6u);
  EXPECT_EQ(report.plugins[0].differences, 0u);
  node.publish(std::exchange(next, nullptr));
  EXPECT_EQ(node.status("test").version, "1.1.0");
  EXPECT_EQ(node.counter("test", "seen"), 9u) << "what the shadow run counted is not counted";
  EXPECT_EQ(mark(), 7u);
}

TEST_F(ShadowRun, AVersionThatDiffersFailsAndTheActiveOneIsUntouched) {
  node.run({Node::plugin("test", node.add(counting("1.0.0", 7)))});
  start(counting("1.1.0", 8), {1000, 2, 5000});
  for (int i = 0; i < 3; i++) EXPECT_EQ(mark(), 7u);
  const ShadowReport report = wait();
  EXPECT_EQ(report.state, ShadowReport::State::Failed);
  EXPECT_EQ(report.plugins[0].differences, 3u);
  EXPECT_EQ(report.plugins[0].first_difference.substr(0, 21), "table or mark differs");
  EXPECT_EQ(node.status("test").version, "1.0.0");
}

TEST_F(ShadowRun, AVersionThatTrapsFails) {
  node.run({Node::plugin("test", node.add(counting("1.0.0", 7)))});
  start(StageText{"unreachable"}, {1000, 1000, 5000});
  EXPECT_EQ(mark(), 7u);
  const ShadowReport report = wait();
  EXPECT_EQ(report.state, ShadowReport::State::Failed);
  EXPECT_EQ(report.plugins[0].traps, 1u);
  EXPECT_EQ(report.plugins[0].first_difference.substr(0, 17), "trap unreachable:");
  EXPECT_EQ(node.status("test").totals.failures, 0u);
}

TEST_F(ShadowRun, EndlessLoopOfACandidateIsStopped) {
  node.run({Node::plugin("test", node.add(counting("1.0.0", 7)))});
  start(StageText{"(loop (br 0))"}, {1000, 1000, 5000});
  EXPECT_EQ(mark(), 7u);
  EXPECT_EQ(wait().plugins[0].first_difference.substr(0, 21), "trap budget-exceeded:");
}

TEST_F(ShadowRun, RewrittenBytesAreCompared) {
  StageText one{for_each_slot(store8(abi::kSlotHeadOffset + 8, i32(9)) + set_flag(1))};
  one.manifest = {{"writes", true}};
  StageText two{for_each_slot(store8(abi::kSlotHeadOffset + 8, i32(10)) + set_flag(1))};
  two.manifest = {{"writes", true}};
  node.run({Node::plugin("test", node.add(one))});
  start(two, {1000, 0, 5000});
  rte_mbuf* packet = node.udp();
  node.burst({packet});
  EXPECT_EQ(rte_pktmbuf_mtod(packet, uint8_t*)[8], 9) << "the candidate's write goes nowhere";
  EXPECT_EQ(wait().plugins[0].first_difference.substr(0, 20), "header bytes differs");
}

TEST_F(ShadowRun, FlowStateIsCopiedAndItsWritesGoNowhere) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  start(migrating(2, {1}, 22), {1, 1000, 5000});
  EXPECT_EQ(mark_of_flow(5), 11u);
  EXPECT_EQ(wait().plugins[0].differences, 1u);
  EXPECT_EQ(mark_of_flow(5), 11u);
}

TEST_F(ShadowRun, ItEndsWhenNoPacketsCome) {
  node.run({Node::plugin("test", node.add(counting("1.0.0", 7)))});
  start(counting("1.1.0", 7), {6, 0, 50});
  EXPECT_EQ(wait().state, ShadowReport::State::TimedOut);
}

TEST_F(ShadowRun, WithoutAnActiveVersionThereIsNothingToCompare) {
  auto prepared = node.prepare({Node::plugin("test", node.add(counting("1.0.0", 7)))}, abi::Hook::FORWARD, true);
  ASSERT_TRUE(prepared.ok());
  EXPECT_EQ(node.host->start_shadow(prepared.value(), {}).error().code, "shadow-nothing-to-compare");
}

}  // namespace
}  // namespace sluice
