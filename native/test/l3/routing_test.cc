// The snapshot: what it refuses, how it spreads flows, and that its FIBs find the longest prefix.

#include <algorithm>
#include <random>

#include "node.h"

namespace sluice::testing {
namespace {

DesiredState two_ports() {
  DesiredState desired;
  desired.ports = {port("a", {"10.1.0.1/24", "2001:db8:1::1/64"}), port("b", {"10.2.0.1/24", "2001:db8:2::1/64"}),
                   vxlan("vx", 7, "10.2.0.1")};
  desired.routes = {route("10.4.0.0/16", {via("a", "10.1.0.2")})};
  return desired;
}

struct ErrorRow {
  const char* name;
  void (*change)(DesiredState&);
  const char* code;
  const char* path;
};

class RoutingError : public ::testing::TestWithParam<ErrorRow> {};

TEST_P(RoutingError, NamesThePlace) {
  Node node(two_ports());
  ASSERT_TRUE(node.build().ok());
  GetParam().change(node.state);
  const auto built = node.build();
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, GetParam().code) << built.error().message;
  EXPECT_EQ(built.error().path, GetParam().path) << built.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RoutingError,
    ::testing::Values(
        ErrorRow{"unknown_port", [](DesiredState& s) { s.routes[0].next_hops.push_back(via("c")); }, "no-such-port",
                 "/routes/0/nextHops/1/port"},
        ErrorRow{"host_bits", [](DesiredState& s) { s.routes[0].prefix = ip_prefix("10.4.0.9/16"); }, "bad-prefix",
                 "/routes/0/prefix"},
        ErrorRow{"prefix_too_long", [](DesiredState& s) { s.routes[0].prefix.length = 33; }, "bad-prefix",
                 "/routes/0/prefix"},
        ErrorRow{"no_next_hop", [](DesiredState& s) { s.routes[0].next_hops.clear(); }, "no-next-hop",
                 "/routes/0/nextHops"},
        ErrorRow{"weight_zero", [](DesiredState& s) { s.routes[0].next_hops[0].weight = 0; }, "bad-weight",
                 "/routes/0/nextHops/0/weight"},
        ErrorRow{"same_route_twice", [](DesiredState& s) { s.routes.push_back(s.routes[0]); }, "duplicate-prefix",
                 "/routes/1/prefix"},
        ErrorRow{"route_over_own_address",
                 [](DesiredState& s) { s.routes.push_back(route("10.1.0.1/32", {via("b")})); }, "duplicate-prefix",
                 "/routes/1/prefix"},
        ErrorRow{"ipv6_by_ipv4_gateway",
                 [](DesiredState& s) { s.routes.push_back(route("2600::/16", {via("a", "10.1.0.2")})); },
                 "wrong-family", "/routes/1/nextHops/0/gateway"},
        ErrorRow{"tunnel_without_remote", [](DesiredState& s) { s.routes[0].next_hops = {via("vx")}; }, "no-remote",
                 "/routes/0/nextHops/0/remote"},
        ErrorRow{"remote_without_tunnel", [](DesiredState& s) { s.routes[0].next_hops = {tunnel_to("a", "10.2.0.2")}; },
                 "not-a-tunnel", "/routes/0/nextHops/0/remote"},
        ErrorRow{"remote_of_other_family",
                 [](DesiredState& s) { s.routes[0].next_hops = {tunnel_to("vx", "2001:db8:2::2")}; }, "wrong-family",
                 "/routes/0/nextHops/0/remote"},
        ErrorRow{"tunnel_through_itself",
                 [](DesiredState& s) { s.routes[0].next_hops = {tunnel_to("vx", "10.4.0.2")}; }, "tunnel-in-tunnel",
                 "/routes/0/nextHops/0/remote"},
        ErrorRow{"tunnel_without_local", [](DesiredState& s) { s.ports[2].local = {}; }, "no-tunnel-endpoint",
                 "/ports/2/local"},
        ErrorRow{"same_tunnel_twice", [](DesiredState& s) { s.ports[1] = vxlan("b", 7, "10.2.0.1"); },
                 "duplicate-tunnel", "/ports/2/vni"},
        ErrorRow{"two_host_ports", [](DesiredState& s) { s.ports[0].host = s.ports[1].host = true; }, "two-host-ports",
                 "/ports/1/host"},
        ErrorRow{"same_prefix_on_two_ports",
                 [](DesiredState& s) { s.ports[1].addresses.push_back(ip_prefix("10.1.0.9/24")); }, "duplicate-prefix",
                 "/ports/1/addresses/2"},
        ErrorRow{"multicast_address", [](DesiredState& s) { s.ports[0].addresses[0] = ip_prefix("224.0.0.1/24"); },
                 "bad-address", "/ports/0/addresses/0"},
        ErrorRow{"static_neighbour_nowhere",
                 [](DesiredState& s) { s.neighbours.push_back(neighbour("c", "10.1.0.2", "0a:00:00:00:00:01")); },
                 "no-such-port", "/neighbours/0/port"},
        ErrorRow{"too_many_tables",
                 [](DesiredState& s) {
                   for (uint16_t table = 1; table <= 16; table++)
                     s.routes.push_back(route("10.0.0.0/8", {via("a")}, table));
                 },
                 "too-many-tables", "/routes/16/table"}),
    [](const auto& info) { return info.param.name; });

TEST(Routing, ADefaultRouteLeavesSpecialPrefixesAlone) {
  DesiredState desired = two_ports();
  desired.routes = {route("0.0.0.0/0", {via("b", "10.2.0.2")}), route("::/0", {via("b", "2001:db8:2::2")}),
                    route("169.254.169.254/32", {via("b", "10.2.0.2")})};
  Node node(desired);
  const auto kind = [&](const std::string& text) {
    const IpAddress ip = ip_address(text);
    return node.routing->lookup(0, ip.family, ip.bytes.data()).kind;
  };
  EXPECT_EQ(kind("8.8.8.8"), RouteKind::Forward);
  EXPECT_EQ(kind("2600::1"), RouteKind::Forward);
  EXPECT_EQ(kind("169.254.1.1"), RouteKind::LinkLocal);
  EXPECT_EQ(kind("169.254.169.254"), RouteKind::Forward);
  EXPECT_EQ(kind("fe80::1"), RouteKind::LinkLocal);
  EXPECT_EQ(kind("febf::1"), RouteKind::LinkLocal);
  EXPECT_EQ(kind("224.0.0.1"), RouteKind::Multicast);
  EXPECT_EQ(kind("ff02::1"), RouteKind::Multicast);
  EXPECT_EQ(kind("127.0.0.1"), RouteKind::Martian);
  EXPECT_EQ(kind("::1"), RouteKind::Martian);
  EXPECT_EQ(kind("10.1.0.1"), RouteKind::Local);
  EXPECT_EQ(kind("10.1.0.255"), RouteKind::Multicast);
  EXPECT_EQ(kind("2001:db8:2::1"), RouteKind::Local);
}

TEST(Ecmp, SharesFlowsOutByWeightAndKeepsEachOnItsWay) {
  for (const std::string family : {"4", "6"}) {
    DesiredState desired = two_ports();
    desired.routes =
        family == "4"
            ? std::vector<RouteConfig>{route("10.7.0.0/16", {via("a", "10.1.0.2", 3), via("b", "10.2.0.2", 1)})}
            : std::vector<RouteConfig>{
                  route("2600::/16", {via("a", "2001:db8:1::2", 3), via("b", "2001:db8:2::2", 1)})};
    Node node(desired);
    const IpAddress to = ip_address(family == "4" ? "10.7.1.1" : "2600::1");
    const RouteEntry& entry = node.routing->lookup(0, to.family, to.bytes.data());
    ASSERT_TRUE(entry.spread);
    std::mt19937 random(1);
    int by_a = 0;
    constexpr int kFlows = 10000;
    for (int i = 0; i < kFlows; i++) {
      const auto hash = static_cast<uint32_t>(random());
      const uint32_t hop = node.routing->select(entry, hash);
      EXPECT_EQ(node.routing->select(entry, hash), hop);
      if (node.routing->next_hops[hop].port == 0) by_a++;
    }
    EXPECT_NEAR(by_a, kFlows * 3 / 4, kFlows / 50);
  }
}

TEST(Ecmp, EvenAWeightOfOneInManyGetsAFlow) {
  DesiredState desired = two_ports();
  std::vector<NextHopConfig> hops;
  for (int i = 2; i < 102; i++) hops.push_back(via("a", "10.1.0." + std::to_string(i)));
  desired.routes = {route("10.7.0.0/16", hops)};
  Node node(desired);
  std::vector<uint32_t> seen(node.routing->buckets);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()) - seen.begin(), 100);
}

/// The longest covering prefix, found by trying them all.
uint32_t by_hand(const std::vector<FibRoute>& routes, const IpAddress& to) {
  int best = -1;
  uint32_t value = 0;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family != to.family || route.prefix.length <= best) continue;
    if (!in_prefix(to.bytes.data(), route.prefix.address.bytes.data(), route.prefix.length)) continue;
    best = route.prefix.length;
    value = route.value;
  }
  return value;
}

uint64_t look_up(const Fib4& fib, const IpAddress& to) {
  uint32_t word;
  memcpy(&word, to.bytes.data(), sizeof word);
  word = rte_be_to_cpu_32(word);
  uint64_t value = 0;
  fib.lookup(&word, &value, 1);
  return value;
}

TEST(Fib, FindsTheLongestPrefixOfRandomTables) {
  std::mt19937 random(7);
  for (const FibKind kind : {FibKind::Direct, FibKind::Trie}) {
    std::vector<FibRoute> routes;
    std::map<std::string, bool> taken;
    for (uint32_t i = 0; i < 600; i++) {
      const uint8_t family = i % 2 == 0 ? 4 : 6;
      IpPrefix prefix;
      prefix.address.family = family;
      // Few distinct bytes, so that prefixes nest.
      for (int b = 0; b < address_bytes(family); b++)
        prefix.address.bytes[b] = static_cast<uint8_t>(random() % 3 == 0 ? 0x80 : 0x81);
      prefix.length = static_cast<uint8_t>(random() % (address_bits(family) + 1u));
      prefix = network_of(prefix);
      if (!taken.insert({to_text(prefix), true}).second) continue;
      routes.push_back({prefix, i + 1});
    }
    auto fib4 = Fib4::build(routes, kind);
    ASSERT_TRUE(fib4.ok()) << fib4.error().message;
    const PrefixTrie fib6(routes, 6);
    for (int i = 0; i < 5000; i++) {
      IpAddress to;
      to.family = i % 2 == 0 ? 4 : 6;
      for (int b = 0; b < address_bytes(to.family); b++) {
        to.bytes[b] = static_cast<uint8_t>(random() % 3 == 0 ? 0x80 : 0x81);
      }
      const uint64_t value = to.family == 4 ? look_up(fib4.value(), to) : fib6.lookup6(to.bytes.data());
      ASSERT_EQ(value, by_hand(routes, to)) << to_text(to);
    }
  }
}

/// Each table but the first is made of one that came before: more and fewer routes, other values, and past its room.
TEST(Fib, OfASpareOneIsAsIfItWereNew) {
  std::mt19937 random(11);
  const auto spare = std::make_shared<SpareFib>();
  for (int round = 0; round < 40; round++) {
    std::vector<FibRoute> routes;
    std::map<std::string, bool> taken;
    const uint32_t count = round % 10 == 9 ? 3000 : random() % 200;
    for (uint32_t i = 0; i < count; i++) {
      IpPrefix prefix{ip_address("10.0.0.0"), static_cast<uint8_t>(random() % 33)};
      prefix.address.bytes[1] = static_cast<uint8_t>(random() % (count > 1000 ? 256 : 3));
      prefix.address.bytes[2] = static_cast<uint8_t>(random() % 3);
      prefix.address.bytes[3] = static_cast<uint8_t>(random() % 4);
      prefix = network_of(prefix);
      if (taken.insert({to_text(prefix), true}).second)
        routes.push_back({prefix, static_cast<uint32_t>(1 + round * 100 + i)});
    }
    auto fib = Fib4::build(routes, FibKind::Direct, spare);
    ASSERT_TRUE(fib.ok()) << fib.error().message;
    for (int i = 0; i < 500; i++) {
      IpAddress to = ip_address("10.0.0.0");
      to.bytes[1] = static_cast<uint8_t>(random() % 4);
      to.bytes[2] = static_cast<uint8_t>(random() % 4);
      to.bytes[3] = static_cast<uint8_t>(random() % 5);
      ASSERT_EQ(look_up(fib.value(), to), by_hand(routes, to)) << to_text(to) << " in round " << round;
    }
  }
}

TEST(Fib, HoldsManyHostRoutes) {
  std::vector<FibRoute> routes;
  for (uint32_t i = 0; i < 40000; i++) {
    IpPrefix prefix{ip_address(i % 2 == 0 ? "10.0.0.0" : "2001:db8::"), 0};
    prefix.length = address_bits(prefix.address.family);
    const int last = address_bytes(prefix.address.family) - 1;
    prefix.address.bytes[last] = static_cast<uint8_t>(i / 2);
    prefix.address.bytes[last - 1] = static_cast<uint8_t>(i / 512);
    routes.push_back({prefix, i + 1});
  }
  const PrefixTrie fib6(routes, 6);
  EXPECT_EQ(fib6.lookup6(ip_address("2001:db8::4e1f").bytes.data()), 40000u);
  EXPECT_EQ(fib6.lookup6(ip_address("2001:db8::4e20").bytes.data()), 0u);
  for (const FibKind kind : {FibKind::Direct, FibKind::Trie}) {
    auto fib4 = Fib4::build(routes, kind);
    ASSERT_TRUE(fib4.ok()) << fib4.error().message;
    EXPECT_EQ(look_up(fib4.value(), ip_address("10.0.78.31")), 39999u);
    EXPECT_EQ(look_up(fib4.value(), ip_address("10.0.78.32")), 0u);
  }
}

}  // namespace
}  // namespace sluice::testing
