// What stages get from the host's functions, and what they do not.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "core/tracer.h"
#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

constexpr uint32_t kWritten = static_cast<uint32_t>(abi::Flag::WRITTEN);
constexpr uint32_t kFirstSlot = abi::kWindowBase + abi::kSlotsOffset;

std::string n(int64_t value) {
  return "(i32.const " + std::to_string(value) + ")";
}
const std::string kSlot = "(local.get $slot)";
std::string read_payload(const std::string& slot, int64_t offset, int64_t length) {
  return "(call $read_payload " + slot + n(offset) + n(length) + ")";
}
std::string emit(int64_t length, int64_t table = 0) {
  return "(call $emit " + n(length) + n(table) + ")";
}
std::string mirror(const std::string& slot, int64_t port, int64_t length = 0) {
  return "(call $mirror " + slot + n(port) + n(length) + ")";
}
std::string to_mark(const std::string& value) {
  return store32(abi::kSlotMark, value);
}
std::string payload32(uint32_t offset) {
  return "(i32.load " + i32(abi::kPayloadBase + offset) + ")";
}

StageText importing(const std::string& process, nlohmann::json manifest = {}) {
  StageText stage{process};
  stage.imports = kAllImports;
  stage.manifest = manifest.is_null() ? nlohmann::json::object() : std::move(manifest);
  stage.manifest["writes"] = true;
  return stage;
}
StageText for_each(const std::string& per_slot, nlohmann::json manifest = {}) {
  return importing(for_each_slot(per_slot), std::move(manifest));
}

/// WAT that puts these bytes at EMIT.
std::string put_packet(const std::string& hex) {
  std::string code;
  const std::vector<uint8_t> bytes = from_hex(hex);
  for (uint32_t i = 0; i < bytes.size(); i++) code += "(i32.store8 " + i32(abi::kEmitBase + i) + i32(bytes[i]) + ")";
  return code;
}

/// 29 bytes, UDP from 10.9.9.9 to 10.0.0.1.
const std::string kOwn = "4500001d0000000040115cb00a0909090a00000104d204d200090000aa";

uint64_t sum_of(const std::vector<uint8_t>& bytes, size_t from, size_t to) {
  uint64_t sum = 0;
  for (size_t i = from; i < to; i++) sum += (i - from) % 2 == 0 ? bytes[i] << 8 : bytes[i];
  return sum;
}
uint16_t folded(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}
/// Sum of the pseudo-header of IPv4 (RFC 793 section 3.1) for what follows it from byte 20 on.
uint64_t pseudo4(const std::vector<uint8_t>& packet) {
  return sum_of(packet, 12, 20) + packet[9] + (packet.size() - 20);
}

class Imports : public ::testing::Test {
 protected:
  void SetUp() override { buffers = node.context.buffers_in_use(); }
  void TearDown() override {
    node.free_all();
    take_originated();
    worker().flush_all();
    for (const PortId port : {1, 2}) out(port).clear();
    EXPECT_EQ(node.context.buffers_in_use(), buffers);
  }

  WorkerContext& worker() { return node.context.worker; }
  CapturePort& out(PortId port) { return static_cast<CapturePort&>(*node.context.ports.at(port)); }
  void run(const StageText& stage) { node.run({Node::plugin("test", node.add(stage))}); }
  uint32_t mark_of(rte_mbuf* packet) {
    node.burst({packet});
    EXPECT_EQ(node.passed.size(), 1u);
    const uint32_t mark = node.passed.empty() ? 0xdead : meta_of(packet)->mark;
    node.free_all();
    return mark;
  }
  uint32_t mark(const StageText& stage) {
    run(stage);
    return mark_of(node.udp(100));
  }
  TrapInfo trap() { return node.status("test").last_trap.value_or(TrapInfo{}); }

  std::vector<std::string> take_originated() {
    std::vector<std::string> packets;
    for (uint16_t i = 0; i < worker().originated.count; i++) {
      packets.push_back(to_hex(worker().originated.packets[i]));
      rte_pktmbuf_free(worker().originated.packets[i]);
    }
    worker().originated.count = 0;
    return packets;
  }
  /// Frames that left by a port.
  std::vector<std::string> frames(PortId port) {
    worker().flush_all();
    std::vector<std::string> all;
    for (const rte_mbuf* frame : out(port).sent) all.push_back(to_hex(frame));
    out(port).clear();
    return all;
  }

  /// With a link header before it.
  rte_mbuf* received(uint16_t payload = 4) {
    rte_mbuf* packet = node.udp(payload);
    meta_of(packet)->l2_length = 14;
    const std::vector<uint8_t> link = from_hex("0a0a0a0a0a0a 0b0b0b0b0b0b 0800");
    std::memcpy(rte_pktmbuf_mtod(packet, uint8_t*) - 14, link.data(), link.size());
    return packet;
  }
  /// TCP with a partial checksum, 2500 bytes of payload in two buffers.
  rte_mbuf* super_frame() {
    std::vector<uint8_t> bytes =
        from_hex("450009ec0000400040060000 0a000001 0a000002 03e807d0 00000001 00000001 50180100 00000000");
    bytes.resize(40 + 2500);
    for (size_t i = 40; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(i * 7);
    const uint16_t header = static_cast<uint16_t>(~folded(sum_of(bytes, 0, 20)));
    bytes[10] = static_cast<uint8_t>(header >> 8);
    bytes[11] = static_cast<uint8_t>(header);
    const uint16_t partial = folded(pseudo4(bytes));
    bytes[36] = static_cast<uint8_t>(partial >> 8);
    bytes[37] = static_cast<uint8_t>(partial);
    rte_mbuf* packet = node.context.packet(std::vector<uint8_t>(bytes.begin(), bytes.begin() + 1000), 1);
    rte_mbuf* rest = node.context.packet(std::vector<uint8_t>(bytes.begin() + 1000, bytes.end()), 1);
    EXPECT_EQ(rte_pktmbuf_chain(packet, rest), 0);
    PacketMeta& meta = *meta_of(packet);
    meta.family = 4;
    meta.protocol = IPPROTO_TCP;
    meta.l4_offset = 20;
    meta.payload_offset = 40;
    meta.gso_size = 1000;
    meta.flags = static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    return packet;
  }

  Node node;
  uint32_t buffers = 0;
};

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
       "sluice.emit, sluice.mirror, sluice.trace"},
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

TEST_F(Imports, EmittedPacketsAreOfTheNodesOwn) {
  run(importing(put_packet(kOwn) + "(drop " + emit(29, 5) + ")"));
  rte_mbuf* packet = node.udp();
  meta_of(packet)->passes = 3;
  node.burst({packet});
  ASSERT_EQ(worker().originated.count, 1u);
  const PacketMeta& meta = *meta_of(worker().originated.packets[0]);
  EXPECT_EQ(meta.table, 5);
  EXPECT_EQ(meta.in_port, kNoPort);
  EXPECT_EQ(meta.passes, 3) << "against loops, it counts on from the packets that it came of";
  EXPECT_EQ(take_originated(), std::vector<std::string>{kOwn});
  EXPECT_EQ(node.status("test").totals.emitted, 1u);
}

TEST_F(Imports, EmitTakesPacketsOnly) {
  struct Row {
    const char* what;
    std::string packet;
    int64_t length;
    uint32_t result;
  };
  const std::string own6 = "6000000000081140" + std::string(64, '1') + "04d204d200080000";
  const Row rows[] = {
      {"IPv4", kOwn, 29, 1},
      {"IPv6", own6, 48, 1},
      {"nothing", kOwn, 0, 0},
      {"a negative length", kOwn, -1, 0},
      {"more than the region holds", kOwn, 65537, 0},
      {"half a header", kOwn, 19, 0},
      {"less than the IPv4 header says", kOwn, 28, 0},
      {"less than the IPv6 header says", own6, 47, 0},
      {"half an IPv6 header", own6, 39, 0},
      {"another version", "55" + kOwn.substr(2), 29, 0},
      {"zeroes", std::string(80, '0'), 40, 0},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(mark(for_each(put_packet(row.packet) + to_mark(emit(row.length)))), row.result) << row.what;
    EXPECT_EQ(take_originated().size(), row.result) << row.what;
  }
}

TEST_F(Imports, EmitsOfACallAreBounded) {
  const std::string all = "(local $n i32) (local $sum i32)" + put_packet(kOwn) +
                          "(loop $next (local.set $sum (i32.add (local.get $sum) " + emit(29) +
                          ")) (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) "
                          "(i32.const 1000)))) (i32.store " +
                          n(kFirstSlot + abi::kSlotMark) + "(local.get $sum))";
  EXPECT_EQ(mark(importing(all)), abi::MAX_EMITS);
  EXPECT_EQ(take_originated().size(), abi::MAX_EMITS);
  EXPECT_EQ(mark_of(node.udp()), abi::MAX_EMITS) << "the next call has its own";
  EXPECT_EQ(take_originated().size(), abi::MAX_EMITS);
}

TEST_F(Imports, LargePacketsAreEmittedInSeveralBuffers) {
  // 9000 bytes.
  run(importing(put_packet("45002328") + "(drop " + emit(9000) + ")"));
  node.burst({node.udp()});
  ASSERT_EQ(worker().originated.count, 1u);
  EXPECT_EQ(worker().originated.packets[0]->pkt_len, 9000u);
  EXPECT_GT(worker().originated.packets[0]->nb_segs, 1);
  EXPECT_EQ(take_originated()[0].substr(0, 8), "45002328");
}

TEST_F(Imports, WithoutBuffersNothingIsEmittedOrMirrored) {
  run(for_each(put_packet(kOwn) + to_mark("(i32.add " + emit(29) + mirror(kSlot, 2) + ")")));
  rte_mbuf* packet = node.udp();
  std::vector<rte_mbuf*> taken;
  while (rte_mbuf* buffer = rte_pktmbuf_alloc(node.context.pools.packets)) taken.push_back(buffer);
  EXPECT_EQ(mark_of(packet), 0u);
  rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));
  EXPECT_EQ(take_originated().size(), 0u);
}

TEST_F(Imports, MirroredPacketsLeaveAsTheyCame) {
  const std::string bytes = "4500002000000000401100000a0000010a00000203e807d000000000abababab";
  struct Row {
    const char* what;
    std::string code;
    bool received;
    std::string frame;
  };
  const std::string link = "0a0a0a0a0a0a0b0b0b0b0b0b0800", none = "0000000000000000000000000800";
  const std::string write = store8(abi::kSlotHeadOffset + 8, i32(1)) + set_flag(kWritten);
  const Row rows[] = {
      {"with its link header", mirror(kSlot, 2), true, link + bytes},
      {"without one", mirror(kSlot, 2), false, none + bytes},
      {"its first bytes", mirror(kSlot, 2, 20), true, link + bytes.substr(0, 40)},
      {"more than there is", mirror(kSlot, 2, 1000), true, link + bytes},
      {"as long as it can be", mirror(kSlot, 2, -1), true, link + bytes},
      {"after the stage has changed it", "(block (result i32) " + write + mirror(kSlot, 2) + ")", true, link + bytes},
  };
  for (const Row& row : rows) {
    run(for_each(to_mark(row.code)));
    EXPECT_EQ(mark_of(row.received ? received() : node.udp(4)), 1u) << row.what;
    EXPECT_EQ(frames(2), std::vector<std::string>{row.frame}) << row.what;
  }
  EXPECT_EQ(node.status("test").totals.mirrored, std::size(rows));
}

TEST_F(Imports, AnIpv6PacketWithoutLinkHeaderGetsItsEthertype) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")"));
  rte_mbuf* packet = node.context.packet("6000000000001140" + std::string(64, '1'));
  meta_of(packet)->family = 6;
  node.burst({packet});
  EXPECT_EQ(frames(2)[0].substr(24, 4), "86dd");
}

TEST_F(Imports, MirrorSendsACopyAPortOnce) {
  struct Row {
    const char* what;
    std::string code;
    uint32_t result;
    size_t first, second;  ///< frames by port
  };
  const auto both = [](const std::string& a, const std::string& b) { return "(i32.add " + a + b + ")"; };
  const Row rows[] = {
      {"twice to one port", both(mirror(kSlot, 2), mirror(kSlot, 2)), 1, 0, 1},
      {"to two ports", both(mirror(kSlot, 1), mirror(kSlot, 2)), 2, 1, 1},
      {"to two ports and one again", both(both(mirror(kSlot, 1), mirror(kSlot, 2)), mirror(kSlot, 1)), 2, 1, 1},
      {"a port that is not there", mirror(kSlot, 7), 0, 0, 0},
      {"no port", mirror(kSlot, abi::NO_PORT), 0, 0, 0},
      {"a port number that there cannot be", mirror(kSlot, 65536 + 2), 0, 0, 0},
      {"a negative port", mirror(kSlot, -1), 0, 0, 0},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(mark(for_each(to_mark(row.code))), row.result) << row.what;
    EXPECT_EQ(frames(1).size(), row.first) << row.what;
    EXPECT_EQ(frames(2).size(), row.second) << row.what;
  }
}

TEST_F(Imports, EachPacketOfABurstIsMirroredByItself) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")(drop " + mirror(kSlot, 1) + ")"));
  std::vector<rte_mbuf*> packets;
  for (uint16_t i = 0; i < kMaxBurst; i++) packets.push_back(node.udp(i));
  node.burst(packets);
  node.free_all();
  const std::vector<std::string> one = frames(1), two = frames(2);
  ASSERT_EQ(one.size(), size_t{kMaxBurst});
  for (size_t i = 0; i < one.size(); i++) EXPECT_EQ(one[i].size(), 2 * (14 + 28 + i));
  EXPECT_EQ(one, two);
}

TEST_F(Imports, AMirroredCopyFitsItsPort) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")"));
  node.burst({node.udp(2000)});
  EXPECT_EQ(frames(2).size(), 0u);
  EXPECT_EQ(node.context.drops(abi::DropReason::PacketTooBig), 1u);
}

TEST_F(Imports, AMirroredSuperFrameIsSegmentedForAPortWithoutOffloads) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")"));
  node.burst({super_frame()});
  const std::vector<std::string> sent = frames(2);
  ASSERT_EQ(sent.size(), 3u);
  size_t payload = 0;
  for (const std::string& frame : sent) {
    std::vector<uint8_t> packet = from_hex(frame.substr(28));
    EXPECT_EQ(frame.substr(0, 28), "0000000000000000000000000800");
    EXPECT_EQ(packet[2] << 8 | packet[3], static_cast<int>(packet.size()));
    EXPECT_EQ(folded(sum_of(packet, 0, 20)), 0xffff);
    EXPECT_EQ(folded(pseudo4(packet) + sum_of(packet, 20, packet.size())), 0xffff);
    payload += packet.size() - 40;
  }
  EXPECT_EQ(payload, 2500u);
}

TEST_F(Imports, AMirroredSuperFrameGoesWholeToAPortWithOffloads) {
  node.context.add_port(3, "02:00:00:00:00:03", 1500, true);
  run(for_each("(drop " + mirror(kSlot, 3) + ")"));
  node.burst({super_frame()});
  worker().flush_all();
  ASSERT_EQ(out(3).sent.size(), 1u);
  const PacketMeta& meta = *meta_of(out(3).sent[0]);
  EXPECT_EQ(out(3).sent[0]->pkt_len, 14 + 2540u);
  EXPECT_EQ(meta.l2_length, 14);
  EXPECT_EQ(meta.gso_size, 1000);
  EXPECT_TRUE(has_flag(meta, abi::Flag::SUPER_FRAME) && has_flag(meta, abi::Flag::PARTIAL_CHECKSUM));
  out(3).clear();
}

TEST_F(Imports, TheFirstBytesOfASuperFrameAreMirroredAsTheyAre) {
  run(for_each("(drop " + mirror(kSlot, 2, 64) + ")"));
  rte_mbuf* packet = super_frame();
  const std::string first = testing::to_hex(rte_pktmbuf_mtod(packet, uint8_t*), 64);
  node.burst({packet});
  EXPECT_EQ(frames(2), std::vector<std::string>{"0000000000000000000000000800" + first});
}

TEST_F(Imports, AMirroredPartialChecksumIsCompleted) {
  run(for_each("(drop " + mirror(kSlot, 2) + ")"));
  rte_mbuf* packet = super_frame();
  rte_pktmbuf_trim(packet, 1580);  // 960 bytes in the first buffer, none in the second
  PacketMeta& meta = *meta_of(packet);
  rte_pktmbuf_free(packet->next);
  packet->next = nullptr;
  packet->nb_segs = 1;
  packet->pkt_len = packet->data_len;
  meta.flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  meta.gso_size = 0;
  uint8_t* bytes = rte_pktmbuf_mtod(packet, uint8_t*);
  bytes[2] = static_cast<uint8_t>(packet->pkt_len >> 8);
  bytes[3] = static_cast<uint8_t>(packet->pkt_len);
  const uint16_t partial = folded(pseudo4({bytes, bytes + packet->pkt_len}));
  bytes[36] = static_cast<uint8_t>(partial >> 8);
  bytes[37] = static_cast<uint8_t>(partial);
  node.burst({packet});
  ASSERT_EQ(node.passed.size(), 1u);
  EXPECT_TRUE(has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) << "the packet itself is left alone";
  const std::vector<std::string> sent = frames(2);
  ASSERT_EQ(sent.size(), 1u);
  const std::vector<uint8_t> copy = from_hex(sent[0].substr(28));
  EXPECT_EQ(folded(pseudo4(copy) + sum_of(copy, 20, copy.size())), 0xffff);
}

TEST_F(Imports, ACallThatTrapsSendsNothing) {
  for (const FailureStrategy failure : {FailureStrategy::FailClosed, FailureStrategy::FailOpen}) {
    PluginConfig plugin =
        Node::plugin("test", node.add(for_each(put_packet(kOwn) + "(drop " + emit(29) + ")(drop " + mirror(kSlot, 2) +
                                               ")(if (i32.eq (local.get $i) (i32.const 1)) (then unreachable))")));
    plugin.failure = failure;
    node.run({plugin});
    node.burst({node.udp(), node.udp(), node.udp()});
    node.free_all();
    EXPECT_EQ(take_originated().size(), 0u);
    EXPECT_EQ(frames(2).size(), 0u);
    EXPECT_EQ(node.status("test").totals.emitted, 0u);
    EXPECT_EQ(node.status("test").totals.mirrored, 0u);
  }
}

TEST_F(Imports, AnOverrunBudgetSendsNothing) {
  run(importing(put_packet(kOwn) + "(drop " + emit(29) + ")(loop (br 0))"));
  EXPECT_EQ(node.outcome(node.udp()), "dropped stage-failed");
  EXPECT_EQ(take_originated().size(), 0u);
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
