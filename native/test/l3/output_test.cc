// Sizes, offloads and tunnels on the way out, and tunnels on the way in.

#include "l3/vxlan.h"
#include "node.h"

namespace sluice::testing {
namespace {

using abi::DropReason;
using abi::Flag;

/// in --- node --- wire, and tunnels over the wire of both families.
DesiredState state(uint16_t wire_mtu = 1500) {
  DesiredState desired;
  desired.ports = {port("in", {"10.1.0.1/24", "2001:db8:1::1/64"}, 9000),
                   port("wire", {"192.168.0.1/24", "2001:db8:f::1/64"}, wire_mtu), vxlan("vx4", 100, "192.168.0.1"),
                   vxlan("vx6", 200, "2001:db8:f::1")};
  desired.routes = {route("10.4.0.0/16", {tunnel_to("vx4", "192.168.0.2", "0e:00:00:00:00:04")}),
                    route("2001:db8:4::/48", {tunnel_to("vx4", "192.168.0.2", "0e:00:00:00:00:04")}),
                    route("10.6.0.0/16", {tunnel_to("vx6", "2001:db8:f::2")}),
                    route("2001:db8:6::/48", {tunnel_to("vx6", "2001:db8:f::2")}),
                    route("10.7.0.0/16", {tunnel_to("vx4", "203.0.113.1")}),
                    route("10.8.0.0/16", {via("wire", "192.168.0.2")}),
                    route("2001:db8:8::/48", {via("wire", "2001:db8:f::2")})};
  desired.neighbours = {neighbour("wire", "192.168.0.2", "0b:00:00:00:00:02"),
                        neighbour("wire", "2001:db8:f::2", "0b:00:00:00:00:02")};
  return desired;
}

struct EncapRow {
  const char* name;
  const char* from;
  const char* to;
  bool outer6;
  uint32_t vni;
  const char* inner_source;
  const char* inner_destination;
};

class Encapsulation : public ::testing::TestWithParam<EncapRow> {};

TEST_P(Encapsulation, WrapsThePacketAsRfc7348Says) {
  const EncapRow& row = GetParam();
  Node node(state());
  rte_mbuf* packet = node.receive(udp(row.from, row.to, filler(30), {.ttl = 64}));
  const uint32_t hash = meta_of(packet)->hash;
  node.forward(packet);
  const Bytes inner = ethernet(row.inner_destination, row.inner_source, udp(row.from, row.to, filler(30), {.ttl = 63}));
  const Bytes vxlan = Bytes{8, 0, 0, 0} + be32(row.vni << 8) + inner;
  const auto source_port = static_cast<uint16_t>(49152 + hash % 16384);
  const std::string own = row.outer6 ? "2001:db8:f::1" : "192.168.0.1";
  const std::string remote = row.outer6 ? "2001:db8:f::2" : "192.168.0.2";
  Bytes datagram = udp_datagram(own, remote, vxlan, source_port, 4789);
  if (!row.outer6) put16(datagram, 6, 0);
  const Bytes outer = ip(own, remote, IPPROTO_UDP, datagram);
  EXPECT_EQ(node.sent(1), std::vector<Bytes>{ethernet("0b:00:00:00:00:02", port_mac(1), outer)});
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Encapsulation,
    ::testing::Values(
        EncapRow{"4_over_4", "10.1.0.2", "10.4.0.2", false, 100, "02:53:c0:a8:00:01", "0e:00:00:00:00:04"},
        EncapRow{"6_over_4", "2001:db8:1::2", "2001:db8:4::2", false, 100, "02:53:c0:a8:00:01", "0e:00:00:00:00:04"},
        EncapRow{"4_over_6", "10.1.0.2", "10.6.0.2", true, 200, "02:53:00:00:00:01", "02:53:00:00:00:02"},
        EncapRow{"6_over_6", "2001:db8:1::2", "2001:db8:6::2", true, 200, "02:53:00:00:00:01", "02:53:00:00:00:02"}),
    [](const auto& info) { return std::string("inner_") + info.param.name; });

/// What a Linux kernel sent by a vxlan interface (VNI 100, 192.168.0.2 to 192.168.0.1): an echo request from 10.4.0.2
/// to 10.1.0.2. Captured at the underlay's veth; the link header is left out.
const char* const kFromLinux =
    "450000866a19000040118efac0a80002c0a80001bb8d12b5007281d708000000000064000253c0a800010253c0a80002"
    "0800450000548b23400040019b7d0a0400020a0100020800eb0d09ed0001e70d016b0000000056b80500000000001011"
    "12131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";

TEST(Decapsulation, OfWhatLinuxSends) {
  Node node(state());
  rte_mbuf* packet = node.receive(from_hex(kFromLinux), 1);
  meta_of(packet)->mark = 7;
  ASSERT_EQ(vxlan_decapsulate(node.worker(), packet), Decap::Inner);
  EXPECT_EQ(meta_of(packet)->in_port, 2);
  EXPECT_EQ(meta_of(packet)->mark, 7u);
  ASSERT_EQ(parse_frame(packet), Parsed::Ip);
  EXPECT_EQ(meta_of(packet)->protocol, IPPROTO_ICMP);
  EXPECT_EQ(to_hex(rte_pktmbuf_mtod(packet, uint8_t*) + 12, 8), "0a0400020a010002");
  rte_pktmbuf_free(packet);
}

Bytes vxlan_packet(const std::string& from, const std::string& to, const Bytes& header, uint16_t udp_port = 4789) {
  const Bytes inner = ethernet("02:53:c0:a8:00:01", "02:53:c0:a8:00:02", udp("10.4.0.2", "10.1.0.2", filler(30)));
  return ip(from, to, IPPROTO_UDP,
            udp_datagram(from, to, header.size() == 8 ? header + inner : header, 50000, udp_port));
}

struct DecapRow {
  const char* name;
  Bytes packet;
  Decap result;
  DropReason reason;
  PortId in_port;
};

class Decapsulating : public ::testing::TestWithParam<DecapRow> {};

TEST_P(Decapsulating, TellsTunnelsFromOtherDatagrams) {
  const DecapRow& row = GetParam();
  Node node(state());
  rte_mbuf* packet = node.receive(row.packet, 1);
  const Decap result = vxlan_decapsulate(node.worker(), packet);
  ASSERT_EQ(result, row.result);
  if (result == Decap::Dropped) {
    EXPECT_EQ(node.context.drops(row.reason), 1u);
    return;
  }
  EXPECT_EQ(meta_of(packet)->in_port, row.in_port);
  if (result == Decap::Inner) {
    ASSERT_EQ(parse_frame(packet), Parsed::Ip);
    EXPECT_EQ(bytes_of(packet), udp("10.4.0.2", "10.1.0.2", filler(30)));
  }
  rte_pktmbuf_free(packet);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Decapsulating,
    ::testing::Values(
        DecapRow{"over_4", vxlan_packet("192.168.0.2", "192.168.0.1", {8, 0, 0, 0, 0, 0, 100, 0}), Decap::Inner,
                 DropReason::None, 2},
        DecapRow{"over_6", vxlan_packet("2001:db8:f::2", "2001:db8:f::1", {8, 0, 0, 0, 0, 0, 200, 0}), Decap::Inner,
                 DropReason::None, 3},
        DecapRow{"unknown_vni", vxlan_packet("192.168.0.2", "192.168.0.1", {8, 0, 0, 0, 0, 0, 101, 0}), Decap::Dropped,
                 DropReason::UnknownVni, 1},
        DecapRow{"vni_of_the_other_family", vxlan_packet("192.168.0.2", "192.168.0.1", {8, 0, 0, 0, 0, 0, 200, 0}),
                 Decap::Dropped, DropReason::UnknownVni, 1},
        DecapRow{"no_vni_flag", vxlan_packet("192.168.0.2", "192.168.0.1", {0, 0, 0, 0, 0, 0, 100, 0}), Decap::Dropped,
                 DropReason::MalformedVxlan, 1},
        DecapRow{"cut_short", vxlan_packet("192.168.0.2", "192.168.0.1", {8, 0, 0}), Decap::Dropped,
                 DropReason::MalformedVxlan, 1},
        DecapRow{"another_port", vxlan_packet("192.168.0.2", "192.168.0.1", {8, 0, 0, 0, 0, 0, 100, 0}, 8472),
                 Decap::NotVxlan, DropReason::None, 1},
        DecapRow{"another_address", vxlan_packet("192.168.0.2", "192.168.0.9", {8, 0, 0, 0, 0, 0, 100, 0}),
                 Decap::NotVxlan, DropReason::None, 1},
        DecapRow{"not_udp", ip("192.168.0.2", "192.168.0.1", IPPROTO_GRE, filler(60)), Decap::NotVxlan,
                 DropReason::None, 1}),
    [](const auto& info) { return info.param.name; });

TEST(Tunnels, WithoutAnUnderlayRouteDropTheirPackets) {
  Node node(state());
  node.forward(node.receive(udp("10.1.0.2", "10.7.0.1", filler(8))));
  EXPECT_EQ(node.context.drops(DropReason::NoRoute), 1u);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

struct TooBigRow {
  const char* name;
  const char* from;
  const char* to;
  uint32_t mtu;
};

class TunnelMtu : public ::testing::TestWithParam<TooBigRow> {};

/// The tunnel's port says 1500, the wire below as well: the headers between them count.
TEST_P(TunnelMtu, LeavesRoomForTheOuterHeaders) {
  const TooBigRow& row = GetParam();
  Node node(state());
  const bool v6 = std::string(row.from).find(':') != std::string::npos;
  const size_t headers = v6 ? 48 : 28;
  node.forward(node.receive(udp(row.from, row.to, filler(row.mtu - headers), {.fragment = kDf})));
  EXPECT_EQ(node.sent(1).size(), 1u);
  const Bytes larger = udp(row.from, row.to, filler(row.mtu - headers + 1), {.fragment = kDf});
  node.forward(node.receive(larger));
  EXPECT_EQ(node.sent(1).size(), 0u);
  EXPECT_EQ(node.originated(), std::vector<Bytes>{v6 ? icmp_error("2001:db8:1::1", row.from, 2, 0, row.mtu, larger)
                                                     : icmp_error("10.1.0.1", row.from, 3, 4, row.mtu, larger)});
}

INSTANTIATE_TEST_SUITE_P(Rows, TunnelMtu,
                         ::testing::Values(TooBigRow{"inner_4_over_4", "10.1.0.2", "10.4.0.2", 1450},
                                           TooBigRow{"inner_6_over_4", "2001:db8:1::2", "2001:db8:4::2", 1450},
                                           TooBigRow{"inner_4_over_6", "10.1.0.2", "10.6.0.2", 1430},
                                           TooBigRow{"inner_6_over_6", "2001:db8:1::2", "2001:db8:6::2", 1430}),
                         [](const auto& info) { return info.param.name; });

// ---- Offloads

/// A TCP super-frame as a TAP hands it over: its checksum field holds the pseudo-header's sum.
rte_mbuf* super_frame(Node& node, const std::string& from, const std::string& to, size_t payload, uint16_t gso_size) {
  Bytes segment =
      be16(1000) + be16(2000) + be32(5000) + be32(1) + Bytes{0x50, 0x18, 1, 0, 0, 0, 0, 0} + filler(payload);
  const auto pseudo_sum = static_cast<uint16_t>(~checksum(pseudo(from, to, IPPROTO_TCP, segment.size())));
  put16(segment, 16, pseudo_sum);
  rte_mbuf* packet = node.receive_long(ip(from, to, IPPROTO_TCP, segment, {.ttl = 64, .fragment = kDf}));
  PacketMeta& meta = *meta_of(packet);
  meta.flags |= static_cast<uint16_t>(Flag::SUPER_FRAME) | static_cast<uint16_t>(Flag::PARTIAL_CHECKSUM);
  meta.gso_size = gso_size;
  return packet;
}

struct SuperRow {
  const char* name;
  const char* from;
  const char* to;
  bool offloads;
  uint16_t gso_size;
  size_t frames;  ///< that leave
};

class SuperFrame : public ::testing::TestWithParam<SuperRow> {};

constexpr size_t kSuperPayload = 14000;

TEST_P(SuperFrame, LeavesWholeOrInSegments) {
  const SuperRow& row = GetParam();
  Node node(state(), row.offloads);
  node.forward(super_frame(node, row.from, row.to, kSuperPayload, row.gso_size));
  const auto frames = node.sent(1);
  EXPECT_EQ(frames.size(), row.frames);
  if (row.frames == 0) {
    EXPECT_EQ(node.context.drops(DropReason::PacketTooBig), 1u);
    EXPECT_EQ(node.originated().size(), 1u);
  } else if (row.frames > 1) {
    for (const Bytes& frame : frames) EXPECT_LE(frame.size(), 1514u);
  }
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Rows, SuperFrame,
                         ::testing::Values(SuperRow{"whole4", "10.1.0.2", "10.8.0.1", true, 1400, 1},
                                           SuperRow{"whole6", "2001:db8:1::2", "2001:db8:8::1", true, 1400, 1},
                                           SuperRow{"cut4", "10.1.0.2", "10.8.0.1", false, 1400, 10},
                                           SuperRow{"cut6", "2001:db8:1::2", "2001:db8:8::1", false, 1400, 10},
                                           SuperRow{"tunnel4", "10.1.0.2", "10.4.0.1", true, 1400, 10},
                                           SuperRow{"tunnel6", "2001:db8:1::2", "2001:db8:6::1", true, 1300, 11},
                                           SuperRow{"segments_too_big4", "10.1.0.2", "10.4.0.1", true, 1448, 0},
                                           SuperRow{"segments_too_big6", "2001:db8:1::2", "2001:db8:6::1", true, 1428,
                                                    0}),
                         [](const auto& info) { return info.param.name; });

class PartialChecksum : public ::testing::TestWithParam<bool> {};

TEST_P(PartialChecksum, IsCompletedWhereThePortDoesNot) {
  const bool offloads = GetParam();
  Node node(state(), offloads);
  for (const std::string to : {"10.8.0.1", "10.4.0.1"}) {
    const bool tunnel = to == "10.4.0.1";
    Bytes sent = udp("10.1.0.2", to, filler(100), {.ttl = 63});
    Bytes received = udp("10.1.0.2", to, filler(100));
    const auto sum = static_cast<uint16_t>(~checksum(pseudo("10.1.0.2", to, IPPROTO_UDP, 108)));
    put16(received, 26, sum);
    if (offloads && !tunnel) put16(sent, 26, sum);
    rte_mbuf* packet = node.receive(received);
    meta_of(packet)->flags |= static_cast<uint16_t>(Flag::PARTIAL_CHECKSUM);
    node.forward(packet);
    const auto frames = node.sent(1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(Bytes(frames[0].end() - sent.size(), frames[0].end()), sent) << to;
  }
}

INSTANTIATE_TEST_SUITE_P(Ports, PartialChecksum, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "with_offloads" : "without"; });

// ---- What a stage wrapped

struct WrappedRow {
  const char* name;
  const char* inner_from;
  const char* inner_to;
  size_t inner_length;
  uint16_t inner_fragment;  ///< IPv4: flags
  size_t frames;            ///< that leave; 0: the inner sender is told
};

class Wrapped : public ::testing::TestWithParam<WrappedRow> {};

constexpr uint32_t kWire = 1500, kWrapping = 40;

/// An IPv6 header is put before a packet of 10.1.0.2 or 2001:db8:1::2, as SRv6 does, on a way out with MTU 1500.
TEST_P(Wrapped, TooLargePacketsAreTheInnerSendersBusiness) {
  const WrappedRow& row = GetParam();
  Node node(state());
  const bool v6 = std::string(row.inner_from).find(':') != std::string::npos;
  const Bytes inner =
      udp(row.inner_from, row.inner_to, filler(row.inner_length - (v6 ? 48 : 28)), {.fragment = row.inner_fragment});
  rte_mbuf* packet = node.receive(
      ip("2001:db8:f::1", "2001:db8:8::1", static_cast<uint8_t>(v6 ? +IPPROTO_IPV6 : +IPPROTO_IPIP), inner));
  meta_of(packet)->reframed = 1;
  node.forward(packet);
  const auto frames = node.sent(1);
  EXPECT_EQ(frames.size(), row.frames);
  for (const Bytes& frame : frames) EXPECT_LE(frame.size(), kWire + 14);
  std::vector<Bytes> expected;
  if (row.frames == 0) {
    expected.push_back(v6 ? icmp_error("2001:db8:1::1", row.inner_from, 2, 0, kWire - kWrapping, inner)
                          : icmp_error("10.1.0.1", row.inner_from, 3, 4, kWire - kWrapping, inner));
  }
  EXPECT_EQ(node.originated(), expected);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Rows, Wrapped,
                         ::testing::Values(WrappedRow{"fits4", "10.1.0.2", "10.8.0.1", 1460, kDf, 1},
                                           WrappedRow{"fits6", "2001:db8:1::2", "2001:db8:9::1", 1460, 0, 1},
                                           WrappedRow{"too_big4", "10.1.0.2", "10.8.0.1", 1461, kDf, 0},
                                           WrappedRow{"too_big6", "2001:db8:1::2", "2001:db8:9::1", 1461, 0, 0},
                                           WrappedRow{"too_big4_without_df", "10.1.0.2", "10.8.0.1", 1461, 0, 2}),
                         [](const auto& info) { return info.param.name; });

TEST(Output, MarksTheLinkHeaderForThePort) {
  Node node(state());
  rte_mbuf* packet = node.receive(udp("10.1.0.2", "10.8.0.1", filler(8)));
  node.forward(packet);
  node.worker().flush_all();
  ASSERT_EQ(node.captures[1]->sent.size(), 1u);
  const PacketMeta& meta = *meta_of(node.captures[1]->sent[0]);
  EXPECT_EQ(meta.l2_length, 14);
  EXPECT_EQ(meta.l4_offset, 20);
}

TEST(Output, TakesAnotherBufferWhenTheHeadroomIsUsedUp) {
  Node node(state());
  rte_mbuf* packet = node.receive(udp("10.1.0.2", "10.4.0.1", filler(8)));
  // As after a stage that pushed headers.
  memmove(rte_pktmbuf_mtod(packet, uint8_t*) - rte_pktmbuf_headroom(packet), rte_pktmbuf_mtod(packet, uint8_t*),
          packet->data_len);
  packet->data_off = 0;
  node.forward(packet);
  const auto frames = node.sent(1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].size(), 14u + 50 + 36);
  EXPECT_EQ(node.context.buffers_in_use(), 0u);
}

}  // namespace
}  // namespace sluice::testing
