#include "control/desired_state.h"

#include <gtest/gtest.h>

#include "generated/abi.h"

namespace sluice {
namespace {

TEST(DesiredState, ReadsEveryPart) {
  const auto result = parse_desired_state(R"({
    "ports": [
      {"name": "pod1", "kind": "tap", "netns": "/run/netns/p1", "device": "eth0", "mtu": 1450, "proxy": true,
       "mac": "02:00:00:00:00:01", "peerMac": "02:00:00:00:00:02", "peerAddresses": ["10.1.0.2/32", "fd00::2/128"],
       "addresses": ["169.254.1.1/32"], "peerDefaultRoute": true},
      {"name": "vx", "kind": "vxlan", "vni": 7, "local": "192.0.2.1", "mac": "02:00:00:00:00:03"}],
    "routes": [{"prefix": "10.1.0.2/32", "nextHops": [{"port": "pod1", "mac": "02:00:00:00:00:02"}]},
               {"table": 5, "prefix": "fd00::/64", "nextHops": [{"port": "vx", "remote": "192.0.2.2", "weight": 3}]},
               {"prefix": "10.9.0.0/16", "blackhole": true}],
    "neighbours": [{"port": "pod1", "address": "10.1.0.2", "mac": "02:00:00:00:00:02"}],
    "plugins": [{"name": "policy", "digest": "ab", "config": "{}", "failure": "FailOpen", "budgetUs": 500,
                 "scope": ["pod1"]}],
    "pipeline": {"forward": ["policy"]},
    "conntrack": {"maxFlows": 1000, "timeouts": {"udp": 5}}})");
  ASSERT_TRUE(result.ok()) << result.error().path << ": " << result.error().message;
  const DesiredState& state = result.value();
  EXPECT_EQ(state.ports[0].kind, PortKind::Tap);
  EXPECT_EQ(state.ports[0].peer_addresses[1].length, 128);
  EXPECT_EQ(state.ports[1].local.bytes[0], 192);
  EXPECT_EQ(state.routes[1].next_hops[0].weight, 3U);
  EXPECT_TRUE(state.routes[2].blackhole);
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
        BadRow{R"({"ports":{}})", "/ports", "must be an array"},
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
        BadRow{R"({"pipeline":{"forward":["q"]}})", "/pipeline/forward/0", "no plugin is called"}));

}  // namespace
}  // namespace sluice
