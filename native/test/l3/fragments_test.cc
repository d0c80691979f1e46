// Taking packets apart and putting them together.

#include <algorithm>
#include <random>

#include "l3/fragment.h"
#include "node.h"

namespace sluice::testing {
namespace {

using abi::DropReason;

/// A way in with MTU 1500 and one out with less.
DesiredState state(uint16_t mtu) {
  DesiredState desired;
  desired.ports = {port("in", {"10.1.0.1/24", "2001:db8:1::1/64"}),
                   port("out", {"10.2.0.1/24", "2001:db8:2::1/64"}, mtu)};
  desired.neighbours = {neighbour("out", "10.2.0.2", "0b:00:00:00:00:02"),
                        neighbour("out", "2001:db8:2::2", "0b:00:00:00:00:02")};
  return desired;
}

struct Ends {
  const char* name;
  const char* from;
  const char* to;
};
constexpr Ends k4{"IPv4", "10.1.0.2", "10.2.0.2"};
constexpr Ends k6{"IPv6", "2001:db8:1::2", "2001:db8:2::2"};

bool is6(const Ends& e) {
  return std::string(e.name) == "IPv6";
}

/// A fragment of a UDP datagram: bytes from `offset` of `datagram`.
Bytes piece(const Ends& e, const Bytes& datagram, size_t offset, size_t length, uint32_t id = 42, uint16_t flags = 0) {
  const bool more = offset + length < datagram.size();
  const Bytes part(datagram.begin() + offset, datagram.begin() + offset + length);
  if (is6(e)) {
    const Bytes header = Bytes{IPPROTO_UDP, 0} + be16(static_cast<uint32_t>(offset | (more ? 1 : 0))) + be32(id);
    return ip(e.from, e.to, IPPROTO_FRAGMENT, header + part);
  }
  const auto field = static_cast<uint16_t>(offset / 8 | (more ? kMf : 0) | flags);
  return ip(e.from, e.to, IPPROTO_UDP, part, {.id = static_cast<uint16_t>(id), .fragment = field});
}

class Reassembling : public ::testing::TestWithParam<Ends> {
 protected:
  rte_mbuf* add(const Bytes& fragment) { return node.reassembler.add(node.worker(), node.receive(fragment)); }

  /// Adds pieces of (offset, length); the whole must be there with the last and not before.
  void expect_whole(const std::vector<std::pair<size_t, size_t>>& pieces) {
    for (size_t i = 0; i < pieces.size(); i++) {
      rte_mbuf* whole = add(piece(e, datagram, pieces[i].first, pieces[i].second));
      ASSERT_EQ(whole != nullptr, i + 1 == pieces.size()) << i;
      if (whole == nullptr) continue;
      EXPECT_EQ(bytes_of(whole), ip(e.from, e.to, IPPROTO_UDP, datagram, {.id = 42}));
      const PacketMeta& meta = *meta_of(whole);
      EXPECT_FALSE(has_flag(meta, abi::Flag::FRAGMENT));
      EXPECT_EQ(meta.l4_offset, is6(e) ? 40 : 20);
      // The link header as received still lies before it.
      EXPECT_EQ(to_hex(rte_pktmbuf_mtod(whole, uint8_t*) - meta.l2_length, 6), to_hex(mac(port_mac(0)).data(), 6));
      rte_pktmbuf_free(whole);
    }
    EXPECT_EQ(node.context.all_drops(), 0u);
    EXPECT_EQ(node.context.buffers_in_use(), 0u);
  }

  const Ends e = GetParam();
  const Bytes datagram = udp_datagram(e.from, e.to, filler(2992));
  Node node{state(1500)};
};

TEST_P(Reassembling, InOrder) {
  expect_whole({{0, 1400}, {1400, 1400}, {2800, 200}});
}
TEST_P(Reassembling, LastFirst) {
  expect_whole({{2800, 200}, {1400, 1400}, {0, 1400}});
}
TEST_P(Reassembling, FirstLast) {
  expect_whole({{1400, 1400}, {2800, 200}, {0, 1400}});
}

TEST_P(Reassembling, TinyFragmentsInAnyOrder) {
  std::vector<std::pair<size_t, size_t>> pieces;
  for (size_t at = 0; at < 3000; at += 40) pieces.push_back({at, 40});
  std::shuffle(pieces.begin(), pieces.end(), std::mt19937(3));
  expect_whole(pieces);
}

TEST_P(Reassembling, AFirstFragmentOfEightBytes) {
  expect_whole({{8, 1400}, {1408, 1592}, {0, 8}});
}

TEST_P(Reassembling, TheLargestPacket) {
  const Bytes large = udp_datagram(e.from, e.to, filler(65500));
  rte_mbuf* whole = nullptr;
  for (size_t at = 0; at < large.size(); at += 1440) {
    whole = add(piece(e, large, at, std::min<size_t>(1440, large.size() - at)));
  }
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(bytes_of(whole), ip(e.from, e.to, IPPROTO_UDP, large, {.id = 42}));
  rte_pktmbuf_free(whole);
}

TEST_P(Reassembling, KeepsPacketsApart) {
  rte_mbuf* none = add(piece(e, datagram, 0, 1400, 1));
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(add(piece(e, datagram, 1400, 1600, 2)), nullptr);
  const Ends other{e.name, is6(e) ? "2001:db8:1::3" : "10.1.0.3", e.to};
  EXPECT_EQ(add(piece(other, datagram, 1400, 1600, 1)), nullptr);
  rte_mbuf* whole = add(piece(e, datagram, 1400, 1600, 1));
  ASSERT_NE(whole, nullptr);
  rte_pktmbuf_free(whole);
}

TEST_P(Reassembling, OverlappingFragmentsSpoilThePacketAndAllThatFollows) {
  EXPECT_EQ(add(piece(e, datagram, 0, 1400)), nullptr);
  EXPECT_EQ(add(piece(e, datagram, 1392, 1400)), nullptr);
  EXPECT_EQ(node.context.drops(DropReason::MalformedFragment), 2u);
  EXPECT_EQ(add(piece(e, datagram, 1400, 1600)), nullptr);
  EXPECT_EQ(add(piece(e, datagram, 0, 1400)), nullptr);
  EXPECT_EQ(node.context.drops(DropReason::MalformedFragment), 4u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

TEST_P(Reassembling, AnExactRepetitionDoesNoHarm) {
  EXPECT_EQ(add(piece(e, datagram, 0, 1400)), nullptr);
  EXPECT_EQ(add(piece(e, datagram, 0, 1400)), nullptr);
  EXPECT_EQ(node.context.drops(DropReason::MalformedFragment), 1u);
  rte_mbuf* whole = add(piece(e, datagram, 1400, 1600));
  ASSERT_NE(whole, nullptr);
  rte_pktmbuf_free(whole);
}

TEST_P(Reassembling, FragmentsBehindTheEndSpoilThePacket) {
  EXPECT_EQ(add(piece(e, datagram, 1400, 1600)), nullptr);
  const Bytes longer = udp_datagram(e.from, e.to, filler(6000));
  EXPECT_EQ(add(piece(e, longer, 3000, 800)), nullptr);
  EXPECT_EQ(node.context.drops(DropReason::MalformedFragment), 2u);
}

TEST_P(Reassembling, GivesUpInTimeAndTellsTheSender) {
  const Bytes first = piece(e, datagram, 0, 1400);
  add(first);
  add(piece(e, datagram, 2800, 200));
  node.pass(is6(e) ? 59.9 : 29.9);
  node.reassembler.tick(node.worker());
  EXPECT_EQ(node.context.all_drops(), 0u);
  node.pass(0.1);
  node.reassembler.tick(node.worker());
  EXPECT_EQ(node.context.drops(DropReason::ReassemblyTimeout), 2u);
  EXPECT_EQ(node.originated(), std::vector<Bytes>{is6(e) ? icmp_error("2001:db8:1::1", e.from, 3, 1, 0, first)
                                                         : icmp_error("10.1.0.1", e.from, 11, 1, 0, first)});
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

TEST_P(Reassembling, SaysNothingWhenTheFirstFragmentIsMissing) {
  add(piece(e, datagram, 2800, 200));
  node.pass(61);
  node.reassembler.tick(node.worker());
  EXPECT_EQ(node.context.drops(DropReason::ReassemblyTimeout), 1u);
  EXPECT_EQ(node.originated(), std::vector<Bytes>{});
}

TEST_P(Reassembling, AFullTableGivesTheOldestPacketUp) {
  Reassembler small({.datagrams = 4, .fragments = 16, .per_datagram = 8});
  for (uint32_t id = 0; id < 6; id++) small.add(node.worker(), node.receive(piece(e, datagram, 0, 1400, id)));
  EXPECT_EQ(node.context.drops(DropReason::ReassemblyFull), 2u);
  EXPECT_EQ(small.add(node.worker(), node.receive(piece(e, datagram, 1400, 1600, 1))), nullptr);
  rte_mbuf* whole = small.add(node.worker(), node.receive(piece(e, datagram, 1400, 1600, 5)));
  ASSERT_NE(whole, nullptr);
  rte_pktmbuf_free(whole);
}

TEST_P(Reassembling, APacketOfTooManyPiecesIsHeldNoFurther) {
  Reassembler small({.datagrams = 4, .fragments = 16, .per_datagram = 3});
  for (size_t i = 0; i < 5; i++) small.add(node.worker(), node.receive(piece(e, datagram, i * 8, 8)));
  EXPECT_EQ(node.context.drops(DropReason::ReassemblyFull), 2u);
}

INSTANTIATE_TEST_SUITE_P(Families, Reassembling, ::testing::Values(k4, k6),
                         [](const auto& info) { return info.param.name; });

TEST(Reassembly, AWholeLongerThanAPacketCanBeIsRefused) {
  Node node(state(1500));
  const Bytes options = {0x94, 4, 0, 0, 1, 1, 1, 1};
  const auto add = [&](const Bytes& packet) { return node.reassembler.add(node.worker(), node.receive(packet)); };
  // The last ends at 65535 with its own header of 20 bytes; the first has one of 28.
  EXPECT_EQ(add(ip(k4.from, k4.to, IPPROTO_UDP, filler(1432), {.fragment = kMf, .options = options})), nullptr);
  for (uint16_t at = 179; at + 180u <= 8189; at = static_cast<uint16_t>(at + 180)) {
    add(ip(k4.from, k4.to, IPPROTO_UDP, filler(1440), {.fragment = static_cast<uint16_t>(at | kMf)}));
  }
  EXPECT_EQ(node.context.all_drops(), 0u);
  const size_t last = 179 + (8189 - 179) / 180 * 180;
  EXPECT_EQ(add(ip(k4.from, k4.to, IPPROTO_UDP, filler(65515 - last * 8), {.fragment = static_cast<uint16_t>(last)})),
            nullptr);
  EXPECT_EQ(node.context.drops(DropReason::MalformedFragment), 46u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

// ---- On the way out

std::vector<Bytes> forwarded(Node& node, rte_mbuf* packet) {
  node.forward(packet);
  std::vector<Bytes> packets;
  for (const Bytes& frame : node.sent(1)) packets.push_back(Bytes(frame.begin() + 14, frame.end()));
  return packets;
}

TEST(Fragmenting, IPv4WithoutDf) {
  Node node(state(1400));
  const Bytes datagram = udp_datagram(k4.from, k4.to, filler(1472));
  const auto packets = forwarded(node, node.receive(ip(k4.from, k4.to, IPPROTO_UDP, datagram, {.ttl = 9, .id = 7})));
  const Bytes first(datagram.begin(), datagram.begin() + 1376), second(datagram.begin() + 1376, datagram.end());
  EXPECT_EQ(packets,
            (std::vector<Bytes>{ip(k4.from, k4.to, IPPROTO_UDP, first, {.ttl = 8, .id = 7, .fragment = kMf}),
                                ip(k4.from, k4.to, IPPROTO_UDP, second, {.ttl = 8, .id = 7, .fragment = 172})}));
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

TEST(Fragmenting, IPv4CopiesTheOptionsThatSaySo) {
  Node node(state(1400));
  const Bytes router_alert = {0x94, 4, 0, 0}, record_route = {7, 7, 4, 0, 0, 0, 0}, end = {0};
  const Bytes datagram = udp_datagram(k4.from, k4.to, filler(1448));
  const IpOptions with{.ttl = 9, .id = 7, .options = record_route + router_alert + end};
  const auto packets = forwarded(node, node.receive(ip(k4.from, k4.to, IPPROTO_UDP, datagram, with)));
  const Bytes first(datagram.begin(), datagram.begin() + 1368), second(datagram.begin() + 1368, datagram.end());
  IpOptions head = with, tail = with;
  head.ttl = tail.ttl = 8;
  head.fragment = kMf;
  tail.fragment = 171;
  tail.options = router_alert;
  EXPECT_EQ(packets, (std::vector<Bytes>{ip(k4.from, k4.to, IPPROTO_UDP, first, head),
                                         ip(k4.from, k4.to, IPPROTO_UDP, second, tail)}));
}

TEST(Fragmenting, OwnIPv6PacketsAreFragmented) {
  Node node(state(1280));
  const Bytes datagram = udp_datagram("2001:db8:2::1", k6.to, filler(1452));
  rte_mbuf* packet = node.receive(ip("2001:db8:2::1", k6.to, IPPROTO_UDP, datagram));
  meta_of(packet)->in_port = kNoPort;
  const auto packets = forwarded(node, packet);
  const auto part = [&](size_t from, size_t to, uint32_t field) {
    return ip("2001:db8:2::1", k6.to, IPPROTO_FRAGMENT,
              Bytes{IPPROTO_UDP, 0} + be16(field) + be32(0) + Bytes(datagram.begin() + from, datagram.begin() + to));
  };
  EXPECT_EQ(packets, (std::vector<Bytes>{part(0, 1232, 1), part(1232, 1460, 1232)}));
}

class Refragmenting : public ::testing::TestWithParam<Ends> {};

TEST_P(Refragmenting, AReassembledPacketLeavesInPiecesOfTheSizeItCameIn) {
  const Ends e = GetParam();
  Node node(state(1400));
  const Bytes datagram = udp_datagram(e.from, e.to, filler(5000));
  rte_mbuf* whole = nullptr;
  for (size_t at = 0; at < datagram.size(); at += 1000) {
    whole = node.reassembler.add(node.worker(),
                                 node.receive(piece(e, datagram, at, std::min<size_t>(1000, datagram.size() - at))));
  }
  ASSERT_NE(whole, nullptr);
  const auto packets = forwarded(node, whole);
  EXPECT_EQ(packets.size(), 6u);
  // What left is put together again by a node behind, to the same datagram.
  Node behind(state(1500));
  rte_mbuf* again = nullptr;
  for (const Bytes& packet : packets) {
    EXPECT_LE(packet.size(), 1000u + (is6(e) ? 48 : 20));
    again = behind.reassembler.add(behind.worker(), behind.receive(packet));
  }
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(bytes_of(again), ip(e.from, e.to, IPPROTO_UDP, datagram, {.ttl = 63, .id = 42}));
  rte_pktmbuf_free(again);
}

TEST_P(Refragmenting, IsRefusedWhereTheSendersOwnPiecesWouldNotFit) {
  const Ends e = GetParam();
  Node node(state(1300));
  const Bytes datagram = udp_datagram(e.from, e.to, filler(2992));
  node.reassembler.add(node.worker(), node.receive(piece(e, datagram, 0, 1400, 42, kDf)));
  rte_mbuf* whole = node.reassembler.add(node.worker(), node.receive(piece(e, datagram, 1400, 1600, 42, kDf)));
  ASSERT_NE(whole, nullptr);
  node.forward(whole);
  EXPECT_EQ(node.sent(1), std::vector<Bytes>{});
  EXPECT_EQ(node.context.drops(DropReason::PacketTooBig), 1u);
  const auto errors = node.originated();
  ASSERT_EQ(errors.size(), 1u);
  const size_t l4 = is6(e) ? 40 : 20;
  EXPECT_EQ(to_hex(errors[0].data() + l4, 2), is6(e) ? "0200" : "0304");
  EXPECT_EQ(to_hex(errors[0].data() + l4 + 4, 4), "00000514");
}

INSTANTIATE_TEST_SUITE_P(Families, Refragmenting, ::testing::Values(k4, k6),
                         [](const auto& info) { return info.param.name; });

TEST(Fragmenting, AMtuWithoutRoomForPayloadFails) {
  Node node(state(1500));
  rte_mbuf* packet = node.receive(udp(k6.from, k6.to, filler(100)));
  rte_mbuf* out[kMaxFragments];
  EXPECT_EQ(fragment_packet(node.worker(), packet, 50, out), 0);
  rte_pktmbuf_free(packet);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

}  // namespace
}  // namespace sluice::testing
