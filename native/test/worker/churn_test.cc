// A week of flows in virtual time through conntrack, NAT and policy: what is in the table is what lives, what passes is
// what should, and nothing stays behind.
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "worker/network.h"

namespace sluice::testing {
namespace {

using abi::DropReason;
using abi::Hook;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr PortId kPods = 0, kWire = 1;
constexpr uint16_t kFirstPort = 40000, kLastPort = 40999;  ///< of the masquerade
constexpr uint8_t kSyn = 2, kAck = 16, kSynAck = 18, kFin = 17;

/// Of nat, with a masquerade by these ports.
std::string nat_config(uint16_t first, uint16_t last) {
  return R"({
  "services": [
    {"vip": "10.96.0.1", "port": 80, "protocol": "tcp",
     "backends": [{"address": "10.0.0.101", "port": 8080}, {"address": "10.0.0.102", "port": 8080}]},
    {"vip": "10.96.0.1", "port": 53, "protocol": "udp",
     "backends": [{"address": "10.0.0.103"}, {"address": "10.0.0.104"}]}],
  "masquerade": [{"source": "10.0.0.0/24", "except": ["10.0.0.0/24"], "to": "10.0.1.1", "ports": ")" +
         std::to_string(first) + "-" + std::to_string(last) + R"("}]})";
}
constexpr const char* kPolicy = R"({
  "defaultAction": "allow", "rules": [{"action": "deny", "protocol": "tcp", "destinationPorts": [23]}]})";

std::vector<uint8_t> plugin(const std::string& name) {
  const std::string path = std::string(SLUICE_PLUGINS) + "/" + name + "/build/" + name + ".wasm";
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument(path + " is not there; npm run setup builds it");
  return {std::istreambuf_iterator<char>(file), {}};
}

DesiredState state() {
  DesiredState desired;
  desired.ports = {port("pods", {"10.0.0.1/24"}), port("wire", {"10.0.1.1/24"})};
  for (const int host : {2, 3, 4, 5, 101, 102, 103, 104}) {
    desired.neighbours.push_back(neighbour("pods", "10.0.0." + std::to_string(host), "0a:00:00:00:00:99"));
  }
  for (const int host : {2, 3, 4}) {
    desired.neighbours.push_back(neighbour("wire", "10.0.1." + std::to_string(host), "0b:00:00:00:00:99"));
  }
  return desired;
}

uint32_t v4(uint8_t third, uint8_t fourth) {
  return 10u << 24 | static_cast<uint32_t>(third << 8 | fourth);
}
constexpr uint32_t kVip = 10u << 24 | 96u << 16 | 1;

struct Ends {
  uint32_t source, destination;
  uint16_t source_port, destination_port;

  Ends back() const { return {destination, source, destination_port, source_port}; }
  bool operator==(const Ends& other) const {
    return source == other.source && destination == other.destination && source_port == other.source_port &&
           destination_port == other.destination_port;
  }
};

Bytes packet(uint8_t protocol, const Ends& ends, uint8_t flags = 0) {
  Bytes bytes = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0};
  bytes = bytes + be32(ends.source) + be32(ends.destination);
  put16(bytes, 2, protocol == IPPROTO_TCP ? 40 : 28);
  put16(bytes, 10, checksum(bytes));
  bytes = bytes + be16(ends.source_port) + be16(ends.destination_port);
  if (protocol == IPPROTO_UDP) return bytes + be16(8) + be16(0);
  return bytes + be32(1) + be32(1) + Bytes{0x50, flags} + be16(1024) + be16(0) + be16(0);
}

/// Of a frame.
Ends ends_of(const Bytes& frame) {
  const auto read = [&](size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | frame.at(14 + at + i);
    return value;
  };
  return {read(12, 4), read(16, 4), static_cast<uint16_t>(read(20, 2)), static_cast<uint16_t>(read(22, 2))};
}

class Churn : public ::testing::Test {
 protected:
  explicit Churn(uint32_t max_flows = 2048) : path(state(), false, max_flows) {}
  void SetUp() override { masquerade(kFirstPort, kLastPort); }

  void masquerade(uint16_t first, uint16_t last) {
    path.run({{"nat", plugin("nat"), nat_config(first, last), {Hook::PREROUTING, Hook::POSTROUTING, Hook::INPUT}},
              {"policy", plugin("policy"), kPolicy, {Hook::FORWARD, Hook::INPUT, Hook::OUTPUT}}});
  }

  /// A connection, or what passes for one: as its client sees it, and as its server does.
  struct Flow {
    uint8_t protocol;
    Ends client, server;
    PortId server_port;
    uint64_t ends = 0;  ///< of the sender's own accord
  };

  uint64_t now() { return path.node.worker().now_ns / kSecond; }
  void pass(uint64_t seconds) {
    path.node.worker().now_ns += seconds * kSecond;
    path.flows->age(path.node.worker().now_ns, UINT32_MAX);
  }
  uint32_t random(uint32_t below) {
    seed_ ^= seed_ << 13, seed_ ^= seed_ >> 7, seed_ ^= seed_ << 17;
    return static_cast<uint32_t>(seed_ % below);
  }

  /// The packet as it leaves; nothing when it does not.
  std::optional<std::pair<PortId, Ends>> send(uint8_t protocol, const Ends& ends, PortId port, uint8_t flags) {
    path.receive(packet(protocol, ends, flags), port);
    std::optional<std::pair<PortId, Ends>> left;
    for (const PortId out : {kPods, kWire}) {
      for (const Bytes& frame : path.node.sent(out)) {
        EXPECT_FALSE(left.has_value()) << "one packet became two";
        left = {out, ends_of(frame)};
      }
    }
    return left;
  }

  /// The first packet.
  bool open(Flow& flow, uint8_t flags) {
    const auto left = send(flow.protocol, flow.client, kPods, flags);
    if (!left) {
      ADD_FAILURE() << "the first packet did not leave; " << drops();
      return false;
    }
    flow.server_port = left->first;
    flow.server = left->second;
    return true;
  }
  void forth(const Flow& flow, uint8_t flags = 0) {
    const auto left = send(flow.protocol, flow.client, kPods, flags);
    ASSERT_TRUE(left.has_value());
    ASSERT_TRUE(left->second == flow.server);
  }
  void back(const Flow& flow, uint8_t flags = 0) {
    const auto left = send(flow.protocol, flow.server.back(), flow.server_port, flags);
    ASSERT_TRUE(left.has_value());
    ASSERT_EQ(left->first, kPods);
    ASSERT_TRUE(left->second == flow.client.back()) << "the answer is not from whom the client asked";
  }

  std::string drops() {
    std::string text;
    for (size_t reason = 0; reason < abi::kDropReasonCount; reason++) {
      const uint64_t count = path.node.context.drops(static_cast<DropReason>(reason));
      if (count != 0) text += std::string(abi::kDropReasonNames[reason]) + " " + std::to_string(count) + ", ";
    }
    return text + std::to_string(path.flows->live()) + " flows live";
  }

  Flow fresh(uint8_t protocol, uint32_t to, uint16_t port) {
    number_++;
    const auto own = static_cast<uint16_t>(1024 + number_ % 29989);  // a prime: with the address, no pair comes twice
    return {protocol, {v4(0, static_cast<uint8_t>(2 + number_ % 4)), to, own, port}, {}, 0};
  }
  void lives(uint32_t seconds) { alive.insert(now() + seconds); }

  void ask(uint32_t to) {
    Flow flow = fresh(IPPROTO_UDP, to, 53);
    ASSERT_TRUE(open(flow, 0));
    back(flow);
    lives(30);
  }
  void talk(uint32_t to) {
    Flow flow = fresh(IPPROTO_UDP, to, 53);
    ASSERT_TRUE(open(flow, 0));
    back(flow);
    forth(flow);
    lives(120);
  }
  Flow connect(uint32_t to, uint16_t port) {
    Flow flow = fresh(IPPROTO_TCP, to, port);
    EXPECT_TRUE(open(flow, kSyn));
    back(flow, kSynAck);
    forth(flow, kAck);
    return flow;
  }
  void close(const Flow& flow) {
    forth(flow, kFin);
    back(flow, kFin);
    forth(flow, kAck);
    lives(120);
  }
  void knock(uint32_t to) {
    Flow flow = fresh(IPPROTO_TCP, to, 443);
    ASSERT_TRUE(open(flow, kSyn));
    lives(120);
  }
  void be_refused() {
    const Flow flow = fresh(IPPROTO_TCP, v4(1, 2), 23);
    ASSERT_FALSE(send(flow.protocol, flow.client, kPods, kSyn).has_value());
    refused++;
  }

  void minute() {
    const uint32_t server = v4(1, static_cast<uint8_t>(2 + random(3)));
    switch (random(6)) {
      case 0:
        return ask(kVip);
      case 1:
        return talk(kVip);
      case 2:
        return close(connect(kVip, 80));
      case 3:
        return ask(server);
      case 4:
        return close(connect(server, 443));
      default:
        return knock(server);
    }
  }
  void check_live() {
    alive.erase(alive.begin(), alive.upper_bound(now()));
    ASSERT_EQ(path.flows->live(), alive.size() + lasting.size()) << "at second " << now();
  }

  Path path;
  std::multiset<uint64_t> alive;  ///< when flows that nothing more is sent of are over, s
  std::vector<Flow> lasting;      ///< connections that are kept open
  uint64_t refused = 0;

 private:
  uint64_t seed_ = 7;
  uint32_t number_ = 0;
};

TEST_F(Churn, AWeekOfFlowsIsTranslatedAndLeavesNothing) {
  const uint64_t start = now();
  size_t memory = 0;
  while (now() < start + 7 * kDay) {
    const uint64_t minute_of_week = (now() - start) / kMinute;
    for (int i = 0; i < 4; i++) ASSERT_NO_FATAL_FAILURE(minute());
    // Connections to one server that last half a day: three dozen of the thousand ports are taken.
    if (minute_of_week % 20 == 0) {
      lasting.push_back(connect(v4(1, 2), 443));
      lasting.back().ends = now() + kDay / 2;
      be_refused();
    }
    if (minute_of_week % 60 == 30) {
      for (const Flow& flow : lasting) ASSERT_NO_FATAL_FAILURE((forth(flow, kAck), back(flow, kAck)));
    }
    while (!lasting.empty() && lasting.front().ends <= now()) {
      ASSERT_NO_FATAL_FAILURE(close(lasting.front()));
      lasting.erase(lasting.begin());
    }
    pass(kMinute);
    ASSERT_NO_FATAL_FAILURE(check_live());
    if (memory == 0 && now() > start + kDay) memory = mallinfo2().uordblks;
  }
  EXPECT_LT(mallinfo2().uordblks, memory + 65536);
  for (const Flow& flow : lasting) ASSERT_NO_FATAL_FAILURE(close(flow));
  lasting.clear();
  pass(kDay);
  ASSERT_NO_FATAL_FAILURE(check_live());
  EXPECT_EQ(path.flows->live(), 0u);
  path.tick();  // quiescent: the last numbers are given back
  pass(1);
  for (uint32_t number = 0; number < path.flows->numbers(); number++) {
    for (const uint8_t schema : path.flows->slot_marks(number).schemas) ASSERT_EQ(schema, 0) << number;
  }
  const auto drops = [this](DropReason reason) { return path.node.context.drops(reason); };
  EXPECT_EQ(drops(DropReason::Policy), refused);
  EXPECT_EQ(path.node.context.all_drops(), refused);
  const FlowCounters counters = path.flows->counters();
  EXPECT_EQ(counters.created, counters.expired + counters.abandoned);
  EXPECT_EQ(counters.abandoned, refused);
  EXPECT_EQ(path.node.context.buffers_in_use(), 0u);
  // Every port is to be had again.
  for (uint32_t number = kFirstPort; number <= kLastPort; number++) {
    const auto own = static_cast<uint16_t>(number);
    Flow flow{IPPROTO_TCP, {v4(0, 2), v4(1, 2), own, 443}, {}, 0};
    ASSERT_TRUE(open(flow, kSyn));
    EXPECT_EQ(flow.server.source_port, own);
  }
}

/// How many packets nat refused since no port was left.
uint64_t without_port(const WasmHost& host) {
  for (const PluginStatus& status : host.status()) {
    for (const auto& [reason, count] : status.totals.drops) {
      if (reason == "source-ports-taken") return count;
    }
  }
  return 0;
}

TEST_F(Churn, EveryPortIsUsedBeforeAFlowIsRefused) {
  constexpr uint16_t kPorts = 97;
  const uint32_t server = v4(1, 2), other = v4(1, 3);
  masquerade(kFirstPort, kFirstPort + kPorts - 1);
  std::set<uint16_t> taken;
  for (uint16_t i = 0; i < kPorts; i++) {
    lasting.push_back(connect(server, 443));
    taken.insert(lasting.back().server.source_port);
    pass(3 * kMinute);
  }
  EXPECT_EQ(taken.size(), kPorts);

  for (uint64_t i = 0; i < 3; i++) {
    const Flow late = fresh(IPPROTO_TCP, server, 443);
    EXPECT_FALSE(send(late.protocol, late.client, kPods, kSyn).has_value());
    EXPECT_EQ(without_port(*path.host), i + 1);
  }
  ASSERT_NO_FATAL_FAILURE(close(connect(other, 443)));
  ASSERT_NO_FATAL_FAILURE(close(connect(server, 444)));

  // One ends: its port is found, and what else is taken is left alone.
  const uint16_t freed = lasting[40].server.source_port;
  ASSERT_NO_FATAL_FAILURE(close(lasting[40]));
  pass(3 * kMinute);
  EXPECT_EQ(connect(server, 443).server.source_port, freed);
  EXPECT_EQ(path.node.context.drops(DropReason::ReplyTupleClash), 0u);
  EXPECT_EQ(path.flows->counters().clashes, 0u);
  lasting.erase(lasting.begin() + 40);
  for (const Flow& flow : lasting) ASSERT_NO_FATAL_FAILURE((forth(flow, kAck), back(flow, kAck)));
}

TEST_F(Churn, FlowsThatBeginInOneBurstGetPortsOfTheirOwn) {
  constexpr uint16_t kFlows = 64;
  masquerade(kFirstPort, kFirstPort + kFlows - 1);
  std::vector<rte_mbuf*> frames;
  for (uint16_t i = 0; i < kFlows; i++) {
    const Flow flow = fresh(IPPROTO_TCP, v4(1, 2), 443);
    frames.push_back(path.frame(packet(flow.protocol, flow.client, kSyn), kPods));
  }
  path.receive(frames, kPods);
  std::set<uint16_t> ports;
  for (const Bytes& frame : path.node.sent(kWire)) ports.insert(ends_of(frame).source_port);
  EXPECT_EQ(ports.size(), kFlows) << drops();
}

TEST_F(Churn, WhatAnotherVersionGaveOutIsTaken) {
  masquerade(kFirstPort, kFirstPort + 1);
  const Flow first = connect(v4(1, 2), 443);
  path.run({});
  masquerade(kFirstPort, kFirstPort + 1);  // instances that know of nothing
  const Flow second = connect(v4(1, 2), 443);
  EXPECT_NE(first.server.source_port, second.server.source_port);
  EXPECT_EQ(path.node.context.all_drops(), 0u);
}

class ManyPorts : public Churn {
 protected:
  static constexpr uint16_t kFirst = 10000, kPorts = 30000, kBurst = 250;

  ManyPorts() : Churn(65536) {}

  /// A burst of datagrams that begin flows; how many left.
  size_t begin(uint32_t to) {
    std::vector<rte_mbuf*> frames;
    for (uint16_t i = 0; i < kBurst; i++) {
      frames.push_back(path.frame(packet(IPPROTO_UDP, fresh(IPPROTO_UDP, to, 53).client), kPods));
    }
    path.node.worker().now_ns += 1'000'000;
    path.receive(frames, kPods);
    return path.node.sent(kWire).size();
  }
};

TEST_F(ManyPorts, AreSearchedWithinTheStagesBudget) {
  masquerade(kFirst, kFirst + kPorts - 1);
  const uint32_t server = v4(1, 2);
  size_t left = 0;
  for (int burst = 0; burst < kPorts / kBurst; burst++) left += begin(server);
  EXPECT_GT(left, kPorts * 99 / 100) << drops();  // the last ports are found by some senders' next attempts only
  while (left < kPorts && without_port(*path.host) < 10 * kPorts) left += begin(server);
  EXPECT_EQ(left, kPorts) << "one of the last ports was not to be found; " << drops();

  const uint64_t refused = without_port(*path.host);
  for (int burst = 0; burst < 3; burst++) EXPECT_EQ(begin(server), 0u);
  EXPECT_EQ(without_port(*path.host), refused + 3 * kBurst);
  for (const PluginStatus& status : path.host->status()) EXPECT_EQ(status.totals.failures, 0u);
  EXPECT_EQ(path.node.context.drops(DropReason::ReplyTupleClash), 0u);
}

}  // namespace
}  // namespace sluice::testing
