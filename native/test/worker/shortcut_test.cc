// Packets of settled flows that go from conntrack straight to their next hop.
#include <gtest/gtest.h>

#include "worker/network.h"

namespace sluice::testing {
namespace {

using abi::DropReason;
using abi::Hook;

const std::string kClientMac = "0a:00:00:00:00:02", kServerMac = "0b:00:00:00:00:02", kOtherMac = "0c:00:00:00:00:02";

/// A client behind port 0, a server behind port 1 and, from the table's routes, behind port 2 too.
DesiredState state(const std::string& gateway = "10.0.1.2", const std::string& port_name = "b") {
  DesiredState desired;
  desired.ports = {port("a", {"10.0.0.1/24", "fd00::1/64"}), port("b", {"10.0.1.1/24", "fd00:1::1/64"}),
                   port("c", {"10.0.2.1/24", "fd00:2::1/64"})};
  desired.routes = {route("10.9.0.0/16", {via(port_name, gateway)}), route("fd09::/64", {via("b", "fd00:1::2")})};
  desired.neighbours = {neighbour("a", "10.0.0.2", kClientMac), neighbour("a", "fd00::2", kClientMac),
                        neighbour("b", "10.0.1.2", kServerMac), neighbour("b", "fd00:1::2", kServerMac),
                        neighbour("c", "10.0.2.2", kOtherMac)};
  return desired;
}

/// A stage that settles every flow that it sees.
StageText settling() {
  StageText stage;
  stage.process = for_each_slot(set_flag(static_cast<uint32_t>(abi::Flag::SETTLED)));
  return stage;
}

Bytes request(size_t payload = 20, const IpOptions& options = {}) {
  return udp("10.0.0.2", "10.9.0.1", filler(payload), options);
}
Bytes answer() {
  return ip("10.9.0.1", "10.0.0.2", IPPROTO_UDP, udp_datagram("10.9.0.1", "10.0.0.2", filler(20), 2000, 1000));
}

class Shortcuts : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const PortId port : {0, 1, 2}) path.node.sent(port);
    path.stages({});
    EXPECT_EQ(path.node.context.buffers_in_use(), 0u);
  }
  /// Answered, and asked of all stages in both directions.
  void establish() {
    for (int i = 0; i < 2; i++) {
      path.receive(request());
      path.receive(answer(), 1);
    }
    path.node.sent(0);
    path.node.sent(1);
  }
  void place_stages() {
    path.stages({{Hook::PREROUTING, settling()}, {Hook::FORWARD, settling()}, {Hook::POSTROUTING, settling()}});
  }
  uint64_t seen(const std::string& stage) {
    for (const PluginStatus& status : path.host->status()) {
      if (status.name == stage) return status.totals.packets;
    }
    return 0;
  }
  uint64_t settled(const std::string& stage) {
    for (const PluginStatus& status : path.host->status()) {
      if (status.name == stage) return status.totals.settled;
    }
    return 0;
  }
  void publish(const DesiredState& desired) {
    path.node.state = desired;
    path.node.routing = std::move(path.node.build().value());
    path.node.worker().routing = path.node.routing.get();
    path.snapshot.routing = {path.node.routing.get(), [](const RoutingSnapshot*) {}};
    path.snapshot.generation++;
  }

  Path path{state()};
};

TEST_F(Shortcuts, PacketsLeaveAsTheyDoByTheHooks) {
  place_stages();
  path.receive(request());
  path.receive(answer(), 1);
  path.node.sent(0);
  const std::vector<Bytes> by_the_hooks = path.node.sent(1);
  establish();
  const uint64_t seen_before = seen("0"), settled_before = settled("0");
  path.receive(std::vector<rte_mbuf*>{path.frame(request()), path.frame(request())});
  EXPECT_EQ(path.node.sent(1), (std::vector<Bytes>{by_the_hooks[0], by_the_hooks[0]}));
  EXPECT_EQ(seen("0"), seen_before);
  for (const char* stage : {"0", "1", "2"}) EXPECT_EQ(settled(stage), settled_before + 2) << stage;
}

TEST_F(Shortcuts, AnotherRouteHoldsFromItsPublicationOn) {
  establish();
  path.receive(request());
  EXPECT_EQ(path.node.sent(1).size(), 1u);
  publish(state("10.0.2.2", "c"));
  path.receive(request());
  EXPECT_EQ(path.node.sent(1).size(), 0u);
  const std::vector<Bytes> sent = path.node.sent(2);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(Bytes(sent[0].begin(), sent[0].begin() + 6), mac(kOtherMac));
}

TEST_F(Shortcuts, ARouteThatIsGoneIsMissedAsByTheHooks) {
  establish();
  DesiredState desired = state();
  desired.routes.clear();
  publish(desired);
  path.receive(request());
  EXPECT_EQ(path.node.sent(1).size(), 0u);
  EXPECT_EQ(path.node.context.drops(DropReason::NoRoute), 1u);
}

TEST_F(Shortcuts, HopsAndSizesAreHeeded) {
  place_stages();
  establish();
  IpOptions last;
  last.ttl = 1;
  path.receive(request(20, last));
  EXPECT_EQ(path.node.context.drops(DropReason::TtlExpired), 1u);
  path.receive(request(1700));
  EXPECT_EQ(path.node.sent(1).size(), 2u) << "fragments";
}

TEST_F(Shortcuts, AFlowsPacketsStayInOrder) {
  place_stages();
  establish();
  path.receive(std::vector<rte_mbuf*>{path.frame(request(20)), path.frame(request(1700)), path.frame(request(24))});
  std::vector<size_t> sizes;
  for (const Bytes& frame : path.node.sent(1)) sizes.push_back(frame.size());
  ASSERT_EQ(sizes.size(), 4u);
  EXPECT_EQ(sizes.front(), 14u + 28 + 20);
  EXPECT_EQ(sizes.back(), 14u + 28 + 24) << "the packet behind the one that is fragmented";
}

TEST_F(Shortcuts, AStageThatDoesNotSettleSeesAllPackets) {
  StageText watching;
  watching.process = for_each_slot("");
  path.stages({{Hook::PREROUTING, settling()}, {Hook::FORWARD, watching}});
  establish();
  const uint64_t before = seen("1");
  path.receive(request());
  EXPECT_EQ(seen("1"), before + 1);
  EXPECT_EQ(path.node.sent(1).size(), 1u);
}

TEST_F(Shortcuts, Ipv6GoesItToo) {
  place_stages();
  const Bytes ask = udp("fd00::2", "fd09::1", filler(20));
  const Bytes reply = ip("fd09::1", "fd00::2", IPPROTO_UDP, udp_datagram("fd09::1", "fd00::2", filler(20), 2000, 1000));
  for (int i = 0; i < 2; i++) {
    path.receive(ask);
    path.receive(reply, 1);
  }
  const uint64_t before = seen("0");
  path.receive(ask);
  EXPECT_EQ(seen("0"), before);
  EXPECT_EQ(path.node.sent(1).size(), 3u);
}

}  // namespace
}  // namespace sluice::testing
