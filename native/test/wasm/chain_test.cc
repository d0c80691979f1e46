#include <gtest/gtest.h>

#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: the rows below read as a table

constexpr uint32_t kWritten = static_cast<uint32_t>(abi::Flag::WRITTEN);
constexpr uint32_t kFlowWritten = static_cast<uint32_t>(abi::Flag::FLOW_WRITTEN);

std::string verdict(abi::Verdict value) {
  return store8(abi::kSlotVerdict, i32(static_cast<uint32_t>(value)));
}
std::string reason(uint32_t value) {
  return verdict(abi::Verdict::DROP) + store16(abi::kSlotReason, i32(value));
}
/// Head, length in the window and packet length as after a push (or pop, negative).
std::string move_head(int push) {
  const std::string by = "(i32.const " + std::to_string(push) + ")";
  return store16(abi::kSlotHead, "(i32.sub " + load16(abi::kSlotHead) + by + ")") +
         store16(abi::kSlotHeadLength, "(i32.add " + load16(abi::kSlotHeadLength) + by + ")") +
         store32(abi::kSlotPacketLength, "(i32.add " + load32(abi::kSlotPacketLength) + by + ")") + set_flag(kWritten);
}
StageText writer(const std::string& per_slot) {
  StageText stage{for_each_slot(per_slot)};
  stage.manifest = {{"writes", true}};
  return stage;
}
StageText reader(const std::string& per_slot) {
  return StageText{for_each_slot(per_slot)};
}

struct Row {
  const char* what;
  StageText stage;
  const char* outcome;
};

class ChainTest : public ::testing::Test {
 protected:
  void SetUp() override { buffers = node.context.buffers_in_use(); }
  void TearDown() override {
    node.free_all();
    EXPECT_EQ(node.context.buffers_in_use(), buffers);
  }
  std::string outcome(const StageText& stage) {
    node.run({Node::plugin("test", node.add(stage))});
    return node.outcome(node.udp(4));
  }

  Node node;
  uint32_t buffers = 0;
};

constexpr const char* kPacket = "4500002000000000401100000a0000010a00000203e807d000000000abababab";
constexpr const char* kInvalid = "dropped stage-invalid-output";

TEST_F(ChainTest, VerdictsAndWritesBecomeTrueOfThePacket) {
  const std::string write = store8(abi::kSlotHeadOffset + 8, i32(0x3f)) + set_flag(kWritten);
  const std::string push = move_head(4) + store32(abi::kSlotHeadOffset - 4, i32(0x04030201));
  const Row rows[] = {
      {"nothing", reader(""), kPacket},
      {"a header byte", writer(write), "45000020000000003f1100000a0000010a00000203e807d000000000abababab"},
      {"bytes written without saying so stay out", writer(store8(abi::kSlotHeadOffset + 8, i32(0x3f))), kPacket},
      {"push of 4 bytes", writer(push), "010203044500002000000000401100000a0000010a00000203e807d000000000abababab"},
      {"pop of 20 bytes", writer(move_head(-20)), "03e807d000000000abababab"},
      {"drop without a reason", reader(verdict(abi::Verdict::DROP)), "dropped unspecified"},
      {"drop with a well-known reason", reader(reason(36)), "dropped policy"},
      {"drop with an unknown reason", reader(reason(1000)), kInvalid},
      {"drop with a reason not in the manifest", reader(reason(abi::PLUGIN_REASON_BASE)), kInvalid},
      {"redirect", reader(verdict(abi::Verdict::REDIRECT) + store16(abi::kSlotOutPort, i32(2))), "redirected 2"},
      {"redirect to a port that is not there",
       reader(verdict(abi::Verdict::REDIRECT) + store16(abi::kSlotOutPort, i32(7))), kInvalid},
      {"redirect nowhere", reader(verdict(abi::Verdict::REDIRECT)), kInvalid},
      {"reinput after a pop", writer(verdict(abi::Verdict::REINPUT) + move_head(-20)),
       "reinput 03e807d000000000abababab"},
      {"reply", writer(verdict(abi::Verdict::REPLY) + write),
       "reply 45000020000000003f1100000a0000010a00000203e807d000000000abababab"},
      {"reply after a push", writer(verdict(abi::Verdict::REPLY) + push),
       "reply 010203044500002000000000401100000a0000010a00000203e807d000000000abababab"},
      {"unknown verdict", reader(store8(abi::kSlotVerdict, i32(5))), kInvalid},
  };
  for (const Row& row : rows) EXPECT_EQ(outcome(row.stage), row.outcome) << row.what;
}

TEST_F(ChainTest, ImpossibleOutputIsDropped) {
  const auto head = [](uint32_t value) { return store16(abi::kSlotHead, i32(value)) + set_flag(kWritten); };
  const Row rows[] = {
      {"written, but the manifest says it does not write", reader(set_flag(kWritten)), kInvalid},
      {"head before the headroom", writer(move_head(132)), kInvalid},
      {"head at 0", writer(head(0)), kInvalid},
      {"head beyond the view", writer(move_head(-40)), kInvalid},
      {"head far beyond the slot", writer(head(0xfff0)), kInvalid},
      {"head moved, lengths not", writer(head(abi::kSlotHeadOffset + 4)), kInvalid},
      {"head moved, not said",
       writer(store16(abi::kSlotHead, i32(252)) + store16(abi::kSlotHeadLength, i32(36)) +
              store32(abi::kSlotPacketLength, i32(36))),
       kInvalid},
      {"view longer", writer(store16(abi::kSlotHeadLength, i32(60)) + set_flag(kWritten)), kInvalid},
      {"view at its largest", writer(store16(abi::kSlotHeadLength, i32(0xffff)) + set_flag(kWritten)), kInvalid},
      {"packet longer", writer(store32(abi::kSlotPacketLength, i32(33)) + set_flag(kWritten)), kInvalid},
      {"packet of 4 GiB", writer(store32(abi::kSlotPacketLength, i32(0xffffffff)) + set_flag(kWritten)), kInvalid},
      {"everything popped", writer(move_head(-32)), kInvalid},
  };
  for (const Row& row : rows) EXPECT_EQ(outcome(row.stage), row.outcome) << row.what;
}

TEST_F(ChainTest, TheLargestPushFits) {
  const std::string result = outcome(writer(move_head(128)));
  EXPECT_EQ(result.size(), 2 * (128 + 32u));
  EXPECT_EQ(result.substr(256), kPacket);
}

TEST_F(ChainTest, PushesOverSeveralStagesEndWhenTheBufferHasNoRoom) {
  const std::string digest = node.add(writer(move_head(128)));
  node.run({Node::plugin("a", digest), Node::plugin("b", digest)});
  EXPECT_EQ(node.outcome(node.udp()), "dropped no-buffer");
}

TEST_F(ChainTest, StagesSeeWhatTheOnesBeforeDid) {
  const std::string first = node.add(writer(store8(abi::kSlotHeadOffset + 8, i32(1)) + set_flag(kWritten) +
                                            store32(abi::kSlotMark, i32(77)) + store16(abi::kSlotTable, i32(5))));
  const std::string second = node.add(
      writer("(if (i32.and (i32.and (i32.eq " + load8(abi::kSlotHeadOffset + 8) + "(i32.const 1)) (i32.eq " +
             load32(abi::kSlotMark) + "(i32.const 77))) (i32.eqz (i32.and " + load16(abi::kSlotFlags) +
             "(i32.const 1)))) (then " + store8(abi::kSlotHeadOffset + 8, i32(2)) + set_flag(kWritten) + "))"));
  node.run({Node::plugin("first", first), Node::plugin("second", second)});
  rte_mbuf* packet = node.udp(4);
  node.burst({packet});
  ASSERT_EQ(node.passed.size(), 1u);
  EXPECT_EQ(rte_pktmbuf_mtod(packet, uint8_t*)[8], 2);
  EXPECT_EQ(meta_of(packet)->mark, 77u);
  EXPECT_EQ(meta_of(packet)->table, 5);
  EXPECT_EQ(meta_of(packet)->rewritten, 1);
  EXPECT_EQ(meta_of(packet)->reframed, 0);
}

TEST_F(ChainTest, AStageAfterAPushSeesTheNewHead) {
  const std::string push = node.add(writer(move_head(4) + store32(abi::kSlotHeadOffset - 4, i32(0x04030201))));
  const std::string check =
      node.add(reader("(if (i32.ne " + load32(abi::kSlotHeadOffset) + i32(0x04030201) + ") (then unreachable))" +
                      "(if (i32.ne " + load16(abi::kSlotHeadLength) + i32(36) + ") (then unreachable))" +
                      "(if (i32.ne " + load16(abi::kSlotHead) + i32(256) + ") (then unreachable))"));
  node.run({Node::plugin("push", push), Node::plugin("check", check)});
  rte_mbuf* packet = node.udp(4);
  node.burst({packet});
  ASSERT_EQ(node.passed.size(), 1u);
  EXPECT_EQ(meta_of(packet)->reframed, 1);
  EXPECT_EQ(meta_of(packet)->l2_length, 0);
}

TEST_F(ChainTest, DroppedPacketsAreOffTheListAndOrderIsKept) {
  // The first stage drops the odd ones; the second stamps each packet's mark with its place in the list.
  const std::string odd =
      node.add(reader("(if (i32.and (local.get $i) (i32.const 1)) (then " + verdict(abi::Verdict::DROP) + "))"));
  const std::string stamp = node.add(reader(store32(abi::kSlotMark, "(local.get $i)")));
  node.run({Node::plugin("odd", odd), Node::plugin("stamp", stamp)});
  std::vector<rte_mbuf*> packets;
  for (uint16_t i = 0; i < kMaxBurst; i++) packets.push_back(node.udp(i));
  node.burst(packets);
  ASSERT_EQ(node.passed.size(), kMaxBurst / 2u);
  for (uint16_t i = 0; i < node.passed.size(); i++) {
    EXPECT_EQ(node.passed[i]->pkt_len, 28u + 2 * i);
    EXPECT_EQ(meta_of(node.passed[i])->mark, i);
  }
  EXPECT_EQ(node.drops("odd", "unspecified"), kMaxBurst / 2u);
  EXPECT_EQ(node.status("odd").totals.packets, kMaxBurst);
  EXPECT_EQ(node.status("stamp").totals.packets, kMaxBurst / 2u);
}

TEST_F(ChainTest, OwnDropReasonsAreCountedByName) {
  StageText stage = reader(reason(abi::PLUGIN_REASON_BASE + 1));
  stage.manifest = {{"dropReasons", {"no-luck", "bad-day"}}};
  EXPECT_EQ(outcome(stage), "dropped policy");
  EXPECT_EQ(node.drops("test", "bad-day"), 1u);
  EXPECT_EQ(node.drops("test", "no-luck"), 0u);
}

TEST_F(ChainTest, LinkHeaderAndMetadataAreThere) {
  rte_mbuf* packet = node.udp(4);
  uint8_t* link = rte_pktmbuf_mtod(packet, uint8_t*) - 14;
  for (uint8_t i = 0; i < 14; i++) link[i] = static_cast<uint8_t>(0xe0 + i);
  PacketMeta& meta = *meta_of(packet);
  meta.l2_length = 14;
  meta.hash = 0x12345678;
  meta.flow = 9;
  meta.ct_state = static_cast<uint8_t>(abi::CtState::ESTABLISHED);
  meta.ct_direction = 1;
  meta.flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  const auto expect = [](const std::string& value, uint32_t wanted) {
    return "(if (i32.ne " + value + i32(wanted) + ") (then unreachable))";
  };
  node.run({Node::plugin(
      "test",
      node.add(reader(expect(load8(abi::kSlotHeadOffset - 14), 0xe0) + expect(load8(abi::kSlotHeadOffset - 1), 0xed) +
                      expect(load8(abi::kSlotL2Length), 14) + expect(load8(abi::kSlotFamily), 4) +
                      expect(load8(abi::kSlotProtocol), 17) + expect(load16(abi::kSlotL4Offset), 20) +
                      expect(load16(abi::kSlotPayloadOffset), 28) + expect(load32(abi::kSlotHash), 0x12345678) +
                      expect(load16(abi::kSlotInPort), 1) + expect(load16(abi::kSlotOutPort), abi::NO_PORT) +
                      expect(load8(abi::kSlotCtState), 2) + expect(load8(abi::kSlotCtDirection), 1) +
                      expect(load32(abi::kSlotFlow), 9) + expect(load32(abi::kSlotPacketLength), 32) +
                      expect(load16(abi::kSlotFlags), static_cast<uint32_t>(abi::Flag::PARTIAL_CHECKSUM)))))});
  EXPECT_EQ(node.outcome(packet), kPacket);
}

TEST_F(ChainTest, ALongPacketIsSeenInPartAndWrittenInPart) {
  StageText stage = writer("(if (i32.ne " + load16(abi::kSlotHeadLength) + i32(64) + ") (then unreachable))" +
                           "(if (i32.eqz (i32.and " + load16(abi::kSlotFlags) + i32(64) + ")) (then unreachable))" +
                           store8(abi::kSlotHeadOffset + 63, i32(0xee)) + set_flag(kWritten));
  node.run({Node::plugin("test", node.add(stage))});
  const std::string result = node.outcome(node.udp(1000));
  ASSERT_EQ(result.size(), 2 * 1028u);
  EXPECT_EQ(result.substr(124, 8), "abeeabab");
}

TEST_F(ChainTest, HeaderBytesInSeveralSegmentsAreReadAndWritten) {
  node.run({Node::plugin("test", node.add(writer(store8(abi::kSlotHeadOffset, i32(0x46)) +
                                                 store8(abi::kSlotHeadOffset + 31, i32(0x99)) + set_flag(kWritten))))});
  rte_mbuf* packet = node.udp(4);
  rte_mbuf* tail = rte_pktmbuf_alloc(node.context.pools.packets);
  rte_memcpy(rte_pktmbuf_append(tail, 22), rte_pktmbuf_mtod_offset(packet, uint8_t*, 10), 22);
  rte_pktmbuf_trim(packet, 22);
  ASSERT_EQ(rte_pktmbuf_chain(packet, tail), 0);
  EXPECT_EQ(node.outcome(packet), "4600002000000000401100000a0000010a00000203e807d000000000ababab99");
}

TEST_F(ChainTest, APopLongerThanTheFirstSegmentWorks) {
  node.run({Node::plugin("test", node.add(writer(move_head(-20))))});
  rte_mbuf* packet = node.udp(4);
  rte_mbuf* tail = rte_pktmbuf_alloc(node.context.pools.packets);
  rte_memcpy(rte_pktmbuf_append(tail, 22), rte_pktmbuf_mtod_offset(packet, uint8_t*, 10), 22);
  rte_pktmbuf_trim(packet, 22);
  ASSERT_EQ(rte_pktmbuf_chain(packet, tail), 0);
  EXPECT_EQ(node.outcome(packet), "03e807d000000000abababab");
}

TEST_F(ChainTest, SctpChecksumIsMadeAnewWhenAsked) {
  StageText stage = writer(store8(abi::kSlotHeadOffset + 20, i32(0x12)) +
                           set_flag(kWritten | static_cast<uint32_t>(abi::Flag::SCTP_CHECKSUM_STALE)));
  node.run({Node::plugin("test", node.add(stage))});
  rte_mbuf* packet = node.context.packet(
      "4500 0030 0000 0000 4084 0000 0a000001 0a000002  03e8 07d0 00000000 00000000  00 03 0010 00000001 00001000 0000 "
      "0000",
      1);
  PacketMeta& meta = *meta_of(packet);
  meta.family = 4;
  meta.protocol = 132;
  meta.l4_offset = 20;
  // CRC32c of the SCTP packet with port 0x12e8, from an implementation of RFC 9260's appendix A in Python.
  EXPECT_EQ(node.outcome(packet),
            "4500003000000000408400000a0000010a000002"
            "12e807d000000000"
            "aeaeaab5"
            "00030010000000010000100000000000");
}

TEST_F(ChainTest, APartialChecksumIsCompletedBeforeAPushHidesIt) {
  // The stage pushes 4 bytes and rewrites the UDP source port 1000 to 1001: the field's pseudo-header sum stays right.
  node.run({Node::plugin("test", node.add(writer(move_head(4) + store8(abi::kSlotHeadOffset + 21, i32(0xe9)))))});
  rte_mbuf* packet =
      node.context.packet("4500 0020 0000 0000 4011 0000 0a000001 0a000002  03e8 07d0 000c 1420  61626364", 1);
  PacketMeta& meta = *meta_of(packet);
  meta.family = 4;
  meta.protocol = 17;
  meta.l4_offset = 20;
  meta.payload_offset = 28;
  meta.flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  node.burst({packet});
  ASSERT_EQ(node.passed.size(), 1u);
  // Pseudo-header: 0a00 + 0001 + 0a00 + 0002 + 0011 + 000c = 1420; with 03e9 + 07d0 + 000c + 6162 + 6364 it is e4ab.
  EXPECT_EQ(to_hex(packet).substr(2 * 24), "03e907d0000c1b5461626364");
  EXPECT_EQ(meta.flags, 0);
}

TEST_F(ChainTest, AWrappedSuperFrameKeepsThePlaceOfItsHeaders) {
  const std::string push = node.add(writer(move_head(40)));
  const std::string pop = node.add(writer(move_head(-40)));
  const auto run = [&](const std::vector<std::string>& stages) {
    std::vector<PluginConfig> plugins;
    for (const std::string& digest : stages)
      plugins.push_back(Node::plugin("p" + std::to_string(plugins.size()), digest));
    node.run(plugins);
    rte_mbuf* packet = node.udp(100);
    PacketMeta& meta = *meta_of(packet);
    meta.flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM) | static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
    node.burst({packet});
    EXPECT_EQ(node.passed.size(), 1u);
    const std::pair<uint16_t, uint16_t> places{meta.gso_l3_offset, meta.gso_l4_offset};
    node.free_all();
    return places;
  };
  EXPECT_EQ(run({push}), std::make_pair(uint16_t{40}, uint16_t{60}));
  EXPECT_EQ(run({push, push}), std::make_pair(uint16_t{80}, uint16_t{100}));
  EXPECT_EQ(run({push, push, pop}), std::make_pair(uint16_t{40}, uint16_t{60}));
  EXPECT_EQ(run({push, pop}), std::make_pair(uint16_t{0}, uint16_t{0}));
}

TEST_F(ChainTest, AScopedStageSeesItsPortsPacketsOnly) {
  const std::string digest = node.add(reader(verdict(abi::Verdict::DROP)));
  PluginConfig scoped = Node::plugin("test", digest);
  scoped.scope = {"two"};
  node.run({scoped});
  rte_mbuf* routed = node.udp(4, 1);
  meta_of(routed)->out_port = 2;
  node.burst({node.udp(1, 1), node.udp(2, 2), node.udp(3, 1), routed});
  ASSERT_EQ(node.passed.size(), 2u);
  EXPECT_EQ(node.passed[0]->pkt_len, 29u);
  EXPECT_EQ(node.passed[1]->pkt_len, 31u);
  EXPECT_EQ(node.status("test").totals.packets, 2u);
}

TEST_F(ChainTest, AStageAfterAScopedOneSeesItsWrites) {
  PluginConfig scoped =
      Node::plugin("scoped", node.add(writer(store8(abi::kSlotHeadOffset + 8, i32(9)) + set_flag(kWritten))));
  scoped.scope = {"two"};
  const std::string stamp = node.add(reader(store32(abi::kSlotMark, load8(abi::kSlotHeadOffset + 8))));
  node.run({scoped, Node::plugin("stamp", stamp)});
  node.burst({node.udp(1, 1), node.udp(2, 2)});
  ASSERT_EQ(node.passed.size(), 2u);
  EXPECT_EQ(meta_of(node.passed[0])->mark, 0x40u);
  EXPECT_EQ(meta_of(node.passed[1])->mark, 9u);
}

TEST_F(ChainTest, WhatAFailedStageWroteIsThrownAway) {
  const std::string write_all = "(if (i32.eq (local.get $i) (i32.const 3)) (then unreachable))" +
                                store8(abi::kSlotHeadOffset + 8, i32(1)) + store32(abi::kSlotMark, i32(1)) +
                                set_flag(kWritten);
  PluginConfig bad = Node::plugin("bad", node.add(writer(write_all)));
  bad.failure = FailureStrategy::FailOpen;
  const std::string stamp = node.add(reader(store32(abi::kSlotMark, load8(abi::kSlotHeadOffset + 8))));
  node.run({bad, Node::plugin("stamp", stamp)});
  node.burst({node.udp(1), node.udp(2), node.udp(3), node.udp(4), node.udp(5)});
  ASSERT_EQ(node.passed.size(), 5u);
  for (rte_mbuf* packet : node.passed) {
    EXPECT_EQ(rte_pktmbuf_mtod(packet, uint8_t*)[8], 0x40);
    EXPECT_EQ(meta_of(packet)->mark, 0x40u) << "the next stage sees the packet as it was";
    EXPECT_EQ(meta_of(packet)->rewritten, 0);
  }
}

TEST_F(ChainTest, FailureStrategies) {
  const std::string digest = node.add(reader("unreachable"));
  PluginConfig closed = Node::plugin("test", digest);
  node.run({closed});
  EXPECT_EQ(node.outcome(node.udp(4)), "dropped stage-failed");
  EXPECT_EQ(node.outcome(node.udp(4)), "dropped stage-failed");
  EXPECT_EQ(node.status("test").totals.failures, 1u) << "it is not called again";
  EXPECT_EQ(node.status("test").state, "failed");
  EXPECT_EQ(node.drops("test", "stage-failed"), 2u);

  PluginConfig open = Node::plugin("test", digest);
  open.failure = FailureStrategy::FailOpen;
  node.run({open});
  EXPECT_EQ(node.outcome(node.udp(4)), kPacket);
  EXPECT_EQ(node.outcome(node.udp(4)), kPacket);
  EXPECT_EQ(node.status("test").totals.failures, 2u);
}

TEST_F(ChainTest, AnInstanceIsReloadedAfterABackOff) {
  // Fails on packets from port 2 only.
  PluginConfig plugin = Node::plugin(
      "test", node.add(reader("(if (i32.eq " + load16(abi::kSlotInPort) + " (i32.const 2)) (then unreachable))")));
  plugin.failure = FailureStrategy::Reload;
  node.run({plugin});
  EXPECT_EQ(node.outcome(node.udp(4, 2)), "dropped stage-failed");
  EXPECT_EQ(node.status("test").state, "reloading");
  EXPECT_EQ(node.outcome(node.udp(4, 1)), "dropped stage-failed");
  for (int i = 0; i < 100 && node.status("test").state != "running"; i++) usleep(20'000);
  EXPECT_EQ(node.outcome(node.udp(4, 1)), kPacket);
}

TEST_F(ChainTest, AnotherHookIsLeftAlone) {
  node.run({Node::plugin("test", node.add(reader(verdict(abi::Verdict::DROP))))}, abi::Hook::PREROUTING);
  EXPECT_TRUE(node.pipeline->empty(abi::Hook::FORWARD));
  EXPECT_EQ(node.outcome(node.udp(4), abi::Hook::FORWARD), kPacket);
  EXPECT_EQ(node.outcome(node.udp(4), abi::Hook::PREROUTING), "dropped unspecified");
}

TEST_F(ChainTest, FlowSlotsAreKeptByFlow) {
  // Counts a flow's packets in its slot, and shows the count as the mark.
  StageText stage = reader(store32(abi::kSlotFlowState, "(i32.add (i32.const 1) " + load32(abi::kSlotFlowState) + ")") +
                           store32(abi::kSlotMark, load32(abi::kSlotFlowState)) + set_flag(kFlowWritten));
  stage.manifest = {{"flowState", {{"size", 4}, {"schema", 1}}}};
  node.run({Node::plugin("test", node.add(stage))});
  const auto mark_of = [&](uint32_t flow) {
    rte_mbuf* packet = node.udp(4);
    meta_of(packet)->flow = flow;
    node.burst({packet});
    const uint32_t mark = meta_of(packet)->mark;
    node.free_all();
    return mark;
  };
  EXPECT_EQ(mark_of(3), 1u);
  EXPECT_EQ(mark_of(3), 2u);
  EXPECT_EQ(mark_of(Node::kFlows), 1u);
  EXPECT_EQ(mark_of(3), 3u);
  EXPECT_EQ(mark_of(0), 1u) << "no flow, no state";
  EXPECT_EQ(mark_of(0), 1u);
}

TEST_F(ChainTest, APacketSeesWhatTheFirstOfItsFlowWroteInTheSameBurst) {
  // Like a load balancer: a new flow gets a number (here the packet's mark as it came), and keeps it.
  StageText stage = reader("(if (i32.and " + load16(abi::kSlotFlags) + i32(static_cast<uint32_t>(abi::Flag::NEW_SLOT)) +
                           ") (then " + store32(abi::kSlotFlowState, load32(abi::kSlotMark)) + set_flag(kFlowWritten) +
                           ") (else " + store32(abi::kSlotMark, load32(abi::kSlotFlowState)) + "))");
  stage.manifest = {{"flowState", {{"size", 4}, {"schema", 1}}}};
  node.run({Node::plugin("test", node.add(stage))});
  std::vector<rte_mbuf*> packets;
  for (uint16_t i = 0; i < 9; i++) {
    packets.push_back(node.udp(i));
    meta_of(packets[i])->flow = i % 3u + 1;
    meta_of(packets[i])->mark = 100u + i;
  }
  node.burst(packets);
  ASSERT_EQ(node.passed.size(), 9u);
  for (uint16_t i = 0; i < 9; i++) {
    EXPECT_EQ(node.passed[i]->pkt_len, 28u + i) << "order is kept";
    EXPECT_EQ(meta_of(node.passed[i])->mark, 100u + i % 3);
  }
}

}  // namespace
}  // namespace sluice
