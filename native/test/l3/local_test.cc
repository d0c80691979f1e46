// Packets for the node itself.

#include "l3/local.h"

#include "node.h"

namespace sluice::testing {
namespace {

using abi::DropReason;

DesiredState state(bool with_host) {
  DesiredState desired;
  desired.ports = {port("lan", {"10.1.0.1/24", "2001:db8:1::1/64"}), port("pod", {"169.254.1.1/32", "fe80::1/64"}),
                   port("host")};
  desired.ports[1].proxy = true;
  desired.ports[2].host = with_host;
  desired.ports[2].peer_mac = ether("0d:00:00:00:00:01");
  return desired;
}

/// Routes one packet and delivers it.
void deliver(Node& node, rte_mbuf* packet) {
  RouteVerdicts verdicts;
  route_burst(node.worker(), &packet, 1, verdicts);
  ASSERT_EQ(verdicts.local_count, 1);
  deliver_local(node.worker(), verdicts.local, 1);
}

Bytes echo(bool request, const std::string& from, const std::string& to, const Bytes& payload,
           const IpOptions& o = {}) {
  const bool v6 = from.find(':') != std::string::npos;
  const auto type = static_cast<uint8_t>(v6 ? (request ? 128 : 129) : (request ? 8 : 0));
  return icmp(from, to, Bytes{type, 0, 0, 0, 0x12, 0x34, 0, 1} + payload, o);
}

struct EchoRow {
  const char* name;
  PortId in_port;
  const char* from;
  const char* to;
  const char* answer_from;
  size_t payload;
};

class Echo : public ::testing::TestWithParam<EchoRow> {};

TEST_P(Echo, ComesBackWithItsPayload) {
  const EchoRow& row = GetParam();
  Node node(state(false));
  deliver(node, node.receive(echo(true, row.from, row.to, filler(row.payload), {.ttl = 3, .id = 77}), row.in_port));
  EXPECT_EQ(node.originated(),
            std::vector<Bytes>{echo(false, row.answer_from, row.from, filler(row.payload), {.ttl = 64, .id = 77})});
  EXPECT_EQ(node.context.all_drops(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Rows, Echo,
                         ::testing::Values(EchoRow{"own4", 0, "10.1.0.2", "10.1.0.1", "10.1.0.1", 56},
                                           EchoRow{"own6", 0, "2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", 56},
                                           EchoRow{"empty4", 0, "10.1.0.2", "10.1.0.1", "10.1.0.1", 0},
                                           EchoRow{"odd6", 0, "2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", 33},
                                           EchoRow{"full_size4", 0, "10.1.0.2", "10.1.0.1", "10.1.0.1", 1472},
                                           EchoRow{"other_ports_address", 0, "10.1.0.2", "10.1.0.1", "10.1.0.1", 56},
                                           EchoRow{"gateway_of_a_pod4", 1, "10.9.0.5", "169.254.1.1", "169.254.1.1",
                                                   56},
                                           EchoRow{"gateway_of_a_pod6", 1, "fe80::5", "fe80::1", "fe80::1", 56},
                                           EchoRow{"all_nodes", 0, "2001:db8:1::2", "ff02::1", "2001:db8:1::1", 56}),
                         [](const auto& info) { return info.param.name; });

TEST(Echo, OfZeroesComesBackWithAChecksumThatHolds) {
  Node node(state(false));
  deliver(node, node.receive(icmp("10.1.0.2", "10.1.0.1", Bytes{8, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_EQ(node.originated(), std::vector<Bytes>{icmp("10.1.0.1", "10.1.0.2", Bytes(8, 0))});
}

struct ClosedRow {
  const char* name;
  Bytes packet;
  std::vector<Bytes> answer;
};

class Closed : public ::testing::TestWithParam<ClosedRow> {};

TEST_P(Closed, IsRefused) {
  Node node(state(false));
  deliver(node, node.receive(GetParam().packet));
  EXPECT_EQ(node.originated(), GetParam().answer);
  EXPECT_EQ(node.context.drops(DropReason::NoLocalService), 1u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

const Bytes kUdp4 = udp("10.1.0.2", "10.1.0.1", filler(9));
const Bytes kUdp6 = udp("2001:db8:1::2", "2001:db8:1::1", filler(9));
const Bytes kGre4 = ip("10.1.0.2", "10.1.0.1", IPPROTO_GRE, filler(16));
const Bytes kGreBehindOptions =
    ip("2001:db8:1::2", "2001:db8:1::1", IPPROTO_DSTOPTS, Bytes{IPPROTO_GRE, 0, 1, 4, 0, 0, 0, 0} + filler(16));
const Bytes kGre6 = ip("2001:db8:1::2", "2001:db8:1::1", IPPROTO_GRE, filler(16));

Bytes tcp(const std::string& from, const std::string& to, uint16_t source, uint16_t destination, uint32_t sequence,
          uint32_t acknowledged, uint8_t flags, const Bytes& payload = {}, uint16_t window = 0) {
  Bytes segment = be16(source) + be16(destination) + be32(sequence) + be32(acknowledged) + Bytes{0x50, flags} +
                  be16(window) + be16(0) + be16(0) + payload;
  put16(segment, 16, checksum(pseudo(from, to, IPPROTO_TCP, segment.size()) + segment));
  return ip(from, to, IPPROTO_TCP, segment);
}
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

INSTANTIATE_TEST_SUITE_P(
    Rows, Closed,
    ::testing::Values(ClosedRow{"udp4", kUdp4, {icmp_error("10.1.0.1", "10.1.0.2", 3, 3, 0, kUdp4)}},
                      ClosedRow{"udp6", kUdp6, {icmp_error("2001:db8:1::1", "2001:db8:1::2", 1, 4, 0, kUdp6)}},
                      ClosedRow{"protocol4", kGre4, {icmp_error("10.1.0.1", "10.1.0.2", 3, 2, 0, kGre4)}},
                      ClosedRow{"protocol6", kGre6, {icmp_error("2001:db8:1::1", "2001:db8:1::2", 4, 1, 6, kGre6)}},
                      ClosedRow{"protocol6_behind_options",
                                kGreBehindOptions,
                                {icmp_error("2001:db8:1::1", "2001:db8:1::2", 4, 1, 40, kGreBehindOptions)}},
                      ClosedRow{"echo_reply4", echo(false, "10.1.0.2", "10.1.0.1", filler(8)), {}},
                      ClosedRow{"echo_reply6", echo(false, "2001:db8:1::2", "2001:db8:1::1", filler(8)), {}},
                      ClosedRow{"tcp_syn4",
                                tcp("10.1.0.2", "10.1.0.1", 5000, 80, 1000, 0, kSyn),
                                {tcp("10.1.0.1", "10.1.0.2", 80, 5000, 0, 1001, kRst | kAck)}},
                      ClosedRow{"tcp_syn6",
                                tcp("2001:db8:1::2", "2001:db8:1::1", 5000, 80, 1000, 0, kSyn),
                                {tcp("2001:db8:1::1", "2001:db8:1::2", 80, 5000, 0, 1001, kRst | kAck)}},
                      ClosedRow{"tcp_data_and_fin",
                                tcp("10.1.0.2", "10.1.0.1", 5000, 80, 0xffffffff, 0, kFin, filler(10)),
                                {tcp("10.1.0.1", "10.1.0.2", 80, 5000, 0, 10, kRst | kAck)}},
                      ClosedRow{"tcp_ack",
                                tcp("10.1.0.2", "10.1.0.1", 5000, 80, 1000, 7777, kAck, filler(10)),
                                {tcp("10.1.0.1", "10.1.0.2", 80, 5000, 7777, 0, kRst)}},
                      ClosedRow{"tcp_rst", tcp("10.1.0.2", "10.1.0.1", 5000, 80, 1000, 0, kRst), {}}),
    [](const auto& info) { return info.param.name; });

TEST(Host, TakesWhatIsForTheNode) {
  Node node(state(true));
  for (const auto& [from, to] : {std::pair{"10.1.0.2", "10.1.0.1"}, std::pair{"2001:db8:1::2", "2001:db8:1::1"}}) {
    const Bytes packet = echo(true, from, to, filler(56), {.ttl = 9});
    deliver(node, node.receive(packet));
    EXPECT_EQ(node.sent(2), std::vector<Bytes>{ethernet("0d:00:00:00:00:01", port_mac(2), packet)});
    EXPECT_EQ(node.originated(), std::vector<Bytes>{});
  }
}

TEST(Host, DoesNotTakeWhatOnlyTheDataplaneAnswersFor) {
  Node node(state(true));
  deliver(node, node.receive(echo(true, "10.9.0.5", "169.254.1.1", filler(56)), 1));
  deliver(node, node.receive(echo(true, "fe80::5", "fe80::1", filler(56)), 1));
  EXPECT_EQ(node.sent(2), std::vector<Bytes>{});
  EXPECT_EQ(node.originated().size(), 2u);
}

TEST(Host, IsNotHandedItsOwnPackets) {
  Node node(state(true));
  deliver(node, node.receive(echo(true, "10.1.0.7", "10.1.0.1", filler(56)), 2));
  EXPECT_EQ(node.sent(2), std::vector<Bytes>{});
  EXPECT_EQ(node.originated().size(), 1u);
}

}  // namespace
}  // namespace sluice::testing
