// ARP and ND: what is asked, what is answered, what is believed, and what becomes of packets that wait.

#include "node.h"

namespace sluice::testing {
namespace {

using abi::DropReason;

constexpr const char* kPeerMac = "0a:00:00:00:00:01";
constexpr const char* kBroadcast = "ff:ff:ff:ff:ff:ff";
constexpr const char* kAnyMac = "00:00:00:00:00:00";

/// Port 0 is a link, port 1 a pod's: it proxies.
DesiredState state() {
  DesiredState desired;
  desired.ports = {port("lan", {"10.1.0.1/24", "2001:db8:1::1/64"}),
                   port("pod", {"169.254.1.1/32", "fe80::1/64"}, 1400)};
  desired.ports[1].proxy = true;
  desired.routes = {route("10.9.0.5/32", {via("pod")}), route("2001:db8:9::5/128", {via("pod")}),
                    route("10.3.0.0/16", {via("lan", "10.1.0.2")}),
                    route("2001:db8:3::/48", {via("lan", "2001:db8:1::2")})};
  return desired;
}

Bytes link_option(uint8_t type, const std::string& at) {
  return Bytes{type, 1} + mac(at);
}

Bytes solicitation(const std::string& from, const std::string& to, const std::string& target, const Bytes& options,
                   uint8_t hop_limit = 255) {
  return icmp(from, to, Bytes{135, 0, 0, 0, 0, 0, 0, 0} + address(target) + options, {.ttl = hop_limit});
}

Bytes advertisement(const std::string& from, const std::string& to, const std::string& target, uint8_t flags,
                    const Bytes& options, uint8_t hop_limit = 255) {
  return icmp(from, to, Bytes{136, 0, 0, 0, flags, 0, 0, 0} + address(target) + options, {.ttl = hop_limit});
}

constexpr uint8_t kRouter = 0x80, kSolicited = 0x40, kOverride = 0x20;

void receive_arp(Node& node, PortId in_port, const Bytes& message, const std::string& to = kBroadcast,
                 const std::string& from = kPeerMac) {
  rte_mbuf* frame = node.context.packet(arp_frame(to, from, message), in_port);
  ASSERT_EQ(parse_frame(frame), Parsed::Arp);
  handle_arp(node.worker(), frame);
}

void receive_nd(Node& node, PortId in_port, const Bytes& packet) {
  rte_mbuf* received = node.receive(packet, in_port, kPeerMac);
  ASSERT_TRUE(is_nd(received));
  handle_nd(node.worker(), received);
}

std::string known(Node& node, PortId in_port, const std::string& text) {
  const IpAddress at = ip_address(text);
  rte_ether_addr found;
  if (!node.neighbours->find(NeighbourKey::of(in_port, at.family, at.bytes.data()), found)) return "";
  return to_hex(found.addr_bytes, 6);
}

// ---- What is answered

struct ArpRow {
  const char* name;
  PortId port;
  const char* sender;
  const char* target;
  bool answered;
};

class ArpRequest : public ::testing::TestWithParam<ArpRow> {};

TEST_P(ArpRequest, IsAnswered) {
  const ArpRow& row = GetParam();
  Node node(state());
  receive_arp(node, row.port, arp(1, kPeerMac, row.sender, kAnyMac, row.target));
  std::vector<Bytes> expected;
  if (row.answered) {
    const std::string own = port_mac(row.port);
    expected.push_back(arp_frame(kPeerMac, own, arp(2, own, row.target, kPeerMac, row.sender)));
  }
  EXPECT_EQ(node.sent(row.port), expected);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
  EXPECT_EQ(node.context.all_drops(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Rows, ArpRequest,
                         ::testing::Values(ArpRow{"own", 0, "10.1.0.2", "10.1.0.1", true},
                                           ArpRow{"another_station", 0, "10.1.0.2", "10.1.0.9", false},
                                           ArpRow{"own_of_another_port", 0, "10.1.0.2", "169.254.1.1", false},
                                           ArpRow{"probe_for_own", 0, "0.0.0.0", "10.1.0.1", true},
                                           ArpRow{"probe_for_another", 0, "0.0.0.0", "10.1.0.7", false},
                                           ArpRow{"gateway_of_a_pod", 1, "10.9.0.5", "169.254.1.1", true},
                                           ArpRow{"proxy_for_another_pod", 1, "10.9.0.5", "10.9.0.6", true},
                                           ArpRow{"proxy_for_the_world", 1, "10.9.0.5", "8.8.8.8", true},
                                           ArpRow{"pods_own_probe", 1, "0.0.0.0", "10.9.0.5", false},
                                           ArpRow{"pods_own_announcement", 1, "10.9.0.5", "10.9.0.5", false},
                                           ArpRow{"address_behind_the_same_port", 1, "10.9.0.77", "10.9.0.5", false}),
                         [](const auto& info) { return info.param.name; });

struct NsRow {
  const char* name;
  PortId port;
  const char* source;
  const char* destination;
  const char* target;
  bool link_option;
  const char* answer_to;  ///< null: no answer
  uint8_t flags;
};

class NeighbourSolicitation : public ::testing::TestWithParam<NsRow> {};

TEST_P(NeighbourSolicitation, IsAnswered) {
  const NsRow& row = GetParam();
  Node node(state());
  receive_nd(
      node, row.port,
      solicitation(row.source, row.destination, row.target, row.link_option ? link_option(1, kPeerMac) : Bytes{}));
  std::vector<Bytes> expected;
  if (row.answer_to != nullptr) {
    const bool to_all = std::string(row.answer_to) == "ff02::1";
    expected.push_back(
        ethernet(to_all ? "33:33:00:00:00:01" : kPeerMac, port_mac(row.port),
                 advertisement(row.target, row.answer_to, row.target, row.flags, link_option(2, port_mac(row.port)))));
  }
  EXPECT_EQ(node.sent(row.port), expected);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
  EXPECT_EQ(node.context.all_drops(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NeighbourSolicitation,
    ::testing::Values(
        NsRow{"own", 0, "2001:db8:1::2", "ff02::1:ff00:1", "2001:db8:1::1", true, "2001:db8:1::2",
              kRouter | kSolicited | kOverride},
        NsRow{"own_unicast_probe", 0, "2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", false, "2001:db8:1::2",
              kRouter | kSolicited | kOverride},
        NsRow{"another_station", 0, "2001:db8:1::2", "ff02::1:ff00:9", "2001:db8:1::9", true, nullptr, 0},
        NsRow{"dad_for_own", 0, "::", "ff02::1:ff00:1", "2001:db8:1::1", false, "ff02::1", kRouter | kOverride},
        NsRow{"gateway_of_a_pod", 1, "fe80::2", "ff02::1:ff00:1", "fe80::1", true, "fe80::2",
              kRouter | kSolicited | kOverride},
        NsRow{"proxy_for_another_pod", 1, "2001:db8:9::5", "ff02::1:ff00:6", "2001:db8:9::6", true, "2001:db8:9::5",
              kRouter | kSolicited},
        NsRow{"pods_own_dad", 1, "::", "ff02::1:ff00:5", "2001:db8:9::5", false, nullptr, 0},
        NsRow{"pods_own_link_local_dad", 1, "::", "ff02::1:ff00:2", "fe80::2", false, nullptr, 0},
        NsRow{"address_behind_the_same_port", 1, "fe80::2", "ff02::1:ff00:5", "2001:db8:9::5", true, nullptr, 0}),
    [](const auto& info) { return info.param.name; });

struct InvalidRow {
  const char* name;
  Bytes packet;
};

class InvalidNd : public ::testing::TestWithParam<InvalidRow> {};

TEST_P(InvalidNd, IsDroppedAndNotAnswered) {
  Node node(state());
  receive_nd(node, 0, GetParam().packet);
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{});
  EXPECT_EQ(node.context.drops(DropReason::MalformedNd), 1u);
}

Bytes broken_checksum(Bytes packet) {
  packet[42] ^= 1;
  return packet;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, InvalidNd,
    ::testing::Values(
        InvalidRow{"hop_limit", solicitation("2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", {}, 254)},
        InvalidRow{"checksum", broken_checksum(solicitation("2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", {}))},
        InvalidRow{"code", icmp("2001:db8:1::2", "2001:db8:1::1",
                                Bytes{135, 1, 0, 0, 0, 0, 0, 0} + address("2001:db8:1::1"), {.ttl = 255})},
        InvalidRow{"short",
                   icmp("2001:db8:1::2", "2001:db8:1::1", Bytes{135, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, {.ttl = 255})},
        InvalidRow{"multicast_target", solicitation("2001:db8:1::2", "2001:db8:1::1", "ff02::1", {})},
        InvalidRow{"option_of_no_length",
                   solicitation("2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", Bytes{1, 0, 0, 0, 0, 0, 0, 0})},
        InvalidRow{"option_past_the_end",
                   solicitation("2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::1", Bytes{1, 2, 0, 0, 0, 0, 0, 0})},
        InvalidRow{"dad_with_link_address",
                   solicitation("::", "ff02::1:ff00:1", "2001:db8:1::1", link_option(1, kPeerMac))},
        InvalidRow{"solicited_to_multicast",
                   advertisement("2001:db8:1::2", "ff02::1", "2001:db8:1::2", kSolicited, link_option(2, kPeerMac))},
        InvalidRow{"advertised_hop_limit", advertisement("2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::2", kSolicited,
                                                         link_option(2, kPeerMac), 64)}),
    [](const auto& info) { return info.param.name; });

TEST(RouterSolicitation, OnAProxyPortGetsADefaultRouterWithoutPrefixes) {
  Node node(state());
  const Bytes question = Bytes{133, 0, 0, 0, 0, 0, 0, 0} + link_option(1, kPeerMac);
  receive_nd(node, 1, icmp("fe80::2", "ff02::2", question, {.ttl = 255}));
  const Bytes answer = Bytes{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} + link_option(1, port_mac(1)) +
                       Bytes{5, 1, 0, 0, 0, 0, 0x05, 0x78};
  EXPECT_EQ(node.sent(1),
            std::vector<Bytes>{ethernet(kPeerMac, port_mac(1), icmp("fe80::1", "fe80::2", answer, {.ttl = 255}))});
  receive_nd(node, 0, icmp("fe80::2", "ff02::2", question, {.ttl = 255}));
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{});
}

// ---- What is asked, and what waits

struct Family {
  const char* name;
  const char* from;
  const char* to;    ///< by way of...
  const char* next;  ///< ...this neighbour on port 0
};

Bytes question(const Family& f, const std::string& to_mac = "") {
  if (std::string(f.name) == "IPv4") {
    return arp_frame(to_mac.empty() ? kBroadcast : to_mac, port_mac(0),
                     arp(1, port_mac(0), "10.1.0.1", kAnyMac, f.next));
  }
  return ethernet(
      to_mac.empty() ? "33:33:ff:00:00:02" : to_mac, port_mac(0),
      solicitation("2001:db8:1::1", to_mac.empty() ? "ff02::1:ff00:2" : f.next, f.next, link_option(1, port_mac(0))));
}

void answer(Node& node, const Family& f, const std::string& at = kPeerMac) {
  if (std::string(f.name) == "IPv4") {
    receive_arp(node, 0, arp(2, at, f.next, port_mac(0), "10.1.0.1"), port_mac(0), at);
  } else {
    receive_nd(node, 0, advertisement(f.next, "2001:db8:1::1", f.next, kSolicited | kOverride, link_option(2, at)));
  }
}

Bytes on_the_wire(const Family& f, const Bytes& payload, const std::string& at = kPeerMac) {
  return ethernet(at, port_mac(0), udp(f.from, f.to, payload, {.ttl = 63}));
}

class Resolution : public ::testing::TestWithParam<Family> {
 protected:
  void forward(const Bytes& payload) { node.forward(node.receive(udp(f.from, f.to, payload, {.ttl = 64}), 1)); }

  const Family f = GetParam();
  Node node{state()};
};

TEST_P(Resolution, AsksAndThenSendsWhatWaitedInOrder) {
  for (uint8_t i = 0; i < 3; i++) forward({i, 0});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{question(f)});
  answer(node, f);
  EXPECT_EQ(node.sent(0), (std::vector<Bytes>{on_the_wire(f, {0, 0}), on_the_wire(f, {1, 0}), on_the_wire(f, {2, 0})}));
  forward({3, 0});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{on_the_wire(f, {3, 0})});
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

TEST_P(Resolution, AsksThreeTimesASecondApartThenGivesUpAndTellsTheSender) {
  forward({1, 2});
  EXPECT_EQ(node.sent(0).size(), 1u);
  for (int i = 1; i < 3; i++) {
    node.pass(0.9);
    node.neighbours->tick(node.worker());
    EXPECT_EQ(node.sent(0).size(), 0u);
    node.pass(0.1);
    node.neighbours->tick(node.worker());
    EXPECT_EQ(node.sent(0), std::vector<Bytes>{question(f)}) << i;
  }
  node.pass(1.0);
  node.neighbours->tick(node.worker());
  EXPECT_EQ(node.context.drops(DropReason::NeighbourUnresolved), 1u);
  const Bytes about = udp(f.from, f.to, {1, 2}, {.ttl = 63});
  const bool v4 = std::string(f.name) == "IPv4";
  EXPECT_EQ(node.originated(), std::vector<Bytes>{v4 ? icmp_error("10.1.0.1", f.from, 3, 1, 0, about)
                                                     : icmp_error("2001:db8:1::1", f.from, 1, 3, 0, about)});
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
  forward({1, 2});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{question(f)});
}

TEST_P(Resolution, HoldsAFewPacketsAndDropsTheOldestBeyond) {
  for (uint8_t i = 0; i < Neighbours::kWaiting + 4; i++) forward({i, 0});
  EXPECT_EQ(node.context.drops(DropReason::NeighbourQueueFull), 4u);
  node.sent(0);
  answer(node, f);
  const auto frames = node.sent(0);
  ASSERT_EQ(frames.size(), Neighbours::kWaiting);
  EXPECT_EQ(frames.front(), on_the_wire(f, {4, 0}));
}

TEST_P(Resolution, RefreshesANeighbourInUseWithoutHoldingPacketsUp) {
  forward({1, 1});
  answer(node, f);
  node.sent(0);
  node.pass(31);
  node.neighbours->tick(node.worker());  // no longer surely reachable, and it was used
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{question(f, kPeerMac)});
  forward({2, 2});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{on_the_wire(f, {2, 2})});
  answer(node, f);
  node.pass(1.1);
  node.neighbours->tick(node.worker());
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{});
}

TEST_P(Resolution, ForgetsANeighbourInUseThatNoLongerAnswers) {
  forward({1, 1});
  answer(node, f);
  node.pass(31);
  for (int i = 0; i < 4; i++) {
    node.neighbours->tick(node.worker());
    node.pass(1);
  }
  EXPECT_EQ(known(node, 0, f.next), "");
}

TEST_P(Resolution, FollowsAMoveOfTheNeighbour) {
  forward({1, 1});
  answer(node, f);
  node.sent(0);
  answer(node, f, "0a:00:00:00:00:77");
  forward({2, 2});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{on_the_wire(f, {2, 2}, "0a:00:00:00:00:77")});
}

TEST_P(Resolution, AStaticNeighbourIsNeverAskedForNorChanged) {
  node.neighbours->set_static({{0, ip_address(f.next), ether("0b:00:00:00:00:42")}});
  answer(node, f);
  node.pass(1000);
  node.neighbours->tick(node.worker());
  forward({1, 1});
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{on_the_wire(f, {1, 1}, "0b:00:00:00:00:42")});
  node.neighbours->set_static({});
  EXPECT_EQ(known(node, 0, f.next), "");
}

TEST_P(Resolution, BecomingStaticReleasesWhatWaited) {
  forward({1, 1});
  node.sent(0);
  node.neighbours->set_static({{0, ip_address(f.next), ether("0b:00:00:00:00:42")}});
  node.neighbours->tick(node.worker());
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{on_the_wire(f, {1, 1}, "0b:00:00:00:00:42")});
}

TEST_P(Resolution, ForgettingAPortFreesWhatWaited) {
  forward({1, 1});
  node.sent(0);
  node.neighbours->forget_port(0);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
  EXPECT_TRUE(node.neighbours->list().empty());
}

INSTANTIATE_TEST_SUITE_P(Families, Resolution,
                         ::testing::Values(Family{"IPv4", "10.9.0.5", "10.3.1.1", "10.1.0.2"},
                                           Family{"IPv6", "2001:db8:9::5", "2001:db8:3::1", "2001:db8:1::2"}),
                         [](const auto& info) { return info.param.name; });

// ---- What is believed

TEST(Learning, AnnouncementsChangeWhatIsKnownAndNothingElse) {
  Node node(state());
  receive_arp(node, 0, arp(1, kPeerMac, "10.1.0.9", kAnyMac, "10.1.0.9"));
  receive_arp(node, 0, arp(2, kPeerMac, "10.1.0.9", kPeerMac, "10.1.0.9"));
  receive_nd(node, 0, advertisement("2001:db8:1::9", "ff02::1", "2001:db8:1::9", kOverride, link_option(2, kPeerMac)));
  EXPECT_TRUE(node.neighbours->list().empty());

  receive_arp(node, 0, arp(1, kPeerMac, "10.1.0.9", kAnyMac, "10.1.0.1"));
  receive_nd(node, 0, solicitation("2001:db8:1::9", "2001:db8:1::1", "2001:db8:1::1", link_option(1, kPeerMac)));
  EXPECT_EQ(known(node, 0, "10.1.0.9"), "0a0000000001");
  EXPECT_EQ(known(node, 0, "2001:db8:1::9"), "0a0000000001");

  receive_arp(node, 0, arp(1, "0a:00:00:00:00:77", "10.1.0.9", kAnyMac, "10.1.0.9"));
  receive_nd(
      node, 0,
      advertisement("2001:db8:1::9", "ff02::1", "2001:db8:1::9", kOverride, link_option(2, "0a:00:00:00:00:77")));
  EXPECT_EQ(known(node, 0, "10.1.0.9"), "0a0000000077");
  EXPECT_EQ(known(node, 0, "2001:db8:1::9"), "0a0000000077");
}

TEST(Learning, WhatIsNeverUsedIsForgotten) {
  Node node(state());
  receive_arp(node, 0, arp(1, kPeerMac, "10.1.0.9", kAnyMac, "10.1.0.1"));
  node.sent(0);
  node.pass(599);
  node.neighbours->tick(node.worker());
  EXPECT_EQ(node.neighbours->list().size(), 1u);
  node.pass(1);
  node.neighbours->tick(node.worker());
  EXPECT_EQ(node.neighbours->list().size(), 0u);
  EXPECT_EQ(node.sent(0), std::vector<Bytes>{});
}

TEST(Learning, AnAdvertisementWithoutOverrideDoesNotChangeAKnownMac) {
  Node node(state());
  receive_nd(node, 0, solicitation("2001:db8:1::9", "2001:db8:1::1", "2001:db8:1::1", link_option(1, kPeerMac)));
  receive_nd(node, 0,
             advertisement("2001:db8:1::9", "2001:db8:1::1", "2001:db8:1::9", kSolicited,
                           link_option(2, "0a:00:00:00:00:77")));
  EXPECT_EQ(known(node, 0, "2001:db8:1::9"), "0a0000000001");
}

TEST(Learning, NobodyTakesTheNodesOwnAddressFromIt) {
  Node node(state());
  receive_arp(node, 0, arp(1, kPeerMac, "10.1.0.1", kAnyMac, "10.1.0.1"));
  receive_nd(node, 0, advertisement("2001:db8:1::1", "ff02::1", "2001:db8:1::1", kOverride, link_option(2, kPeerMac)));
  EXPECT_TRUE(node.neighbours->list().empty());
}

TEST(Learning, AMulticastMacIsNoNeighbours) {
  Node node(state());
  receive_arp(node, 0, arp(1, "01:00:5e:00:00:01", "10.1.0.9", kAnyMac, "10.1.0.1"));
  EXPECT_TRUE(node.neighbours->list().empty());
}

TEST(Learning, AFullTableGivesUpWhatIsNotInUse) {
  Node node(state());  // its table holds 64
  for (int i = 2; i < 202; i++) {
    const std::string from = "10.1.0." + std::to_string(i);
    receive_arp(node, 0, arp(1, kPeerMac, from, kAnyMac, "10.1.0.1"));
    if (i % 20 == 0) {
      node.pass(11);  // places of removed entries come back after a while
      node.neighbours->tick(node.worker());
    }
  }
  EXPECT_LE(node.neighbours->list().size(), 64u);
  EXPECT_EQ(known(node, 0, "10.1.0.201"), "0a0000000001");
}

}  // namespace
}  // namespace sluice::testing
