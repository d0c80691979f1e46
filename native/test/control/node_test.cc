#include "control/node.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <thread>

#include "port/inject_port.h"
#include "testing/eal.h"
#include "testing/started_node.h"

namespace sluice {
namespace {

using testing::from_hex;
using testing::to_hex;

/// Two ports with a neighbour each; 10.0.0.2 is behind "a", 10.0.1.2 and fd00:1::2 behind "b".
constexpr const char* kTwoPorts = R"({
  "ports": [
    {"name": "a", "kind": "inject", "mac": "02:00:00:00:00:0a", "addresses": ["10.0.0.1/24", "fd00::1/64"]},
    {"name": "b", "kind": "inject", "mac": "02:00:00:00:00:0b", "addresses": ["10.0.1.1/24", "fd00:1::1/64"]}],
  "neighbours": [
    {"port": "a", "address": "10.0.0.2", "mac": "02:00:00:00:00:a2"},
    {"port": "a", "address": "fd00::2", "mac": "02:00:00:00:00:a2"},
    {"port": "b", "address": "10.0.1.2", "mac": "02:00:00:00:00:b2"},
    {"port": "b", "address": "fd00:1::2", "mac": "02:00:00:00:00:b2"}],
  "conntrack": {"maxFlows": 1024}})";

/// From 10.0.0.2:4096 to 10.0.1.2:8192, UDP without checksum, one payload byte; TTL 64 or as given.
std::string udp4(const std::string& ttl = "40", const std::string& checksum = "25cd") {
  return "02000000000a 0200000000a2 0800 4500001d00004000" + ttl + "11" + checksum +
         "0a000002 0a000102 1000 2000 0009 0000 aa";
}

class NodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(testing::start_node("node-test" + std::to_string(number_++), node_));
  }

  Status apply(const std::string& json) {
    auto state = parse_desired_state(json);
    if (!state) return state.error();
    return node_->apply(state.value());
  }

  void inject(const std::string& port, const std::string& hex) {
    ASSERT_TRUE(InjectPort::of(node_->ports().find(port))->inject({from_hex(hex), 0, 0}));
    for (const auto& worker : node_->workers()) worker->wake();
  }

  /// The next frame that leaves by a port, in hex; empty when none comes within two seconds.
  std::string collect(const std::string& port) {
    for (int tries = 0; tries < 400; tries++) {
      const auto frames = InjectPort::of(node_->ports().find(port))->collect(1);
      if (!frames.empty()) return to_hex(frames[0].bytes.data(), frames[0].bytes.size());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return "";
  }

  uint64_t dropped(abi::DropReason reason) {
    uint64_t sum = 0;
    for (const auto& worker : node_->workers()) sum += worker->context().counters.drops[static_cast<size_t>(reason)];
    return sum;
  }

  /// True once the drop was counted; packet threads need a moment.
  bool drops(abi::DropReason reason) {
    for (int tries = 0; tries < 400 && dropped(reason) == 0; tries++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return dropped(reason) == 1;
  }

  std::unique_ptr<Node> node_;

 private:
  static int number_;
};
int NodeTest::number_ = 0;

TEST_F(NodeTest, ForwardsBetweenItsPortsAndCountsTheTtlDown) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  inject("a", udp4());
  EXPECT_EQ(collect("b"), to_hex(from_hex("0200000000b2 02000000000b 0800 4500001d000040003f1126cd"
                                          "0a000002 0a000102 1000 2000 0009 0000 aa")
                                     .data(),
                                 43));
  EXPECT_EQ(node_->flows()->live(), 1U);
}

TEST_F(NodeTest, AnswersAnEchoRequestToItself) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  inject("a", "02000000000a 0200000000a2 0800 4500001c 0000 4000 40 01 26df 0a000002 0a000001 0800 f7fe 0000 0001");
  const std::string reply = collect("a");
  ASSERT_EQ(reply.size(), 84U);
  EXPECT_EQ(reply.substr(0, 28), "0200000000a202000000000a0800");
  EXPECT_EQ(reply.substr(52, 16), "0a0000010a000002");
  EXPECT_EQ(reply.substr(68, 4), "0000");
}

TEST_F(NodeTest, TellsTheSenderThatTheTtlRanOut) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  inject("a", udp4("01", "64cd"));
  const std::string error = collect("a");
  ASSERT_GT(error.size(), 84U);
  EXPECT_EQ(error.substr(46, 2), "01");    // ICMP
  EXPECT_EQ(error.substr(68, 4), "0b00");  // time exceeded in transit
  EXPECT_TRUE(drops(abi::DropReason::TtlExpired));
}

struct MalformedRow {
  const char* what;
  const char* frame;
  abi::DropReason reason;
};

class Malformed : public NodeTest, public ::testing::WithParamInterface<MalformedRow> {};

TEST_P(Malformed, IsCountedUnderItsReasonAndDropped) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  inject("a", GetParam().frame);
  EXPECT_TRUE(drops(GetParam().reason)) << GetParam().what;
  inject("a", udp4());
  EXPECT_NE(collect("b"), "") << "the next packet passes";
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Malformed,
    ::testing::Values(MalformedRow{"half an Ethernet header", "02000000000a 02", abi::DropReason::MalformedEthernet},
                      MalformedRow{"another station's frame",
                                   "0200000000ff 0200000000a2 0800 4500001c00004000401125ce0a0000020a000102"
                                   "1000200000080000",
                                   abi::DropReason::NotForUs},
                      MalformedRow{"IPX", "02000000000a 0200000000a2 8137 ffff0022", abi::DropReason::UnknownEthertype},
                      MalformedRow{"IPv4 of 19 bytes",
                                   "02000000000a 0200000000a2 0800 4500001300004000401126d70a0000020a0001",
                                   abi::DropReason::MalformedIpv4},
                      MalformedRow{"IPv4 with a wrong checksum",
                                   "02000000000a 0200000000a2 0800 4500001d000040004011ffff"
                                   "0a0000020a0001021000200000090000aa",
                                   abi::DropReason::BadIpv4Checksum},
                      MalformedRow{"IPv6 that is cut short", "02000000000a 0200000000a2 86dd 60000000 0008 11 40 fd00",
                                   abi::DropReason::MalformedIpv6},
                      MalformedRow{"no route",
                                   "02000000000a 0200000000a2 0800 4500001c 0000 4000 40 11 24cf 0a000002 0b000101"
                                   "1000 2000 0008 0000",
                                   abi::DropReason::NoRoute}));

TEST_F(NodeTest, ARefusedStateChangesNothing) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  inject("a", udp4());
  ASSERT_NE(collect("b"), "");
  const Port* before = node_->ports().find("b");
  const std::map<std::string, std::string> refused = {
      {R"({"ports": [{"name": "a", "kind": "inject"}], "routes": [{"prefix": "::/0", "nextHops": [{"port": "x"}]}],
           "conntrack": {"maxFlows": 1024}})",
       "/routes/0/nextHops/0/port"},
      {R"({"ports": [{"name": "c", "kind": "af-packet", "device": "no-such-device"}],
           "conntrack": {"maxFlows": 1024}})",
       "/ports/0/device"},
      {R"({"ports": [{"name": "c", "kind": "af-packet", "device": "lo"}], "conntrack": {"maxFlows": 1024}})",
       "/ports/0"},  // a packet socket keeps 32 jumbo buffers, of 16
      {R"({"plugins": [{"name": "p", "digest": "00"}], "conntrack": {"maxFlows": 1024}})", "/plugins/0/digest"},
      {R"({"conntrack": {"maxFlows": 1024, "timeouts": {"udp": 0}}})", "/conntrack/timeouts/udp"},
      {R"({"conntrack": {"maxFlows": 2048}})", "/conntrack/maxFlows"}};
  for (const auto& [state, path] : refused) {
    const Status status = apply(state);
    ASSERT_FALSE(status.ok()) << state;
    EXPECT_EQ(status.error().path, path) << status.error().message;
    EXPECT_EQ(node_->ports().find("b"), before);
    inject("a", udp4());
    EXPECT_NE(collect("b"), "") << "after " << path;
    EXPECT_EQ(node_->flows()->live(), 1U) << "the session is still there";
  }
}

TEST_F(NodeTest, APortWhoseDeviceChangesIsOpenedAnewUnderItsNumber) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  const PortId id = node_->ports().find("b")->id;
  std::string state = kTwoPorts;
  state.replace(state.find("02:00:00:00:00:0b"), 17, "02:00:00:00:00:0c");
  ASSERT_TRUE(apply(state).ok());
  EXPECT_EQ(node_->ports().find("b")->id, id);
  inject("a", udp4());
  EXPECT_EQ(collect("b").substr(12, 12), "02000000000c");
}

TEST_F(NodeTest, APortThatIsRefusedItsNewDeviceNeverStops) {
  ASSERT_TRUE(apply(kTwoPorts).ok());
  const Port* before = node_->ports().find("b");
  const uint64_t published = node_->snapshot()->generation;
  std::string state = kTwoPorts;
  const std::string inject = R"("name": "b", "kind": "inject")";
  state.replace(state.find(inject), inject.size(),
                R"("name": "b", "kind": "tap", "device": "eth0", "netns": "/no/such/namespace")");
  const Status status = apply(state);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().path, "/ports/1/netns") << status.error().message;
  EXPECT_EQ(node_->ports().find("b"), before);
  EXPECT_EQ(node_->snapshot()->generation, published) << "workers were given nothing else meanwhile";
}

TEST_F(NodeTest, OfManyPortsThatCannotBeOpenedTheFirstIsTold) {
  std::string state = R"({"conntrack": {"maxFlows": 1024}, "ports": [{"name": "a", "kind": "inject"})";
  for (int i = 0; i < 10; i++) {
    state += R"(, {"kind": "tap", "device": "eth0", "netns": "/no/such/namespace", "name": "pod)" + std::to_string(i) +
             "\"}";
  }
  const Status status = apply(state + "]}");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().path, "/ports/1/netns") << status.error().message;
  EXPECT_TRUE(node_->ports().entries().empty());
}

TEST_F(NodeTest, NoBufferIsLeftBehind) {
  const unsigned before = rte_mempool_avail_count(node_->pools().packets);
  ASSERT_TRUE(apply(kTwoPorts).ok());
  for (int i = 0; i < 300; i++) inject("a", udp4());
  for (int i = 0; i < 300; i++) ASSERT_NE(collect("b"), "") << i;
  ASSERT_TRUE(apply(R"({"conntrack": {"maxFlows": 1024}})").ok());
  EXPECT_EQ(rte_mempool_avail_count(node_->pools().packets), before);
}

}  // namespace
}  // namespace sluice
