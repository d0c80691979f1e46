#include "control/desired_state.h"

#include <gtest/gtest.h>

#include "generated/abi.h"

namespace sluice {
namespace {

TEST(DesiredState, ReadsEveryPart) {
  const auto result = read_state(R"({
    "ports": [
      {"name": "pod1", "kind": "tap", "netns": "/run/netns/p1", "device": "eth0", "mtu": 1450, "proxy": true,
       "mac": "02:00:00:00:00:01", "peerMac": "02:00:00:00:00:02", "peerAddresses": ["10.1.0.2/32", "fd00::2/128"],
       "addresses": ["169.254.1.1/32"], "peerDefaultRoute": true},
      {"name": "vx", "kind": "vxlan", "vni": 7, "local": "192.0.2.1", "mac": "02:00:00:00:00:03"}],
    "routes": [{"prefix": "10.1.0.2/32", "nextHops": [{"port": "pod1", "mac": "02:00:00:00:00:02"}]},
               {"table": 5, "prefix": "fd00::/64", "nextHops": [{"port": "vx", "remote": "192.0.2.2", "weight": 3}]},
               {"prefix": "10.9.0.0/16", "blackhole": true}],
    "neighbours": [{"port": "pod1", "address": "10.1.0.2", "mac": "02:00:00:00:00:02"}],
    "plugins": [{"name": "policy", "digest": "ab", "config": 0, "failure": "FailOpen", "budgetUs": 500,
                 "scope": ["pod1"]}],
    "pipeline": {"forward": ["policy"]},
    "conntrack": {"maxFlows": 1000, "timeouts": {"udp": 5}}})",
                                 {"{}"}, {}, 0);
  ASSERT_TRUE(result.ok()) << result.error().path << ": " << result.error().message;
  const DesiredState& state = result.value();
  EXPECT_EQ(state.ports[0].kind, PortKind::Tap);
  EXPECT_EQ(state.ports[0].peer_addresses[1].length, 128);
  EXPECT_EQ(state.ports[1].local.bytes[0], 192);
  EXPECT_EQ(state.routes[1].next_hops[0].weight, 3U);
  EXPECT_TRUE(state.routes[2].blackhole);
  EXPECT_EQ(state.plugins[0].config.text(), "{}");
  EXPECT_EQ(state.plugins[0].failure, FailureStrategy::FailOpen);
  EXPECT_EQ(state.pipeline[static_cast<size_t>(abi::Hook::FORWARD)], std::vector<std::string>{"policy"});
  EXPECT_EQ(state.conntrack.timeouts[0].second, 5U);
}

struct BadRow {
  const char* json;
  const char* path;
  const char* says;
};

class BadState : public ::testing::TestWithParam<BadRow> {};

TEST_P(BadState, IsRefusedWithItsPlace) {
  const auto result = parse_desired_state(GetParam().json);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().path, GetParam().path);
  EXPECT_NE(result.error().message.find(GetParam().says), std::string::npos) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadState,
    ::testing::Values(
        BadRow{"{", "", "no JSON"}, BadRow{"[]", "", "must be an object"},
        BadRow{R"({"ports":3})", "/ports", "must be an array"},
        BadRow{R"({"ports":[3]})", "/ports/0", "must be an object"},
        BadRow{R"({"ports":[{"kind":"tap"}]})", "/ports/0/name", "needs a name"},
        BadRow{R"({"ports":[{"name":"a","kind":"tapp"}]})", "/ports/0/kind", "must be one of"},
        BadRow{R"({"ports":[{"name":"a","mac":"ff:ff:ff:ff:ff:ff"}]})", "/ports/0/mac", "unicast"},
        BadRow{R"({"ports":[{"name":"a","mtu":100}]})", "/ports/0/mtu", "at least 576"},
        BadRow{R"({"ports":[{"name":"a","mtu":65536}]})", "/ports/0/mtu", "at most 9600"},
        BadRow{R"({"ports":[{"name":"a","mtu":-1}]})", "/ports/0/mtu", "whole number"},
        BadRow{R"({"ports":[{"name":"a","addresses":["10.0.0.1"]}]})", "/ports/0/addresses/0", "with its length"},
        BadRow{R"({"ports":[{"name":"a"},{"name":"a"}]})", "/ports/1/name", "twice"},
        BadRow{R"({"ports":[{"name":"v","kind":"vxlan"}]})", "/ports/0/local", "outer source"},
        BadRow{R"({"routes":[{"prefix":"10.0.0.1/8","blackhole":true}]})", "/routes/0/prefix", "without host bits"},
        BadRow{R"({"routes":[{"prefix":"10.0.0.0/8"}]})", "/routes/0/nextHops", "needs a next hop"},
        BadRow{R"({"routes":[{"prefix":"10.0.0.0/33","local":true}]})", "/routes/0/prefix", "prefix such as"},
        BadRow{R"({"routes":[{"prefix":"::/0","nextHops":[{"weight":257}]}]})", "/routes/0/nextHops/0/weight",
               "at most"},
        BadRow{R"({"neighbours":[{"address":"10.0.0.1"}]})", "/neighbours/0/mac", "needs a MAC"},
        BadRow{R"({"plugins":[{"name":"p"}]})", "/plugins/0/digest", "digest"},
        BadRow{R"({"plugins":[{"name":"p","digest":"d","failure":"Fail"}]})", "/plugins/0/failure", "FailClosed"},
        BadRow{R"({"plugins":[{"name":"p","digest":"d","config":0}]})", "/plugins/0/config", "has this number"},
        BadRow{R"({"base":3})", "/base", "generation 0"},
        BadRow{R"({"pipeline":{"forward":["q"]}})", "/pipeline/forward/0", "no plugin is called"}));

constexpr uint64_t kGeneration = 7;

DesiredState base_state() {
  auto state = read_state(R"({
    "ports": [{"name": "a", "kind": "inject"}, {"name": "b", "kind": "inject"}, {"name": "c", "kind": "inject"}],
    "routes": [{"prefix": "10.1.0.0/16", "local": true}, {"prefix": "fd00::/64", "table": 1, "blackhole": true}],
    "neighbours": [{"port": "a", "address": "10.1.0.2", "mac": "02:00:00:00:00:02"}],
    "plugins": [{"name": "p", "digest": "d", "config": 0}, {"name": "q", "digest": "d", "config": 1}],
    "pipeline": {"forward": ["p", "q"]},
    "conntrack": {"maxFlows": 1000}})",
                          {"{1}", "{2}"}, {}, 0);
  return state.value();
}

/// In one line: names of ports, routes' prefix lengths and kinds, how many neighbours, plugins with configurations.
std::string summary(const DesiredState& state) {
  std::string text;
  for (const auto& port : state.ports) text += port.name + std::to_string(port.mtu) + " ";
  for (const auto& route : state.routes)
    text += "/" + std::to_string(route.prefix.length) + (route.local ? "l " : "b ");
  text += std::to_string(state.neighbours.size());
  for (const auto& plugin : state.plugins) text += " " + plugin.name + plugin.config.text();
  for (const auto& name : state.pipeline[static_cast<size_t>(abi::Hook::FORWARD)]) text += " " + name;
  return text + " " + std::to_string(state.conntrack.max_flows);
}

struct ChangeRow {
  const char* change;  ///< without its base
  std::vector<std::string> configs;
  const char* state;
};

class StateChange : public ::testing::TestWithParam<ChangeRow> {};

TEST_P(StateChange, IsMadeInTheBase) {
  const DesiredState base = base_state();
  const std::string text = R"({"base": 7)" + std::string(GetParam().change) + "}";
  const auto result = read_state(text, GetParam().configs, base, kGeneration);
  ASSERT_TRUE(result.ok()) << result.error().path << ": " << result.error().message;
  EXPECT_EQ(summary(result.value()), GetParam().state);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, StateChange,
    ::testing::Values(
        ChangeRow{"", {}, "a1500 b1500 c1500 /16l /64b 1 p{1} q{2} p q 1000"},
        ChangeRow{R"(,"ports":{"remove":["b"],"set":[{"name":"d","mtu":1400},{"name":"a","mtu":1300}]})",
                  {},
                  "a1300 c1500 d1400 /16l /64b 1 p{1} q{2} p q 1000"},
        ChangeRow{
            R"(,"routes":{"set":[{"prefix":"fd00::/64","table":1,"local":true},{"prefix":"fd00::/64","local":true}],
                     "remove":[{"table":0,"prefix":"10.1.0.0/16"}]})",
            {},
            "a1500 b1500 c1500 /64l /64l 1 p{1} q{2} p q 1000"},
        ChangeRow{R"(,"neighbours":{"remove":[{"port":"a","address":"10.1.0.2"}]})",
                  {},
                  "a1500 b1500 c1500 /16l /64b 0 p{1} q{2} p q 1000"},
        ChangeRow{R"(,"plugins":{"set":[{"name":"q","digest":"d","config":0}]})",
                  {"{3}"},
                  "a1500 b1500 c1500 /16l /64b 1 p{1} q{3} p q 1000"},
        ChangeRow{R"(,"plugins":[{"name":"q","digest":"d"}],"pipeline":{},"conntrack":{"maxFlows":5})",
                  {},
                  "a1500 b1500 c1500 /16l /64b 1 q 5"}));

TEST(StateChangeTo, SharesAConfigurationThatStays) {
  const DesiredState base = base_state();
  const auto result = read_state(R"({"base": 7, "ports": {"remove": ["c"]}})", {}, base, kGeneration);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(&result.value().plugins[0].config.text(), &base.plugins[0].config.text());
}

TEST(StateChangeTo, IsRefusedWithThePlaceInTheWholeList) {
  const auto result = read_state(R"({"base": 7, "ports": {"remove": ["a"], "set": [{"name": "c", "mtu": 100}]}})", {},
                                 base_state(), kGeneration);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().path, "/ports/1/mtu");
  const auto unknown = read_state(R"({"base": 7, "plugins": {"remove": ["q"]}})", {}, base_state(), kGeneration);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().path, "/pipeline/forward/1");
}

TEST(StateChangeTo, OfAnotherBaseIsRefused) {
  const auto result = read_state(R"({"base": 6})", {}, base_state(), kGeneration);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, "stale-base");
}

struct RoutingRow {
  const char* change;
  bool same;
};

class SameRouting : public ::testing::TestWithParam<RoutingRow> {};

TEST_P(SameRouting, IsToldByWhatItIsMadeOf) {
  const DesiredState base = base_state();
  const std::string text = R"({"base": 7)" + std::string(GetParam().change) + "}";
  const auto result = read_state(text, {"{}"}, base, kGeneration);
  ASSERT_TRUE(result.ok()) << result.error().path << ": " << result.error().message;
  EXPECT_EQ(same_routing(base, result.value()), GetParam().same);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SameRouting,
    ::testing::Values(
        RoutingRow{"", true}, RoutingRow{R"(,"plugins":{"set":[{"name":"p","digest":"d","config":0}]})", true},
        RoutingRow{R"(,"ports":{"remove":["c"]})", false},
        RoutingRow{R"(,"ports":{"set":[{"name":"a","kind":"inject","proxy":true}]})", false},
        RoutingRow{R"(,"ports":{"set":[{"name":"a","kind":"inject","addresses":["10.1.0.1/24"]}]})", false},
        RoutingRow{R"(,"routes":{"set":[{"prefix":"10.1.0.0/16","blackhole":true}]})", false},
        RoutingRow{R"(,"routes":{"set":[{"prefix":"10.1.0.0/16","nextHops":[{"port":"a"}]}]})", false},
        RoutingRow{R"(,"neighbours":{"set":[{"port":"a","address":"10.1.0.2","mac":"02:00:00:00:00:03"}]})", false}));

}  // namespace
}  // namespace sluice
