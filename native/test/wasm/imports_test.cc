// What stages get from the host's functions, and what they do not.
#include "core/tracer.h"
#include "wasm/imports_fixture.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

TEST_F(Imports, AreTheHostsFunctionsWithTheirTypes) {
  EXPECT_EQ(node.refusal(importing("").build()), "accepted");
  struct Row {
    const char* what;
    const char* import;
    const char* message;
  };
  const Row rows[] = {
      {"one function twice",
       R"((import "sluice" "emit" (func (param i32 i32) (result i32))) (import "sluice" "emit" (func (param i32 i32) (result i32))))",
       ""},
      {"a function that there is not", R"((import "sluice" "clock" (func (result i64))))",
       "imports 'sluice'.'clock' (function); a stage may import only the functions env.abort, sluice.read_payload, "
       "sluice.emit, sluice.mirror, sluice.trace, sluice.source_taken"},
      {"another module's", R"((import "env" "emit" (func (param i32 i32) (result i32))))",
       "imports 'env'.'emit' (function)"},
      {"abort of sluice", R"((import "sluice" "abort" (func (param i32 i32 i32 i32))))", "imports 'sluice'.'abort'"},
      {"a global of a function's name", R"((import "sluice" "emit" (global i32)))", "imports 'sluice'.'emit' (global)"},
      {"read_payload of a wrong type", R"((import "sluice" "read_payload" (func (param i32 i32 i32))))",
       "imports 'sluice'.'read_payload' as (i32, i32, i32) -> (); its type is (i32, i32, i32) -> (i32)"},
      {"emit of a wrong type", R"((import "sluice" "emit" (func (param i32) (result i32))))",
       "imports 'sluice'.'emit' as (i32) -> (i32); its type is (i32, i32) -> (i32)"},
      {"mirror of a wrong type", R"((import "sluice" "mirror" (func (param i32 i32 i32) (result i64))))",
       "its type is (i32, i32, i32) -> (i32)"},
      {"trace of a wrong type", R"((import "sluice" "trace" (func (param i32 i32 i32))))",
       "its type is (i32, i32, i64) -> ()"},
      {"source_taken of a wrong type", R"((import "sluice" "source_taken" (func (param i32 i32 i32) (result i32))))",
       "its type is (i32, i64, i64, i32) -> (i32)"},
  };
  for (const Row& row : rows) {
    StageText stage;
    stage.imports = row.import;
    const std::vector<uint8_t> module = stage.build();
    const auto added = node.host->add_module(digest_of(module), module.data(), module.size());
    const std::string refusal = added.ok() ? "" : added.error().code + ": " + added.error().message;
    EXPECT_EQ(added.ok(), *row.message == '\0') << row.what << refusal;
    EXPECT_NE(refusal.find(row.message), std::string::npos) << row.what << ": " << refusal;
    EXPECT_EQ(added.ok() ? "module/imports" : added.error().path, "module/imports") << row.what;
  }
}

TEST_F(Imports, ReadPayloadSaysHowManyBytesThereAre) {
  struct Row {
    int64_t offset, length;
    uint32_t read;
  };
  const Row rows[] = {{0, 128, 128}, {28, 100, 100},    {28, 65536, 100},      {100, 100, 28}, {127, 1, 1},
                      {128, 1, 0},   {0xfffffff, 1, 0}, {0x7fffffff, 1, 0},    {-1, 1, 0},     {-128, 200, 0},
                      {28, 0, 0},    {0, 65536, 128},   {0xffffffff, 65536, 0}};
  for (const Row& row : rows) {
    EXPECT_EQ(mark(for_each(to_mark(read_payload(kSlot, row.offset, row.length)))), row.read)
        << row.offset << " " << row.length;
  }
}

TEST_F(Imports, ReadPayloadReachesBeyondTheWindowAndOverBuffers) {
  run(for_each("(drop " + read_payload(kSlot, 998, 8) + ")" + to_mark(payload32(0))));
  const std::vector<uint8_t> bytes = {998 * 7 & 0xff, 999 * 7 & 0xff, 1000 * 7 & 0xff, 1001 * 7 & 0xff};
  uint32_t expected;
  std::memcpy(&expected, bytes.data(), 4);
  EXPECT_EQ(mark_of(super_frame()), expected);
}

TEST_F(Imports, ReadPayloadReadsThePacketAsItWasBeforeTheCall) {
  const std::string write = store8(abi::kSlotHeadOffset + 8, i32(1)) + set_flag(kWritten);
  EXPECT_EQ(mark(for_each(write + "(drop " + read_payload(kSlot, 8, 1) + ")" + to_mark(payload32(0)))), 0x40u);
}

TEST_F(Imports, AStageSeesNoOtherStagesPayloadAndPackets) {
  const StageText reads =
      for_each("(drop " + read_payload(kSlot, 28, 100) + ")(i32.store " + i32(abi::kEmitBase) + i32(7) + ")");
  const StageText looks = for_each(to_mark("(i32.or " + payload32(0) + "(i32.load " + i32(abi::kEmitBase) + "))"));
  node.run({Node::plugin("reads", node.add(reads)), Node::plugin("looks", node.add(looks))});
  EXPECT_EQ(mark_of(node.udp(100)), 0u);
}

TEST_F(Imports, WrongArgumentsTrap) {
  struct Row {
    const char* what;
    std::string process;
    const char* message;
  };
  constexpr const char* kNoSlot = " of a slot that is not in the list";
  const auto after = [](uint32_t slots) { return n(kFirstSlot + slots * abi::kSlotStride); };
  const Row rows[] = {
      {"no slot", "(drop " + read_payload(n(0), 0, 1) + ")", kNoSlot},
      {"within a slot", "(drop " + read_payload(n(kFirstSlot + 1), 0, 1) + ")", kNoSlot},
      {"before the slots", "(drop " + read_payload(n(kFirstSlot - abi::kSlotStride), 0, 1) + ")", kNoSlot},
      {"the burst header", "(drop " + read_payload(n(abi::kWindowBase), 0, 1) + ")", kNoSlot},
      {"behind the slots", "(drop " + read_payload(after(abi::kMaxSlots), 0, 1) + ")", kNoSlot},
      {"a negative address", "(drop " + read_payload(n(-1), 0, 1) + ")", kNoSlot},
      {"a slot that is empty", "(drop " + read_payload(after(2), 0, 1) + ")", kNoSlot},
      {"a slot that is empty, for mirror", "(drop " + mirror(after(2), 1) + ")", kNoSlot},
      {"no slot, for mirror", "(drop " + mirror(n(0), 1) + ")", kNoSlot},
      {"no slot, for trace", "(call $trace (i32.const 0) (i32.const 0) (i64.const 0))", kNoSlot},
      {"no slot, for source_taken", "(drop " + source_taken(n(0), 1) + ")", kNoSlot},
      {"a slot that is empty, for source_taken", "(drop " + source_taken(after(2), 1) + ")", kNoSlot},
      {"a port that there cannot be", "(drop " + source_taken(n(kFirstSlot), 65536) + ")",
       "source_taken with port 65536, the largest is 65535"},
      {"a negative port", "(drop " + source_taken(n(kFirstSlot), -1) + ")",
       "source_taken with port 4294967295, the largest is 65535"},
      {"more than the region holds", "(drop " + read_payload(n(kFirstSlot), 0, 65537) + ")",
       "read_payload of 65537 bytes, at most 65536 fit"},
      {"a negative length", "(drop " + read_payload(n(kFirstSlot), 0, -1) + ")",
       "read_payload of 4294967295 bytes, at most 65536 fit"},
      {"a table that there cannot be", "(drop " + emit(20, 65536) + ")", "emit into table 65536, the largest is 65535"},
      {"a name that there is not", "(call $trace " + n(kFirstSlot) + "(i32.const 1) (i64.const 0))",
       "trace of value 1, the manifest has 1"},
      {"a negative name", "(call $trace " + n(kFirstSlot) + "(i32.const -1) (i64.const 0))",
       "trace of value 4294967295, the manifest has 1"},
  };
  for (const Row& row : rows) {
    run(importing(row.process, {{"traceValues", {"one"}}}));
    EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed") << row.what;
    EXPECT_EQ(trap().code, "import-misused") << row.what;
    EXPECT_NE(trap().message.find(row.message), std::string::npos) << row.what << ": " << trap().message;
    ASSERT_FALSE(trap().frames.empty()) << row.what;
  }
}

TEST_F(Imports, ASlotOfAnEarlierBurstIsNoMoreInTheList) {
  // Keeps the last slot of its first burst, and reads it in the second.
  run(importing(
      "(local $kept i32) (local.set $kept (i32.load (i32.const 8)))"
      "(if (local.get $kept) (then (drop (call $read_payload (local.get $kept) (i32.const 0) (i32.const 1)))))"
      "(i32.store (i32.const 8) " +
      n(kFirstSlot + 2 * abi::kSlotStride) + ")"));
  node.burst({node.udp(), node.udp(), node.udp()});
  EXPECT_EQ(node.passed.size(), 3u);
  node.free_all();
  EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed");
  EXPECT_EQ(trap().message, "read_payload of a slot that is not in the list");
}

TEST_F(Imports, ASlotOfAPacketThatAnEarlierStageDroppedIsNotInTheList) {
  const std::string drop_second = "(if (i32.eq (local.get $i) (i32.const 1)) (then " +
                                  store8(abi::kSlotVerdict, i32(static_cast<uint32_t>(abi::Verdict::DROP))) + "))";
  const StageText reads = importing("(drop " + read_payload(n(kFirstSlot + abi::kSlotStride), 0, 1) + ")");
  node.run({Node::plugin("drops", node.add(for_each(drop_second))), Node::plugin("test", node.add(reads))});
  node.burst({node.udp(), node.udp(), node.udp()});
  EXPECT_EQ(node.passed.size(), 0u);
  EXPECT_EQ(trap().message, "read_payload of a slot that is not in the list");
}

TEST_F(Imports, AreOfNoUseOutsideProcess) {
  const std::string call = "(drop " + emit(20) + ")";
  StageText in_init = importing("");
  in_init.extra = R"((func (export "init") )" + call + ")";
  const auto init = node.prepare({Node::plugin("test", node.add(in_init))});
  ASSERT_FALSE(init.ok());
  EXPECT_EQ(init.error().code, "module-init-failed");
  EXPECT_NE(init.error().message.find("emit is of use only while process runs"), std::string::npos);

  StageText in_configure = importing("");
  in_configure.extra = R"((func (export "configure") (result i32) )" + call + "(i32.const 0))";
  const auto configure = node.prepare({Node::plugin("test", node.add(in_configure), "{}")});
  ASSERT_FALSE(configure.ok());
  EXPECT_NE(configure.error().message.find("emit is of use only while process runs"), std::string::npos);

  StageText in_start = importing("");
  in_start.extra = "(func $s " + call + ") (start $s)";
  const std::vector<uint8_t> module = in_start.build();
  const auto start = node.host->add_module(digest_of(module), module.data(), module.size());
  ASSERT_FALSE(start.ok());
  EXPECT_NE(start.error().message.find("emit is of use only while process runs"), std::string::npos);
}

/// Keeps what stages note.
class Notes : public Tracer {
 public:
  struct Note {
    uint32_t length;
    std::string stage;
    std::string name;
    int64_t value;
    bool operator==(const Note& other) const {
      return length == other.length && stage == other.stage && name == other.name && value == other.value;
    }
  };
  void trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) override {
    notes.push_back({packet->pkt_len, stage.config.name, stage.plugin->manifest().trace_values.at(name), value});
  }
  std::vector<Note> notes;
};

TEST_F(Imports, TraceNotesValuesOfTracedPackets) {
  run(for_each("(call $trace " + kSlot + "(i32.const 1) (i64.extend_i32_u " + load16(abi::kSlotFlags) +
                   ")) (call $trace " + kSlot + "(i32.const 0) (i64.const -5))",
               {{"traceValues", {"one", "flags"}}}));
  const auto packets = [&] {
    std::vector<rte_mbuf*> burst = {node.udp(1), node.udp(2), node.udp(3)};
    meta_of(burst[1])->flags = static_cast<uint16_t>(abi::Flag::TRACED);
    return burst;
  };
  node.burst(packets());
  node.free_all();
  Notes notes;
  worker().tracer = &notes;
  node.burst(packets());
  worker().tracer = nullptr;
  EXPECT_EQ(node.passed.size(), 3u);
  const auto traced = static_cast<int64_t>(abi::Flag::TRACED);
  EXPECT_EQ(notes.notes, (std::vector<Notes::Note>{{30, "test", "flags", traced}, {30, "test", "one", -5}}));
}

TEST_F(Imports, ACopyOfATracedPacketIsNotTraced) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")"));
  rte_mbuf* packet = node.udp();
  meta_of(packet)->flags = static_cast<uint16_t>(abi::Flag::TRACED);
  meta_of(packet)->traced = 9;
  node.burst({packet});
  worker().flush_all();
  ASSERT_EQ(out(2).sent.size(), 1u);
  EXPECT_FALSE(has_flag(*meta_of(out(2).sent[0]), abi::Flag::TRACED));
  EXPECT_EQ(meta_of(out(2).sent[0])->traced, 0u);
}

TEST_F(Imports, AShadowRunReadsAndSendsNothing) {
  // The active version marks packets with what the candidate reads of their payload.
  run(for_each(to_mark(n(0xab))));
  const StageText candidate =
      for_each("(drop " + read_payload(kSlot, 28, 1) + ")" + to_mark(payload32(0)) + put_packet(kOwn) +
                   "(if (i32.eqz " + emit(29) + ") (then unreachable))(if (i32.eqz " + mirror(kSlot, 2) +
                   ") (then unreachable)) (call $trace " + kSlot + "(i32.const 0) (i64.const 1))",
               {{"traceValues", {"one"}}});
  auto prepared = node.prepare({Node::plugin("test", node.add(candidate))}, abi::Hook::FORWARD, true);
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  ASSERT_TRUE(node.host->start_shadow(prepared.value(), {6, 0, 5000}).ok());
  Notes notes;
  worker().tracer = &notes;
  for (int i = 0; i < 3; i++) {
    rte_mbuf* packet = node.udp(100);
    meta_of(packet)->flags = static_cast<uint16_t>(abi::Flag::TRACED);
    node.burst({packet, node.udp(50)});
    node.free_all();
  }
  worker().tracer = nullptr;
  ShadowReport report = node.host->shadow_report().value();
  for (int i = 0; i < 400 && report.state == ShadowReport::State::Running; i++) {
    usleep(10'000);
    report = node.host->shadow_report().value();
  }
  EXPECT_EQ(report.state, ShadowReport::State::Passed) << report.plugins[0].first_difference;
  EXPECT_EQ(report.plugins[0].packets, 6u);
  EXPECT_EQ(take_originated().size(), 0u);
  EXPECT_EQ(frames(2).size(), 0u);
  EXPECT_TRUE(notes.notes.empty());
  EXPECT_EQ(node.status("test").totals.emitted + node.status("test").totals.mirrored, 0u);
}

TEST_F(Imports, TheNumberOfWorkersIsInTheBurstHeader) {
  EXPECT_EQ(mark(for_each(to_mark("(i32.load " + i32(abi::kWindowBase + abi::kBurstWorkers) + ")"))), 1u);
}

}  // namespace
}  // namespace sluice
