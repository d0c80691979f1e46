#include <gtest/gtest.h>
#include <rte_cycles.h>

#include "core/clock.h"
#include "wasm/node.h"

namespace sluice {
namespace {

using testing::for_each_slot;
using testing::i32;
using testing::Node;
using testing::StageText;

constexpr uint32_t kHole = abi::kPrivateSize + 4096;

std::string store(uint32_t address) {
  return "(i32.store " + i32(address) + " (i32.const 1))";
}
std::string load(uint32_t address) {
  return "(drop (i32.load " + i32(address) + "))";
}
/// The same, at an address that the compiler does not know.
std::string computed(std::string code, uint32_t address) {
  const std::string constant = i32(address);
  code.replace(code.find(constant), constant.size(), "(i32.add (local.get $hook) " + i32(address - 1) + ")");
  return code;
}

struct Row {
  const char* what;
  std::string process;
  const char* code;
};

class Trap : public ::testing::Test {
 protected:
  /// Runs a burst of one through the stage; its trap.
  TrapInfo run(const StageText& stage, const std::string& config = "") {
    const uint32_t buffers = node.context.buffers_in_use();
    node.run({Node::plugin("test", node.add(stage), config)});
    EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed");
    EXPECT_EQ(node.context.buffers_in_use(), buffers);
    const auto trap = node.status("test").last_trap;
    EXPECT_TRUE(trap.has_value());
    return trap.value_or(TrapInfo{});
  }
  TrapInfo run(const std::string& process) {
    return run(StageText{process, R"(
    (func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
    (table 1 funcref))"});
  }

  Node node;
};

TEST_F(Trap, EveryWayOutOfTheStageIsContained) {
  const uint32_t segment = abi::kSegmentABase, beyond = abi::kMemoryPages * 65536,
                 window_end = abi::kWindowBase + abi::kWindowSize;
  const Row rows[] = {
      {"store into a hole", store(kHole), "memory-out-of-bounds"},
      {"load from a hole", load(kHole), "memory-out-of-bounds"},
      {"store into a hole, computed", computed(store(kHole), kHole), "memory-out-of-bounds"},
      {"load from a hole, computed", computed(load(kHole), kHole), "memory-out-of-bounds"},
      {"SIMD load from a hole", "(drop (v128.load " + i32(kHole) + "))", "memory-out-of-bounds"},
      {"SIMD store into a hole", "(v128.store " + i32(kHole) + " (v128.const i64x2 1 2))", "memory-out-of-bounds"},
      {"SIMD store over the window's end", "(v128.store " + i32(window_end - 8) + " (v128.const i64x2 1 2))",
       "memory-out-of-bounds"},
      {"load just before the window", load(abi::kWindowBase - 4), "memory-out-of-bounds"},
      {"load from a segment that it does not have", load(segment), "memory-out-of-bounds"},
      {"load from the input region", load(abi::kInputBase), "memory-out-of-bounds"},
      {"load beyond the memory", load(beyond), "memory-out-of-bounds"},
      {"load at the last address", computed(load(0xffffffff), 0xffffffff), "memory-out-of-bounds"},
      {"load with the largest offset", "(drop (i32.load offset=0xffffffff (i32.add (local.get $hook) (i32.const -2))))",
       "memory-out-of-bounds"},
      {"unreachable", "unreachable", "unreachable"},
      {"division by zero", "(drop (i32.div_u (i32.const 1) (i32.sub (local.get $count) (i32.const 1))))",
       "division-by-zero"},
      {"endless recursion", "(drop (call $deep (i32.const 0)))", "stack-overflow"},
      {"call of an empty table entry", "(call_indirect (i32.const 0))", "indirect-call-to-null"},
      {"call beyond the table", "(call_indirect (i32.const 9))", "table-out-of-bounds"},
      {"endless loop", "(loop (br 0))", "budget-exceeded"},
  };
  for (const Row& row : rows) EXPECT_EQ(run(row.process).code, row.code) << row.what;
}

TEST_F(Trap, SegmentsAreReadOnlyOnThePacketPath) {
  StageText stage;
  stage.manifest = {{"segmentBytes", 4096}};
  stage.extra =
      R"((func (export "configure") (result i32) (i32.store (i32.const 50331648) (i32.const 7)) (i32.const 0)))";
  stage.process = store(abi::kSegmentABase);
  EXPECT_EQ(run(stage, "{}").code, "memory-out-of-bounds");
  stage.process = "(v128.store " + i32(abi::kSegmentABase) + " (v128.const i64x2 1 2))";
  EXPECT_EQ(run(stage, "{}").code, "memory-out-of-bounds");
  stage.process = load(abi::kSegmentABase + 4096);
  EXPECT_EQ(run(stage, "{}").code, "memory-out-of-bounds");
}

TEST_F(Trap, EndlessLoopIsStoppedWithinItsBudget) {
  PluginConfig plugin = Node::plugin("test", node.add(StageText{"(loop (br 0))"}));
  plugin.budget_us = 5000;
  node.run({plugin});
  // Of its own time on a core, as a budget is counted: what else a busy machine does is not in it.
  const uint64_t before = read_clock(CLOCK_THREAD_CPUTIME_ID);
  EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed");
  const uint64_t took_us = (read_clock(CLOCK_THREAD_CPUTIME_ID) - before) / 1000;
  EXPECT_GE(took_us, 5000u);
  EXPECT_LT(took_us, 100'000u) << "the thread that counts the budget may come late";
}

TEST_F(Trap, AbortGivesTheAuthorsMessageAndPlace) {
  StageText stage;
  // AssemblyScript strings: length in bytes, then UTF-16.
  stage.extra =
      R"((data (i32.const 16) "\0a\00\00\00h\00\e9\00\3d\d8\00\dez\00") (data (i32.const 64) "\08\00\00\00a\00.\00t\00s\00"))";
  stage.process = "(call $abort (i32.const 20) (i32.const 68) (i32.const 12) (i32.const 34))";
  const TrapInfo trap = run(stage);
  EXPECT_EQ(trap.code, "abort");
  EXPECT_EQ(trap.message, "h\u00e9\U0001F600z at a.ts:12:34");
}

TEST_F(Trap, AbortWithWildPointersIsContained) {
  for (const uint32_t pointer : {0u, 1u, 3u, 4u, abi::kPrivateSize - 1, abi::kPrivateSize, kHole, 0xffffffffu}) {
    StageText stage;
    stage.process = "(i32.store (i32.const 0) (i32.const -1)) (call $abort " + i32(pointer) + i32(pointer) +
                    "(i32.const 1) (i32.const 2))";
    EXPECT_EQ(run(stage).code, "abort") << pointer;
  }
}

TEST_F(Trap, TheOperatorSeesWhichPacketAndWhere) {
  StageText stage;
  stage.process = for_each_slot("(i32.store " + i32(abi::kWindowBase + abi::kBurstCurrent) + R"( (local.get $i))
    (if (i32.eq (local.get $i) (i32.const 2)) (then (call $inner))))");
  stage.extra = "(func $inner unreachable)";
  node.run({Node::plugin("test", node.add(stage))});
  std::vector<rte_mbuf*> packets;
  for (uint16_t i = 0; i < 4; i++) packets.push_back(node.udp(static_cast<uint16_t>(100 + i)));
  node.burst(packets);
  EXPECT_TRUE(node.passed.empty());
  const TrapInfo trap = *node.status("test").last_trap;
  EXPECT_EQ(trap.packet_index, 2u);
  EXPECT_EQ(trap.packet_summary, "IPv4 10.0.0.1 > 10.0.0.2 protocol 17, 130 bytes");
  EXPECT_EQ(trap.packet_hex.size(), 256u);
  EXPECT_EQ(trap.packet_hex.substr(0, 8), "45000082");
  EXPECT_EQ(trap.hook, "forward");
  ASSERT_GE(trap.frames.size(), 2u);
  EXPECT_EQ(trap.frames[0].function, "inner");
}

TEST_F(Trap, FramesTellWhereInTheModulesFileTheInstructionsAre) {
  struct Row {
    const char* inner;
    const char* code;
    uint8_t opcode;
  };
  const Row rows[] = {
      // The compiler makes one conditional trap of it, at the if.
      {"(if (i32.eq (local.get 0) (i32.const 1)) (then unreachable))", "unreachable", 0x04},
      {"(drop (i32.load (i32.mul (local.get 0) (i32.const 0x00c00000))))", "memory-out-of-bounds", 0x28},
      {"(i32.store (i32.const 8) (i32.div_u (i32.const 1) (i32.sub (local.get 0) (i32.const 1))))", "division-by-zero",
       0x6e},
      {"(call $abort (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2))", "abort", 0x10},
  };
  for (const Row& row : rows) {
    StageText stage;
    stage.process = "(call $middle (local.get $hook))";  // 1, forward
    stage.extra = "(func $middle (param i32) nop (call $inner (local.get 0))) (func $inner (param i32) nop " +
                  std::string(row.inner) + ")";
    const std::vector<uint8_t> module = stage.build();
    const TrapInfo trap = run(stage);
    EXPECT_EQ(trap.code, row.code);
    ASSERT_EQ(trap.frames.size(), 3u) << row.code;
    const char* const functions[] = {"inner", "middle", "function 2"};  // process has no name but its export's
    const uint8_t opcodes[] = {row.opcode, 0x10, 0x10};
    for (size_t i = 0; i < 3; i++) {
      EXPECT_EQ(trap.frames[i].function, functions[i]) << row.code;
      ASSERT_LT(trap.frames[i].offset, module.size());
      EXPECT_EQ(module[trap.frames[i].offset], opcodes[i]) << row.code << ", frame " << i;
    }
  }
}

TEST_F(Trap, AbortInStartIsTold) {
  StageText stage;
  stage.extra =
      R"((data (i32.const 16) "\02\00\00\00x\00") (func $s (call $abort (i32.const 20) (i32.const 0) (i32.const 1) (i32.const 1))) (start $s))";
  const auto added =
      node.host->add_module(testing::digest_of(stage.build()), stage.build().data(), stage.build().size());
  ASSERT_FALSE(added.ok());
  EXPECT_NE(added.error().message.find(": x"), std::string::npos) << added.error().message;
}

}  // namespace
}  // namespace sluice
