// Packets that stages send as the node's own: answers (REPLY), new ones (emit); and copies (mirror).
#include <gtest/gtest.h>

#include "worker/network.h"

namespace sluice::testing {
namespace {

using abi::DropReason;
using abi::Hook;

constexpr uint32_t kWritten = static_cast<uint32_t>(abi::Flag::WRITTEN);
const std::string kClientMac = "0a:00:00:00:00:02", kServerMac = "0b:00:00:00:00:02";

/// A client behind port 0, a server behind port 1. In table 7 the client is behind port 1.
DesiredState state() {
  DesiredState desired;
  desired.ports = {port("a", {"10.0.0.1/24", "fd00::1/64", "fe80::1/64"}), port("b", {"10.0.1.1/24", "fd00:1::1/64"})};
  desired.routes = {route("10.0.0.2/32", {via("b", "10.0.1.2")}, 7)};
  desired.neighbours = {neighbour("a", "10.0.0.2", kClientMac), neighbour("a", "fd00::2", kClientMac),
                        neighbour("a", "fe80::2", kClientMac), neighbour("b", "10.0.1.2", kServerMac),
                        neighbour("b", "fd00:1::2", kServerMac)};
  return desired;
}

std::string verdict(abi::Verdict value) {
  return store8(abi::kSlotVerdict, i32(static_cast<uint32_t>(value)));
}

/// WAT: swaps `bytes` bytes (4 or 8) at two places of the head.
std::string swap(uint32_t a, uint32_t b, int bytes) {
  const std::string type = bytes == 8 ? "i64" : "i32";
  const auto at = [&](uint32_t place) { return " offset=" + std::to_string(abi::kSlotHeadOffset + place) + " "; };
  const std::string kept = bytes == 8 ? "$kept64" : "$kept32";
  return "(local.set " + kept + "(" + type + ".load" + at(a) + "(local.get $slot)))(" + type + ".store" + at(a) +
         "(local.get $slot) (" + type + ".load" + at(b) + "(local.get $slot)))(" + type + ".store" + at(b) +
         "(local.get $slot) (local.get " + kept + "))";
}
/// Sends a packet back to where it came from: addresses and ports of UDP or TCP swapped. Sums stay as they are.
std::string turn_round(uint32_t family = 4) {
  const uint32_t l4 = abi::kSlotHeadOffset + (family == 4 ? 20 : 40);
  const std::string addresses = family == 4 ? swap(12, 16, 4) : swap(8, 24, 8) + swap(16, 32, 8);
  return addresses + store32(l4, "(i32.rotl " + load32(l4) + "(i32.const 16))") + set_flag(kWritten) +
         verdict(abi::Verdict::REPLY);
}
StageText for_each(const std::string& code) {
  StageText stage;
  stage.process = "(local $kept32 i32) (local $kept64 i64)" + for_each_slot(code);
  return stage;
}
StageText once(const std::string& code) {
  StageText stage;
  stage.process = code;
  return stage;
}
/// WAT: these bytes over the packet's first ones.
std::string overwrite(const Bytes& bytes) {
  std::string code;
  for (uint32_t i = 0; i < bytes.size(); i++) code += store8(abi::kSlotHeadOffset + i, i32(bytes[i]));
  return code + set_flag(kWritten);
}
std::string emit(const Bytes& packet, uint16_t table = 0) {
  std::string code;
  for (uint32_t i = 0; i < packet.size(); i++) {
    code += "(i32.store8 " + i32(abi::kEmitBase + i) + i32(packet[i]) + ")";
  }
  return code + "(drop (call $emit " + i32(static_cast<uint32_t>(packet.size())) + i32(table) + "))";
}
/// Emits the same as often as it may.
std::string emit_all(const Bytes& packet) {
  return "(local $n i32)" + emit(packet) + "(loop $next (drop (call $emit " +
         i32(static_cast<uint32_t>(packet.size())) +
         "(i32.const 0))) (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) "
         "(i32.const 63))))";
}
/// Lets packets pass; the host counts them.
const StageText kWatching = for_each("");

Bytes request(const IpOptions& o = {}) {
  return udp("10.0.0.2", "10.0.1.2", filler(20), o);
}
Bytes answer(const IpOptions& o = {}) {
  return ip("10.0.1.2", "10.0.0.2", IPPROTO_UDP, udp_datagram("10.0.1.2", "10.0.0.2", filler(20), 2000, 1000), o);
}
Bytes from_port(PortId id, const std::string& to, const Bytes& packet) {
  return ethernet(to, port_mac(id), packet);
}

class OwnPackets : public ::testing::Test {
 protected:
  void TearDown() override {
    path.node.originated();
    path.stages({});
    EXPECT_EQ(path.node.context.buffers_in_use(), 0u);
  }
  std::vector<Bytes> sent(PortId port) { return path.node.sent(port); }
  uint64_t drops(DropReason reason) { return path.node.context.drops(reason); }
  /// Packets that a stage saw.
  uint64_t seen(const std::string& stage) {
    for (const PluginStatus& status : path.host->status()) {
      if (status.name == stage) return status.totals.packets;
    }
    return 0;
  }

  Path path{state()};
};

TEST_F(OwnPackets, AnAnswerLeavesByTheWayItsPacketCame) {
  struct Row {
    const char* hook_name;
    Hook hook;
    Bytes in;
    Bytes out;
  };
  const auto answer_from = [](const std::string& from, uint8_t ttl) {
    return ip(from, "10.0.0.2", IPPROTO_UDP, udp_datagram(from, "10.0.0.2", filler(20), 2000, 1000), {.ttl = ttl});
  };
  const Row rows[] = {
      {"prerouting", Hook::PREROUTING, request(), answer_from("10.0.1.2", 64)},
      {"forward", Hook::FORWARD, request(), answer_from("10.0.1.2", 63)},
      {"postrouting", Hook::POSTROUTING, request(), answer_from("10.0.1.2", 63)},
      {"input", Hook::INPUT, udp("10.0.0.2", "10.0.0.1", filler(20)), answer_from("10.0.0.1", 64)},
  };
  for (const Row& row : rows) {
    path.stages({});  // a new row counts from 0
    // At postrouting the answer itself comes by: only what goes to the server is turned round.
    const std::string to_client = "(i32.eq " + load32(abi::kSlotHeadOffset + 16) + i32(0x0200000a) + ")";
    path.stages({{row.hook, for_each("(if (i32.eqz " + to_client + ") (then " + turn_round() + "))")},
                 {Hook::OUTPUT, kWatching}});
    path.receive(row.in);
    EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, row.out)}) << row.hook_name;
    EXPECT_EQ(sent(1).size(), 0u) << row.hook_name;
    EXPECT_EQ(seen("1"), 1u) << row.hook_name << ": the output hook sees the answer";
    EXPECT_EQ(path.flows->live(), 0u) << row.hook_name << ": no flow begins with it, or with the answer";
  }
  EXPECT_EQ(path.node.context.all_drops(), 0u);
}

TEST_F(OwnPackets, AnIpv6AnswerToo) {
  path.stages({{Hook::PREROUTING, for_each(turn_round(6))}});
  path.receive(udp("fd00::2", "fd00:1::2", filler(9)));
  const Bytes out =
      ip("fd00:1::2", "fd00::2", IPPROTO_UDP, udp_datagram("fd00:1::2", "fd00::2", filler(9), 2000, 1000));
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, out)});
}

TEST_F(OwnPackets, AnAnswerToALinkLocalAddressLeavesByThePortItCameBy) {
  path.stages({{Hook::INPUT, for_each(turn_round(6))}});
  path.receive(udp("fe80::2", "fe80::1", filler(9)));
  const Bytes out = ip("fe80::1", "fe80::2", IPPROTO_UDP, udp_datagram("fe80::1", "fe80::2", filler(9), 2000, 1000));
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, out)});
}

TEST_F(OwnPackets, AnAnswerIsRoutedInItsTable) {
  path.stages({{Hook::PREROUTING, for_each(turn_round() + store16(abi::kSlotTable, i32(7)))}});
  path.receive(request());
  EXPECT_EQ(sent(0).size(), 0u);
  EXPECT_EQ(sent(1), std::vector<Bytes>{from_port(1, kServerMac, answer())});
}

TEST_F(OwnPackets, AFlowThatIsThereLivesOnAndItsNextPacketIsAsBefore) {
  path.receive(request());
  EXPECT_EQ(sent(1).size(), 1u);
  EXPECT_EQ(path.flows->live(), 1u);
  path.stages({{Hook::FORWARD, for_each(turn_round())}});
  path.receive(request());
  EXPECT_EQ(sent(0).size(), 1u);
  EXPECT_EQ(path.flows->live(), 1u);
  // NEW still: the answer was none of the flow's.
  path.stages(
      {{Hook::FORWARD, for_each("(if (i32.ne " + load8(abi::kSlotCtState) + i32(1) + ") (then unreachable))")}});
  path.receive(request());
  EXPECT_EQ(sent(1).size(), 1u);
}

TEST_F(OwnPackets, WhatComesBackToAnAnswerIsNoReplyToIt) {
  path.stages({{Hook::PREROUTING, for_each("(if (i32.or (i32.ne " + load8(abi::kSlotCtState) + i32(1) + ")" +
                                           load8(abi::kSlotCtDirection) + ") (then unreachable))" + turn_round())}});
  for (int i = 0; i < 3; i++) {
    path.receive(request());
    EXPECT_EQ(sent(0).size(), 1u);
  }
  EXPECT_EQ(path.flows->live(), 0u);
}

TEST_F(OwnPackets, ABurstOfAnswersIsSentWhole) {
  path.stages({{Hook::PREROUTING, for_each(turn_round())}});
  std::vector<rte_mbuf*> frames;
  for (uint16_t i = 0; i < kMaxBurst; i++) frames.push_back(path.frame(request()));
  path.receive(frames);
  EXPECT_EQ(sent(0).size(), size_t{kMaxBurst});
}

TEST_F(OwnPackets, APartialChecksumOfAnAnswerIsCompleted) {
  path.stages({{Hook::FORWARD, for_each(turn_round())}});
  Bytes packet = request();
  const Bytes sum = pseudo("10.0.0.2", "10.0.1.2", IPPROTO_UDP, 28);
  put16(packet, 26, static_cast<uint16_t>(~checksum(sum)));
  rte_mbuf* frame = path.frame(packet);
  meta_of(frame)->flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  path.receive({frame});
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, answer({.ttl = 63}))});
}

/// TCP from the client, as a TAP hands it over.
class SuperFrames : public OwnPackets {
 protected:
  static Bytes tcp(const std::string& from, const std::string& to, uint16_t source, uint16_t destination,
                   const Bytes& payload, bool partial, uint8_t flags = 0x10, uint32_t sequence = 1) {
    Bytes segment =
        be16(source) + be16(destination) + be32(sequence) + be32(1) + Bytes{0x50, flags, 1, 0, 0, 0, 0, 0} + payload;
    const Bytes before = pseudo(from, to, IPPROTO_TCP, segment.size());
    put16(segment, 16, partial ? static_cast<uint16_t>(~checksum(before)) : checksum(before + segment));
    return ip(from, to, IPPROTO_TCP, segment, {.fragment = kDf});
  }
  static rte_mbuf* super(Path& path, size_t payload) {
    const Bytes bytes =
        ethernet(port_mac(0), "0a:00:00:00:00:99", tcp("10.0.0.2", "10.0.1.2", 1000, 2000, filler(payload), true));
    rte_mbuf* frame = path.node.context.packet(Bytes(bytes.begin(), bytes.begin() + 200), 0);
    for (size_t at = 200; at < bytes.size(); at += 1500) {
      const size_t end = std::min(bytes.size(), at + 1500);
      EXPECT_EQ(rte_pktmbuf_chain(frame, path.node.context.packet(Bytes(bytes.begin() + at, bytes.begin() + end), 0)),
                0);
    }
    PacketMeta& meta = *meta_of(frame);
    meta.gso_size = 1000;
    meta.flags = static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    return frame;
  }
};

TEST_F(SuperFrames, TurnedRoundLeaveInSegments) {
  path.stages({{Hook::PREROUTING, for_each(turn_round())}});
  path.receive({super(path, 2500)});
  const std::vector<Bytes> frames = sent(0);
  ASSERT_EQ(frames.size(), 3u);
  const Bytes payload = filler(2500);
  for (size_t i = 0; i < 3; i++) {
    const Bytes part(payload.begin() + i * 1000, payload.begin() + std::min<size_t>(2500, (i + 1) * 1000));
    Bytes packet = tcp("10.0.1.2", "10.0.0.2", 2000, 1000, part, false, 0x10, static_cast<uint32_t>(1 + i * 1000));
    put16(packet, 4, static_cast<uint16_t>(i));
    put16(packet, 10, 0);
    put16(packet, 10, checksum(Bytes(packet.begin(), packet.begin() + 20)));
    EXPECT_EQ(frames[i], from_port(0, kClientMac, packet)) << i;
  }
}

TEST_F(SuperFrames, MadeAResetOfLeaveAsOnePacket) {
  const Bytes reset = tcp("10.0.1.2", "10.0.0.2", 2000, 1000, {}, true, 0x04);
  path.stages({{Hook::PREROUTING, for_each(overwrite(reset) + verdict(abi::Verdict::REPLY))}});
  path.receive({super(path, 2500)});
  const Bytes whole = tcp("10.0.1.2", "10.0.0.2", 2000, 1000, {}, false, 0x04);
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, whole)});
}

TEST_F(SuperFrames, MadeAResetOfAreNoSuperFramesForAPortWithOffloads) {
  Path offloading(state(), true);
  const Bytes reset = tcp("10.0.1.2", "10.0.0.2", 2000, 1000, {}, true, 0x04);
  offloading.stages({{Hook::PREROUTING, for_each(overwrite(reset) + verdict(abi::Verdict::REPLY))}});
  offloading.receive({super(offloading, 2500)});
  offloading.node.worker().flush_all();
  ASSERT_EQ(offloading.node.captures[0]->sent.size(), 1u);
  const PacketMeta& meta = *meta_of(offloading.node.captures[0]->sent[0]);
  EXPECT_EQ(meta.flags, static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM));
  EXPECT_EQ(meta.gso_size, 0);
  EXPECT_EQ(offloading.node.captures[0]->sent[0]->pkt_len, 14 + 40u);
}

TEST_F(SuperFrames, MadeAnIcmpErrorOfKeepTheChecksumThatTheStageWrote) {
  const Bytes about = tcp("10.0.0.2", "10.0.1.2", 1000, 2000, filler(8), true);
  const Bytes error = icmp_error("10.0.0.1", "10.0.0.2", 3, 13, 0, about);
  path.stages({{Hook::PREROUTING, for_each(overwrite(error) + verdict(abi::Verdict::REPLY))}});
  path.receive({super(path, 2500)});
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, error)});
}

TEST_F(OwnPackets, APartialPacketMadeAnIcmpErrorOfByAPush) {
  // 28 bytes before the packet: the error quotes it with its checksum completed.
  const Bytes error = icmp_error("10.0.0.1", "10.0.0.2", 3, 13, 0, request());
  const Bytes headers(error.begin(), error.begin() + 28);
  std::string code;
  for (uint32_t i = 0; i < headers.size(); i++) code += store8(abi::kSlotHeadOffset - 28 + i, i32(headers[i]));
  const auto add = [](uint32_t field, int by, bool wide) {
    const std::string value =
        "(i32.add " + (wide ? load32(field) : load16(field)) + i32(static_cast<uint32_t>(by)) + ")";
    return wide ? store32(field, value) : store16(field, value);
  };
  code += add(abi::kSlotHead, -28, false) + add(abi::kSlotHeadLength, 28, false) +
          add(abi::kSlotPacketLength, 28, true) + set_flag(kWritten) + verdict(abi::Verdict::REPLY);
  path.stages({{Hook::PREROUTING, for_each(code)}});
  Bytes packet = request();
  put16(packet, 26, static_cast<uint16_t>(~checksum(pseudo("10.0.0.2", "10.0.1.2", IPPROTO_UDP, 28))));
  rte_mbuf* frame = path.frame(packet);
  meta_of(frame)->flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  path.receive({frame});
  EXPECT_EQ(sent(0), std::vector<Bytes>{from_port(0, kClientMac, error)});
}

TEST_F(OwnPackets, AnswersAtOutputEnd) {
  path.stages({{Hook::PREROUTING, for_each(turn_round())}, {Hook::OUTPUT, for_each(verdict(abi::Verdict::REPLY))}});
  path.receive(request());
  for (int i = 0; i < 10; i++) path.tick();
  EXPECT_EQ(sent(0).size(), 0u);
  EXPECT_EQ(drops(DropReason::TunnelLoop), 1u);
  EXPECT_LE(seen("1"), 8u);
}

TEST_F(OwnPackets, WhatIsNoPacketIsNoAnswer) {
  path.stages({{Hook::PREROUTING, for_each(overwrite({0x55}) + verdict(abi::Verdict::REPLY))}});
  path.receive(request());
  EXPECT_EQ(sent(0).size() + sent(1).size(), 0u);
  EXPECT_EQ(path.node.context.all_drops(), 1u);
}

TEST_F(OwnPackets, AnEmittedPacketIsRoutedByTheOutputHook) {
  const Bytes own = udp("10.0.1.1", "10.0.1.2", filler(5));
  for (const Hook hook : {Hook::PREROUTING, Hook::FORWARD, Hook::POSTROUTING, Hook::INPUT}) {
    path.stages({});  // a new row counts from 0
    const bool input = hook == Hook::INPUT;
    // At postrouting the emitted packet comes by too: only for the client's is one emitted.
    const std::string from_client = "(i32.eq (i32.load offset=" + std::to_string(abi::kSlotHeadOffset + 12) +
                                    " (i32.load " + i32(abi::kWindowBase + abi::kSlotListOffset) + ")) " +
                                    i32(0x0200000a) + ")";
    path.stages({{hook, once("(if " + from_client + "(then " + emit(own) + "))")}, {Hook::OUTPUT, kWatching}});
    path.receive(input ? udp("10.0.0.2", "10.0.0.1", filler(5)) : request());
    const std::vector<Bytes> frames = sent(1);
    ASSERT_EQ(frames.size(), input ? 1u : 2u);
    EXPECT_EQ(frames.back(), from_port(1, kServerMac, own));
    EXPECT_EQ(seen("1"), input ? 2u : 1u) << "with input's ICMP error";
    sent(0);
  }
}

TEST_F(OwnPackets, AnEmittedPacketIsRoutedInItsTable) {
  path.stages({{Hook::PREROUTING, once(emit(udp("10.0.1.1", "10.0.0.2", filler(5)), 7) +
                                       emit(udp("10.0.1.1", "10.77.0.1", filler(5)), 7))}});
  path.receive(request());
  EXPECT_EQ(sent(0).size(), 0u);
  EXPECT_EQ(sent(1).size(), 2u);
  EXPECT_EQ(drops(DropReason::NoRoute), 1u);
}

TEST_F(OwnPackets, WhatTheParserRefusesIsNotEmitted) {
  Bytes wrong = udp("10.0.1.1", "10.0.1.2", filler(5));
  wrong[10] ^= 1;
  path.stages({{Hook::PREROUTING, once(emit(wrong))}});
  path.receive(request());
  EXPECT_EQ(sent(1).size(), 1u);
  EXPECT_EQ(path.host->status()[0].totals.emitted, 0u);
}

TEST_F(OwnPackets, ALargeEmittedPacketLeavesInFragments) {
  path.stages({{Hook::PREROUTING, once(emit(udp("10.0.1.1", "10.0.1.2", filler(5000))))}});
  path.receive(request());
  EXPECT_EQ(sent(1).size(), 1u + 4);
}

TEST_F(OwnPackets, EmitsAtOutputEnd) {
  const Bytes own = udp("10.0.1.1", "10.0.1.2", filler(5));
  // Each of the node's own packets gives rise to another.
  path.stages({{Hook::PREROUTING, once(emit(own))}, {Hook::OUTPUT, once(emit(own))}});
  path.receive(request());
  for (int i = 0; i < 20; i++) path.tick();
  EXPECT_EQ(sent(1).size(), 1u + 7);
  EXPECT_EQ(drops(DropReason::TunnelLoop), 1u);
  for (int i = 0; i < 20; i++) path.tick();
  EXPECT_EQ(sent(1).size(), 0u);
}

TEST_F(OwnPackets, ManyEmitsAtOutputEnd) {
  const Bytes own = udp("10.0.1.1", "10.0.1.2", filler(5));
  path.stages({{Hook::PREROUTING, once(emit(own))},
               {Hook::OUTPUT, once(emit_all(own))},
               {Hook::POSTROUTING, once(emit_all(own))}});
  path.receive(request());
  for (int i = 0; i < 50; i++) path.tick();
  sent(1);
  EXPECT_EQ(path.node.worker().originated.count, 0u);
  for (int i = 0; i < 10; i++) path.tick();
  EXPECT_EQ(sent(1).size(), 0u);
}

TEST_F(OwnPackets, EmitsThatTheNodeAnswersEnd) {
  // An echo request to the node itself, from the client: the node's answer meets the stage again.
  const Bytes ask = icmp("10.0.0.2", "10.0.0.1", Bytes{8, 0, 0, 0, 0, 1, 0, 1});
  path.stages({{Hook::OUTPUT, once(emit(ask))}});
  path.receive(ask);
  for (int i = 0; i < 50; i++) path.tick();
  EXPECT_GE(sent(0).size(), 1u);
  EXPECT_EQ(path.node.worker().originated.count, 0u);
  for (int i = 0; i < 10; i++) path.tick();
  EXPECT_EQ(sent(0).size(), 0u);
}

TEST_F(OwnPackets, AMirroredPacketIsSeenByNoHook) {
  path.stages({{Hook::PREROUTING, for_each("(drop (call $mirror (local.get $slot) (i32.const 1) (i32.const 0)))")},
               {Hook::OUTPUT, kWatching},
               {Hook::POSTROUTING, kWatching}});
  path.receive(request());
  const Bytes as_it_came = ethernet(port_mac(0), "0a:00:00:00:00:99", request());
  EXPECT_EQ(sent(1), (std::vector<Bytes>{as_it_came, from_port(1, kServerMac, request({.ttl = 63}))}));
  EXPECT_EQ(seen("1"), 0u);
  EXPECT_EQ(seen("2"), 1u);
}

}  // namespace
}  // namespace sluice::testing
