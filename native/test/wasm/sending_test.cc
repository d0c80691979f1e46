// Packets and copies that stages ask to be sent.
#include "wasm/imports_fixture.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

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

}  // namespace
}  // namespace sluice
