// What routing does with each kind of destination, and what it tells the sender.

#include "node.h"

namespace sluice::testing {
namespace {

using abi::DropReason;

constexpr uint8_t kUdp = IPPROTO_UDP;

/// a and b are links with a router behind each; pod is a proxy port with one pod behind it.
DesiredState state() {
  DesiredState desired;
  desired.ports = {port("a", {"10.1.0.1/24", "2001:db8:1::1/64"}), port("b", {"10.2.0.1/24", "2001:db8:2::1/64"}, 1400),
                   port("pod", {"169.254.1.1/32", "fe80::1/64"})};
  desired.ports[2].proxy = true;
  RouteConfig blackhole = route("10.66.0.0/16", {});
  blackhole.blackhole = true;
  RouteConfig blackhole6 = route("2001:db8:66::/48", {});
  blackhole6.blackhole = true;
  desired.routes = {route("10.3.0.0/16", {via("b", "10.2.0.9")}),
                    route("2001:db8:3::/48", {via("b", "2001:db8:2::9")}),
                    route("10.9.0.5/32", {via("pod")}),
                    route("2001:db8:9::5/128", {via("pod")}),
                    route("172.16.0.0/12", {via("b", "fe80::9")}),
                    blackhole,
                    blackhole6};
  desired.neighbours = {
      neighbour("b", "10.2.0.9", "0b:00:00:00:00:09"),        neighbour("b", "2001:db8:2::9", "0b:00:00:00:00:09"),
      neighbour("b", "10.2.0.7", "0b:00:00:00:00:07"),        neighbour("b", "2001:db8:2::7", "0b:00:00:00:00:07"),
      neighbour("b", "fe80::9", "0b:00:00:00:00:19"),         neighbour("pod", "10.9.0.5", "0c:00:00:00:00:05"),
      neighbour("pod", "2001:db8:9::5", "0c:00:00:00:00:05"), neighbour("a", "10.1.0.2", "0a:00:00:00:00:01"),
      neighbour("a", "2001:db8:1::2", "0a:00:00:00:00:01")};
  return desired;
}

struct ForwardRow {
  const char* name;
  const char* from;
  const char* to;
  PortId out;
  const char* next_mac;
};

class Forwarding : public ::testing::TestWithParam<ForwardRow> {};

TEST_P(Forwarding, CountsTheTtlDownAndSendsToTheNextHop) {
  const ForwardRow& row = GetParam();
  Node node(state());
  node.forward(node.receive(udp(row.from, row.to, filler(20), {.ttl = 64})));
  const Bytes left = ip(row.from, row.to, kUdp, udp_datagram(row.from, row.to, filler(20)), {.ttl = 63});
  EXPECT_EQ(node.sent(row.out), std::vector<Bytes>{ethernet(row.next_mac, port_mac(row.out), left)});
  EXPECT_EQ(node.context.all_drops(), 0u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Forwarding,
    ::testing::Values(ForwardRow{"gateway4", "10.1.0.2", "10.3.4.5", 1, "0b:00:00:00:00:09"},
                      ForwardRow{"gateway6", "2001:db8:1::2", "2001:db8:3::5", 1, "0b:00:00:00:00:09"},
                      ForwardRow{"onlink4", "10.1.0.2", "10.2.0.7", 1, "0b:00:00:00:00:07"},
                      ForwardRow{"onlink6", "2001:db8:1::2", "2001:db8:2::7", 1, "0b:00:00:00:00:07"},
                      ForwardRow{"host_route4", "10.1.0.2", "10.9.0.5", 2, "0c:00:00:00:00:05"},
                      ForwardRow{"host_route6", "2001:db8:1::2", "2001:db8:9::5", 2, "0c:00:00:00:00:05"},
                      ForwardRow{"ipv4_by_an_ipv6_gateway", "10.1.0.2", "172.16.1.1", 1, "0b:00:00:00:00:19"}),
    [](const auto& info) { return info.param.name; });

struct RefusalRow {
  const char* name;
  const char* from;
  const char* to;
  uint8_t ttl;
  size_t payload;
  PortId in_port;
  DropReason reason;
  const char* error_from;  ///< null: the sender is told nothing
  uint8_t type, code;
  uint32_t word;
};

class Refusal : public ::testing::TestWithParam<RefusalRow> {};

TEST_P(Refusal, DropsUnderItsReasonAndTellsTheSender) {
  const RefusalRow& row = GetParam();
  Node node(state());
  const Bytes packet = udp(row.from, row.to, filler(row.payload), {.ttl = row.ttl, .fragment = kDf});
  node.forward(node.receive(packet, row.in_port));
  std::vector<Bytes> expected;
  if (row.error_from != nullptr) {
    expected.push_back(icmp_error(row.error_from, row.from, row.type, row.code, row.word, packet));
  }
  EXPECT_EQ(node.originated(), expected);
  EXPECT_EQ(node.context.drops(row.reason), 1u);
  EXPECT_EQ(node.context.all_drops(), 1u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Refusal,
    ::testing::Values(
        RefusalRow{"no_route4", "10.1.0.2", "8.8.8.8", 64, 20, 0, DropReason::NoRoute, "10.1.0.1", 3, 0, 0},
        RefusalRow{"no_route6", "2001:db8:1::2", "2600::1", 64, 20, 0, DropReason::NoRoute, "2001:db8:1::1", 1, 0, 0},
        RefusalRow{"blackhole4", "10.1.0.2", "10.66.1.1", 64, 20, 0, DropReason::BlackholeRoute, nullptr, 0, 0, 0},
        RefusalRow{"blackhole6", "2001:db8:1::2", "2001:db8:66::1", 64, 20, 0, DropReason::BlackholeRoute, nullptr, 0,
                   0, 0},
        RefusalRow{"ttl4", "10.1.0.2", "10.3.4.5", 1, 20, 0, DropReason::TtlExpired, "10.1.0.1", 11, 0, 0},
        RefusalRow{"ttl4_zero", "10.1.0.2", "10.3.4.5", 0, 20, 0, DropReason::TtlExpired, "10.1.0.1", 11, 0, 0},
        RefusalRow{"ttl6", "2001:db8:1::2", "2001:db8:3::5", 1, 20, 0, DropReason::TtlExpired, "2001:db8:1::1", 3, 0,
                   0},
        RefusalRow{"ttl4_long_quote", "10.1.0.2", "10.3.4.5", 1, 1200, 0, DropReason::TtlExpired, "10.1.0.1", 11, 0, 0},
        RefusalRow{"ttl6_long_quote", "2001:db8:1::2", "2001:db8:3::5", 1, 1300, 0, DropReason::TtlExpired,
                   "2001:db8:1::1", 3, 0, 0},
        RefusalRow{"too_big4", "10.1.0.2", "10.3.4.5", 64, 1400, 0, DropReason::PacketTooBig, "10.1.0.1", 3, 4, 1400},
        RefusalRow{"too_big6", "2001:db8:1::2", "2001:db8:3::5", 64, 1400, 0, DropReason::PacketTooBig, "2001:db8:1::1",
                   2, 0, 1400},
        RefusalRow{"ttl_from_a_pod4", "10.9.0.5", "10.3.4.5", 1, 20, 2, DropReason::TtlExpired, "10.1.0.1", 11, 0, 0},
        RefusalRow{"ttl_from_a_pod6", "2001:db8:9::5", "2001:db8:3::5", 1, 20, 2, DropReason::TtlExpired,
                   "2001:db8:1::1", 3, 0, 0},
        RefusalRow{"link_local_destination4", "10.1.0.2", "169.254.7.7", 64, 20, 0, DropReason::NoRoute, "10.1.0.1", 3,
                   0, 0},
        RefusalRow{"link_local_destination6", "2001:db8:1::2", "fe80::77", 64, 20, 0, DropReason::NoRoute,
                   "2001:db8:1::1", 1, 0, 0},
        RefusalRow{"link_local_of_another_port", "2001:db8:1::2", "fe80::1", 64, 20, 0, DropReason::NoRoute,
                   "2001:db8:1::1", 1, 0, 0},
        RefusalRow{"link_local_source6", "fe80::2", "2001:db8:3::5", 64, 20, 0, DropReason::MartianSource,
                   "2001:db8:1::1", 1, 2, 0},
        RefusalRow{"multicast4", "10.1.0.2", "224.0.0.251", 64, 20, 0, DropReason::NoLocalService, nullptr, 0, 0, 0},
        RefusalRow{"multicast6", "2001:db8:1::2", "ff02::fb", 64, 20, 0, DropReason::NoLocalService, nullptr, 0, 0, 0},
        RefusalRow{"broadcast", "10.1.0.2", "255.255.255.255", 64, 20, 0, DropReason::NoLocalService, nullptr, 0, 0, 0},
        RefusalRow{"directed_broadcast", "10.1.0.2", "10.2.0.255", 64, 20, 0, DropReason::NoLocalService, nullptr, 0, 0,
                   0}),
    [](const auto& info) { return info.param.name; });

struct SilentRow {
  const char* name;
  Bytes packet;
};

class NoErrorAbout : public ::testing::TestWithParam<SilentRow> {};

TEST_P(NoErrorAbout, PacketsThatMayCauseNone) {
  Node node(state());
  node.forward(node.receive(GetParam().packet));
  EXPECT_EQ(node.originated(), std::vector<Bytes>{});
  EXPECT_EQ(node.context.all_drops(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NoErrorAbout,
    ::testing::Values(SilentRow{"error4",
                                icmp_error("10.1.0.2", "8.8.8.8", 3, 1, 0, udp("8.8.8.8", "10.1.0.2", filler(8)))},
                      SilentRow{"error6", icmp_error("2001:db8:1::2", "2600::1", 1, 3, 0,
                                                     udp("2600::1", "2001:db8:1::2", filler(8)))},
                      SilentRow{"later_fragment4", ip("10.1.0.2", "8.8.8.8", kUdp, filler(64), {.fragment = 8})},
                      SilentRow{"later_fragment6", ip("2001:db8:1::2", "2600::1", IPPROTO_FRAGMENT,
                                                      Bytes{kUdp, 0, 0, 64, 0, 0, 0, 1} + filler(64))}),
    [](const auto& info) { return info.param.name; });

TEST(IcmpErrors, AreNotSentAboutFramesToEveryone) {
  Node node(state());
  rte_mbuf* frame =
      node.context.packet(ethernet("ff:ff:ff:ff:ff:ff", "0a:00:00:00:00:01", udp("10.1.0.2", "8.8.8.8", filler(8))), 0);
  ASSERT_EQ(parse_frame(frame), Parsed::Ip);
  node.forward(frame);
  EXPECT_EQ(node.originated(), std::vector<Bytes>{});
}

TEST(IcmpErrors, AreLimitedToABurstAndARate) {
  Node node(state());
  const Bytes packet = udp("10.1.0.2", "8.8.8.8", filler(8));
  for (int i = 0; i < 200; i++) node.forward(node.receive(packet));
  EXPECT_EQ(node.originated().size(), 50u);
  node.pass(0.010);
  for (int i = 0; i < 200; i++) node.forward(node.receive(packet));
  EXPECT_EQ(node.originated().size(), 10u);
}

TEST(IcmpErrors, ToALinkLocalSenderLeaveByThePortItIsBehind) {
  Node node(state());
  node.forward(node.receive(udp("fe80::2", "2600::1", filler(8))));
  ASSERT_EQ(node.worker().originated.count, 1);
  const PacketMeta& meta = *meta_of(node.worker().originated.packets[0]);
  EXPECT_TRUE(meta.redirected);
  EXPECT_EQ(meta.out_port, 0);
  EXPECT_EQ(meta.in_port, kNoPort);
}

TEST(Routing, PacketsForTheNodeAreLocalAndKeepTheirTtl) {
  for (const auto& [from, to, in_port] : std::vector<std::tuple<std::string, std::string, PortId>>{
           {"10.1.0.2", "10.1.0.1", PortId{0}},
           {"10.1.0.2", "10.2.0.1", PortId{0}},
           {"2001:db8:1::2", "2001:db8:2::1", PortId{0}},
           {"10.9.0.5", "169.254.1.1", PortId{2}},
           {"fe80::2", "fe80::1", PortId{2}},
           {"fe80::2", "fe80::ff:fe00:1", PortId{0}},  // made of the port's MAC
           {"fe80::2", "ff02::1", PortId{0}}}) {
    Node node(state());
    rte_mbuf* packet = node.receive(udp(from, to, filler(8), {.ttl = 1}), in_port);
    const Bytes before = bytes_of(packet);
    RouteVerdicts verdicts;
    route_burst(node.worker(), &packet, 1, verdicts);
    ASSERT_EQ(verdicts.local_count, 1) << to;
    EXPECT_EQ(bytes_of(packet), before);
    EXPECT_TRUE(meta_of(packet)->local);
    rte_pktmbuf_free(packet);
  }
}

TEST(Routing, KeepsTheOrderOfABurstOfMixedTablesAndFamilies) {
  DesiredState desired = state();
  desired.routes.push_back(route("0.0.0.0/0", {via("a", "10.1.0.2")}, 7));
  desired.routes.push_back(route("::/0", {via("a", "2001:db8:1::2")}, 7));
  Node node(desired);
  std::vector<rte_mbuf*> burst;
  std::vector<PortId> expected;
  for (int i = 0; i < 256; i++) {
    const bool v6 = i % 3 == 0, other_table = i % 5 == 0;
    const Bytes payload = be32(static_cast<uint32_t>(i));
    burst.push_back(
        node.receive(v6 ? udp("2001:db8:1::2", "2001:db8:3::5", payload) : udp("10.1.0.2", "10.3.0.1", payload)));
    meta_of(burst.back())->table = other_table ? 7 : 0;
    expected.push_back(other_table ? 0 : 1);
  }
  RouteVerdicts verdicts;
  route_burst(node.worker(), burst.data(), 256, verdicts);
  ASSERT_EQ(verdicts.forward_count, 256);
  for (int i = 0; i < 256; i++) {
    EXPECT_EQ(verdicts.forward[i], burst[i]);
    EXPECT_EQ(meta_of(burst[i])->out_port, expected[i]) << i;
    rte_pktmbuf_free(burst[i]);
  }
}

TEST(Routing, ATableThatIsNotThereHasNoRoutes) {
  Node node(state());
  rte_mbuf* packet = node.receive(udp("10.1.0.2", "10.3.0.1", filler(8)));
  meta_of(packet)->table = 99;
  node.forward(packet);
  EXPECT_EQ(node.context.drops(DropReason::NoRoute), 1u);
}

TEST(Routing, ReroutedPacketsCountTheirTtlOnce) {
  Node node(state());
  rte_mbuf* packet = node.receive(udp("10.1.0.2", "10.3.0.1", filler(8), {.ttl = 2}));
  RouteVerdicts verdicts;
  route_burst(node.worker(), &packet, 1, verdicts);
  reroute_burst(node.worker(), &packet, 1, verdicts);
  ASSERT_EQ(verdicts.forward_count, 1);
  EXPECT_EQ(bytes_of(packet), udp("10.1.0.2", "10.3.0.1", filler(8), {.ttl = 1}));
  rte_pktmbuf_free(packet);
}

TEST(Routing, ARedirectedPacketLeavesWhereTheStageSaid) {
  for (const bool named : {true, false}) {
    for (const bool v6 : {false, true}) {
      Node node(state());
      rte_mbuf* packet =
          node.receive(v6 ? udp("2001:db8:1::2", "2001:db8:2::7", filler(8)) : udp("10.1.0.2", "10.2.0.7", filler(8)));
      PacketMeta& meta = *meta_of(packet);
      meta.redirected = 1;
      meta.out_port = 1;
      const Bytes next = address(v6 ? "2001:db8:2::9" : "10.2.0.9");
      if (named) memcpy(meta.next_hop_address, next.data(), next.size());
      node.forward(packet);
      const auto frames = node.sent(1);
      ASSERT_EQ(frames.size(), 1u);
      EXPECT_EQ(Bytes(frames[0].begin(), frames[0].begin() + 6),
                mac(named ? "0b:00:00:00:00:09" : "0b:00:00:00:00:07"));
      EXPECT_EQ(frames[0][v6 ? 14 + 7 : 14 + 8], 63);
    }
  }
}

TEST(Routing, ARedirectToAPortThatIsNotThereIsDropped) {
  Node node(state());
  rte_mbuf* packet = node.receive(udp("10.1.0.2", "10.2.0.7", filler(8)));
  meta_of(packet)->redirected = 1;
  meta_of(packet)->out_port = 77;
  node.forward(packet);
  EXPECT_EQ(node.context.drops(DropReason::PortDown), 1u);
}

}  // namespace
}  // namespace sluice::testing
