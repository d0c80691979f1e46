#include "wasm/swap_fixture.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

TEST_F(Swap, ConfigurationIsPublishedWithoutNewInstances) {
  const std::string digest = node.add(configured());
  node.run({Node::plugin("test", digest, "aaaa")});
  EXPECT_EQ(mark(), text("aaaa"));
  EXPECT_EQ(change().action, PluginChange::Action::Added);
  const uint32_t generation = node.status("test").generation;
  for (const char* config : {"bbbb", "cccc", "dddd", "eeee"}) {
    node.run({Node::plugin("test", digest, config)});
    EXPECT_EQ(mark(), text(config));
    EXPECT_EQ(change().action, PluginChange::Action::Configured);
  }
  EXPECT_EQ(node.status("test").generation, generation + 4);
  node.run({Node::plugin("test", digest, "eeee")});
  EXPECT_EQ(change().action, PluginChange::Action::Kept);
  EXPECT_EQ(mark(), text("eeee"));
}

TEST_F(Swap, TheOldTablesStayWhileAnOldPipelineLives) {
  const std::string digest = node.add(configured());
  node.run({Node::plugin("test", digest, "aaaa")});
  const auto old = node.pipeline;
  node.run({Node::plugin("test", digest, "bbbb")});
  // Both segments are in use: a worker may still run the old pipeline.
  const auto third = node.prepare({Node::plugin("test", digest, "cccc")});
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code, "transaction-pending");
  node.pipeline = old;
  EXPECT_EQ(mark(), text("aaaa"));
}

TEST_F(Swap, ABuilderHasSpareMemoryWhereTheLiveTablesWouldBe) {
  StageText stage = configured();
  const std::string base = burst(abi::kBurstSpareBase);
  const std::string last = "(i32.add " + base + " (i32.sub " + burst(abi::kBurstSpareSize) + " (i32.const 4)))";
  stage.extra =
      "(func (export \"configure\") (result i32)"
      "(if (i32.or (i32.load " +
      base + ") (i32.load " + last +
      ")) (then unreachable))"
      "(i32.store " +
      base + " (i32.const -1)) (i32.store " + last +
      " (i32.const -1))"
      "(i32.store " +
      burst(abi::kBurstSegmentBase) +
      " (i32.load (i32.const 33554432)))"
      "(i32.const 0))";
  const std::string digest = node.add(stage);
  node.run({Node::plugin("test", digest, "aaaa")});
  auto earlier = node.pipeline;
  node.run({Node::plugin("test", digest, "bbbb")});
  EXPECT_EQ(mark(), text("bbbb"));
  std::swap(node.pipeline, earlier);
  EXPECT_EQ(mark(), text("aaaa"));
}

TEST_F(Swap, ARefusedConfigurationChangesNothing) {
  const std::string digest = node.add(configured());
  node.run({Node::plugin("test", digest, "aaaa")});
  struct Row {
    const char* config;
    const char* code;
    const char* message;
  };
  const Row rows[] = {
      {"bad!", "config-invalid", "no good"},
      {"Large", "config-too-large", "the tables do not fit into the config segment"},
      {"trap", "config-failed", nullptr},
  };
  for (const Row& row : rows) {
    const auto prepared = node.prepare({Node::plugin("test", digest, row.config)});
    ASSERT_FALSE(prepared.ok()) << row.config;
    EXPECT_EQ(prepared.error().code, row.code);
    EXPECT_EQ(prepared.error().path, "/plugins/0/config");
    if (row.message != nullptr) {
      EXPECT_EQ(prepared.error().message, row.message);
    }
    EXPECT_EQ(mark(), text("aaaa"));
  }
  node.run({Node::plugin("test", digest, "ffff")});
  EXPECT_EQ(mark(), text("ffff"));
}

TEST_F(Swap, CountersGoOnOverVersions) {
  const std::string one = node.add(counting("1.0.0", 1)), two = node.add(counting("2.0.0", 2));
  node.run({Node::plugin("test", one)});
  for (int i = 0; i < 3; i++) EXPECT_EQ(mark(), 1u);
  EXPECT_EQ(node.counter("test", "seen"), 3u);
  node.run({Node::plugin("test", two)});
  EXPECT_EQ(change().action, PluginChange::Action::Swapped);
  for (int i = 0; i < 4; i++) EXPECT_EQ(mark(), 2u);
  EXPECT_EQ(node.counter("test", "seen"), 7u);
  EXPECT_EQ(node.status("test").totals.packets, 7u);
  EXPECT_EQ(node.status("test").version, "2.0.0");
}

TEST_F(Swap, RollBackBringsTheLastVersionAndConfigurationBack) {
  const std::string one = node.add(configured("1.0.0")), two = node.add(configured("2.0.0"));
  EXPECT_FALSE(node.host->previous("test").ok());
  node.run({Node::plugin("test", one, "aaaa")});
  EXPECT_FALSE(node.status("test").can_roll_back);
  node.run({Node::plugin("test", two, "bbbb")});
  EXPECT_TRUE(node.status("test").can_roll_back);
  const auto previous = node.host->previous("test");
  ASSERT_TRUE(previous.ok());
  node.run({previous.value()});
  EXPECT_EQ(node.status("test").version, "1.0.0");
  EXPECT_EQ(mark(), text("aaaa"));
}

TEST_F(Swap, SeveralPluginsAreOneTransaction) {
  const std::string good = node.add(configured("1.0.0"));
  node.run({Node::plugin("a", good, "aaaa"), Node::plugin("b", good, "bbbb")});
  EXPECT_EQ(mark(), text("bbbb"));
  const auto prepared = node.prepare({Node::plugin("a", good, "cccc"), Node::plugin("b", good, "bad!")});
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().path, "/plugins/1/config");
  EXPECT_EQ(mark(), text("bbbb"));
  node.run({Node::plugin("b", good, "cccc"), Node::plugin("a", good, "dddd")});
  EXPECT_EQ(mark(), text("dddd"));
}

TEST_F(Swap, WhatCannotBeAPipelineIsRefused) {
  const std::string digest = node.add(counting("1.0.0", 1));
  StageText only_prerouting;
  only_prerouting.manifest = {{"hooks", {"prerouting"}}};
  PluginConfig scoped = Node::plugin("test", digest), hasty = scoped, configured_without = scoped;
  scoped.scope = {"one", "three"};
  hasty.budget_us = 0;
  configured_without.config = "{}";
  struct Row {
    std::vector<PluginConfig> plugins;
    const char* refusal;
  };
  StageText failing_init;
  failing_init.extra = R"((func (export "init") unreachable))";
  StageText slow_init;
  slow_init.extra = R"((func (export "init") (loop (br 0))))";
  const Row rows[] = {
      {{Node::plugin("test", "0123")}, "module-unknown /plugins/0/digest"},
      {{Node::plugin("test", digest), Node::plugin("test", digest)}, "plugin-twice /plugins/1/name"},
      {{Node::plugin("test", node.add(only_prerouting))}, "hook-not-supported /pipeline/forward/0"},
      {{scoped}, "port-unknown /plugins/0/scope/1"},
      {{hasty}, "budget-invalid /plugins/0/budget_us"},
      {{configured_without}, "config-not-supported /plugins/0/config"},
      {{Node::plugin("test", node.add(failing_init))}, "module-init-failed /plugins/0/module"},
      {{Node::plugin("test", node.add(slow_init))}, "module-init-failed /plugins/0/module"},
  };
  for (const Row& row : rows) {
    const auto prepared = node.prepare(row.plugins);
    ASSERT_FALSE(prepared.ok()) << row.refusal;
    EXPECT_EQ(prepared.error().code + " " + prepared.error().path, row.refusal);
  }
}

TEST_F(Swap, AFailedPluginRunsAgainWhenItIsApplied) {
  PluginConfig plugin =
      Node::plugin("test", node.add(StageText{"(if (i32.gt_u (local.get $count) (i32.const 1)) (then unreachable))"}));
  node.run({plugin});
  node.burst({node.udp(), node.udp()});
  EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed");
  node.run({plugin});
  EXPECT_NE(node.outcome(node.udp()), "dropped stage-failed");
}

TEST_F(Swap, InitRunsOnEachInstanceAndDoesNotTouchTheLiveWindow) {
  StageText stage{for_each_slot(store32(abi::kSlotMark, "(i32.load (i32.const 4096))"))};
  stage.extra =
      R"((func (export "init") (i32.store (i32.const 4096) (i32.const 55)) (i32.store offset=256 (i32.const 16781312) (i32.const -1))))";
  node.run({Node::plugin("test", node.add(stage))});
  EXPECT_EQ(mark(), 55u);
}

TEST_F(Swap, FlowsKeepTheirStateInANewVersionOfTheSameSchema) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  StageText next = stamping(1, 22);
  next.manifest["version"] = "1.1.0";
  node.run({Node::plugin("test", node.add(next))});
  EXPECT_EQ(change().flow_state, PluginChange::FlowState::Kept);
  EXPECT_EQ(mark_of_flow(5), 11u);
  EXPECT_EQ(mark_of_flow(6), 22u);
}

TEST_F(Swap, FlowsOfAnOlderSchemaAreMigratedOnce) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  EXPECT_EQ(mark_of_flow(6), 11u);
  node.run({Node::plugin("test", node.add(migrating(2, {1}, 22)))});
  EXPECT_EQ(change().flow_state, PluginChange::FlowState::Migrated);
  EXPECT_EQ(mark_of_flow(5), 1011u);
  EXPECT_EQ(mark_of_flow(5), 1011u) << "migrated for good";
  EXPECT_EQ(mark_of_flow(7), 22u);
  // A burst with both.
  rte_mbuf* old = node.udp();
  rte_mbuf* fresh = node.udp();
  meta_of(old)->flow = 6;
  meta_of(fresh)->flow = 8;
  node.burst({fresh, old});
  EXPECT_EQ(meta_of(fresh)->mark, 22u);
  EXPECT_EQ(meta_of(old)->mark, 1011u);
}

TEST_F(Swap, ANewSchemaWithoutMigrateIsRefusedUnlessResetIsAsked) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  PluginConfig next = Node::plugin("test", node.add(stamping(2, 22)));
  const auto refused = node.prepare({next});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "flow-state-incompatible");
  EXPECT_EQ(refused.error().path, "/plugins/0");
  EXPECT_EQ(mark_of_flow(5), 11u);
  next.reset_flow_state = true;
  node.run({next});
  EXPECT_EQ(change().flow_state, PluginChange::FlowState::Reset);
  EXPECT_EQ(mark_of_flow(5), 22u);
}

TEST_F(Swap, SchemasThatFlowsStillHoldCountToo) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  node.run({Node::plugin("test", node.add(migrating(2, {1}, 22)))});
  // Flow 5 was not seen since: it still holds schema 1.
  const auto refused = node.prepare({Node::plugin("test", node.add(migrating(3, {2}, 33)))});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("schema 1"), std::string::npos) << refused.error().message;
  node.run({Node::plugin("test", node.add(migrating(3, {1, 2}, 33)))});
  EXPECT_EQ(mark_of_flow(5), 1011u);
}

TEST_F(Swap, ATrapInMigrateIsAFailureOfTheStage) {
  node.run({Node::plugin("test", node.add(stamping(1, 11)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  StageText next = stamping(2, 22);
  next.manifest["migratesFrom"] = {1};
  next.extra = R"((func (export "migrate") (param i32 i32) unreachable))";
  node.run({Node::plugin("test", node.add(next))});
  rte_mbuf* packet = node.udp();
  meta_of(packet)->flow = 5;
  EXPECT_EQ(node.outcome(packet), "dropped stage-failed");
  EXPECT_EQ(node.slots.schema(4, node.host->slot_registry().find("test")->slot.index), 1) << "the slot is as it was";
}

TEST_F(Swap, PluginsFlowSlotsAreApart) {
  node.run({Node::plugin("a", node.add(stamping(1, 11, 20))), Node::plugin("b", node.add(stamping(1, 22, 20)))});
  EXPECT_EQ(mark_of_flow(5), 22u);
  const SlotRegistry registry = node.host->slot_registry();
  const SlotAssignment a = registry.find("a")->slot, b = registry.find("b")->slot;
  EXPECT_NE(a.index, b.index);
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(node.slots.slot(4, a)), 11u);
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(node.slots.slot(4, b)), 22u);
}

TEST_F(Swap, FlowStateThatDoesNotFitIsRefused) {
  const auto prepared =
      node.prepare({Node::plugin("a", node.add(stamping(1, 1, 40))), Node::plugin("b", node.add(stamping(1, 2, 40)))});
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().code + prepared.error().path, "flow-state-full/plugins/1");
}

TEST_F(Swap, APlaceThatIsReusedStartsEmpty) {
  node.run({Node::plugin("a", node.add(stamping(1, 11, 40)))});
  EXPECT_EQ(mark_of_flow(5), 11u);
  node.run({});
  node.run({Node::plugin("b", node.add(stamping(1, 22, 40)))});
  EXPECT_EQ(mark_of_flow(5), 22u);
}

TEST_F(Swap, APluginThatComesBackFindsItsFlows) {
  const std::string digest = node.add(stamping(1, 11));
  node.run({Node::plugin("a", digest)});
  EXPECT_EQ(mark_of_flow(5), 11u);
  node.run({});
  StageText other = stamping(1, 22);
  other.manifest["version"] = "1.0.1";
  node.run({Node::plugin("a", node.add(other))});
  EXPECT_EQ(mark_of_flow(5), 11u);
}

}  // namespace
}  // namespace sluice
