#include "parse/parse.h"

#include <gtest/gtest.h>

#include "testing/eal.h"
#include "testing/frames.h"

namespace sluice {
namespace {

using abi::DropReason;
using namespace testing;

constexpr uint8_t kHopByHop = 0, kIcmp = 1, kTcp = 6, kUdp = 17, kRouting = 43, kFragment = 44, kEsp = 50, kIcmp6 = 58,
                  kNone = 59, kDestination = 60, kSctp = 132;
constexpr uint16_t kFragmentFlag = 4, kIcmpErrorFlag = 32;

// L4 headers, ports 1000 to 2000.
const std::string kTcpHex = "03e807d0 00000001 00000000 50020400 00000000";
const std::string kTcpOptionsHex = "03e807d0 00000001 00000000 60020400 00000000 020405b4";
const std::string kUdpHex = "03e807d0 000c0000 61626364";
const std::string kSctpHex = "03e807d0 00000000 00000000 01000004";
const std::string kEchoHex = "08000000 00070001 6161";
const std::string kEcho6Hex = "80000000 00070001 6161";

/// What parsing finds. All offsets from the L3 header.
struct Facts {
  uint8_t family = 0, protocol = 0;
  uint16_t flags = 0, l4 = 0, payload = 0, inner_l3 = 0, inner_l4 = 0;
  uint8_t l2 = 14;
};

struct AcceptedRow {
  std::string description;
  Bytes frame;
  Facts expected;
};

const AcceptedRow kAccepted[] = {
    {"IPv4 TCP", behind(kEthernet4, ip4({kTcp, kTcpHex})), {4, kTcp, 0, 20, 40}},
    {"IPv4 TCP with options", behind(kEthernet4, ip4({kTcp, kTcpOptionsHex})), {4, kTcp, 0, 20, 44}},
    {"IPv4 UDP", behind(kEthernet4, ip4({kUdp, kUdpHex})), {4, kUdp, 0, 20, 28}},
    {"IPv4 SCTP", behind(kEthernet4, ip4({kSctp, kSctpHex})), {4, kSctp, 0, 20, 32}},
    {"IPv4 ICMP echo", behind(kEthernet4, ip4({kIcmp, kEchoHex})), {4, kIcmp, 0, 20, 28}},
    {"IPv4 GRE", behind(kEthernet4, ip4({47, "00000800"})), {4, 47, 0, 20, 0}},
    {"IPv4 without payload", behind(kEthernet4, ip4({253, ""})), {4, 253, 0, 0, 0}},
    {"IPv4 with options", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "94040000"})), {4, kUdp, 0, 24, 32}},
    {"IPv4 with 40 bytes of options",
     behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, std::string(80, '0')})),
     {4, kUdp, 0, 60, 68}},
    {"one VLAN tag",
     behind("020000000001 020000000002 8100 0005 0800", ip4({kUdp, kUdpHex})),
     {4, kUdp, 0, 20, 28, 0, 0, 18}},
    {"two VLAN tags",
     behind("020000000001 020000000002 88a8 0005 8100 0006 86dd", ip6({kUdp, kUdpHex})),
     {6, kUdp, 0, 40, 48, 0, 0, 22}},
    {"UDP that ends before the packet",
     behind(kEthernet4, ip4({kUdp, "03e807d0 00080000 61626364"})),
     {4, kUdp, 0, 20, 28}},
    {"first fragment",
     behind(kEthernet4, ip4({kUdp, "03e807d0 05c00000", kA4, kB4, "", 0x2000})),
     {4, kUdp, kFragmentFlag, 20, 28}},
    {"first fragment, too short for its L4 header",
     behind(kEthernet4, ip4({kTcp, "03e807d000000001", kA4, kB4, "", 0x2000})),
     {4, kTcp, kFragmentFlag, 0, 0}},
    {"first fragment, cut in TCP's options",
     behind(kEthernet4, ip4({kTcp, "03e807d0 00000001 00000000 f0020400 00000000 01010101", kA4, kB4, "", 0x2000})),
     {4, kTcp, kFragmentFlag, 0, 0}},
    {"later fragment", behind(kEthernet4, ip4({kUdp, "6162", kA4, kB4, "", 0x0001})), {4, kUdp, kFragmentFlag}},
    {"DHCP's source", behind(kEthernet4, ip4({kUdp, kUdpHex, "00000000", "ffffffff"})), {4, kUdp, 0, 20, 28}},
    {"ICMP error that quotes UDP",
     behind(kEthernet4, ip4({kIcmp, "03010000 00000000" + hex(ip4({kUdp, kUdpHex, kB4, kA4}))})),
     {4, kIcmp, kIcmpErrorFlag, 20, 28, 28, 48}},
    {"ICMP error that quotes an IPv4 header with options",
     behind(kEthernet4, ip4({kIcmp, "0b000000 00000000" + hex(ip4({kUdp, kUdpHex, kB4, kA4, "94040000"}))})),
     {4, kIcmp, kIcmpErrorFlag, 20, 28, 28, 52}},
    {"ICMP error that quotes less than 8 bytes of L4",
     behind(kEthernet4, ip4({kIcmp, "03010000 00000000" + hex(ip4({kUdp, "03e807d0 0008", kB4, kA4}))})),
     {4, kIcmp, kIcmpErrorFlag, 20, 28, 28, 0}},
    {"ICMP error that quotes a later fragment",
     behind(kEthernet4, ip4({kIcmp, "03010000 00000000" + hex(ip4({kUdp, kUdpHex, kB4, kA4, "", 1}))})),
     {4, kIcmp, kIcmpErrorFlag, 20, 28, 28, 0}},
    {"ICMP error that quotes nothing",
     behind(kEthernet4, ip4({kIcmp, "03010000 00000000"})),
     {4, kIcmp, kIcmpErrorFlag, 20, 28, 0, 0}},
    {"IPv6 TCP", behind(kEthernet6, ip6({kTcp, kTcpHex})), {6, kTcp, 0, 40, 60}},
    {"IPv6 UDP", behind(kEthernet6, ip6({kUdp, kUdpHex})), {6, kUdp, 0, 40, 48}},
    {"IPv6 SCTP", behind(kEthernet6, ip6({kSctp, kSctpHex})), {6, kSctp, 0, 40, 52}},
    {"ICMPv6 echo", behind(kEthernet6, ip6({kIcmp6, kEcho6Hex})), {6, kIcmp6, 0, 40, 48}},
    {"ICMPv6 of 4 bytes", behind(kEthernet6, ip6({kIcmp6, "c8000000"})), {6, kIcmp6, 0, 40, 44}},
    {"IPv6 ESP", behind(kEthernet6, ip6({kEsp, "0000000100000001"})), {6, kEsp, 0, 40, 0}},
    {"IPv6 no next header", behind(kEthernet6, ip6({kNone, ""})), {6, kNone, 0, 0, 0}},
    {"IPv6 inside IPv6", behind(kEthernet6, ip6({41, hex(ip6({kUdp, kUdpHex}))})), {6, 41, 0, 40, 0}},
    {"hop-by-hop options", behind(kEthernet6, ip6({kHopByHop, "1100 050200000104" + kUdpHex})), {6, kUdp, 0, 48, 56}},
    {"segment routing header with one SID",
     behind(kEthernet6, ip6({kRouting, "1102040000000000 20010db8000000000000000000000009" + kUdpHex})),
     {6, kUdp, 0, 64, 72}},
    {"destination options, AH, mobility",
     behind(kEthernet6, ip6({kDestination,
                             "3300010400000000 8704000000000001000000010000000000000000000000 00"
                             "1100000000000000" +
                                 kUdpHex})),
     {6, kUdp, 0, 80, 88}},
    {"atomic fragment is no fragment",
     behind(kEthernet6, ip6({kFragment, "1100000000000001" + kUdpHex})),
     {6, kUdp, 0, 48, 56}},
    {"IPv6 first fragment",
     behind(kEthernet6, ip6({kFragment, "1100000100000001 03e807d0 05c00000"})),
     {6, kUdp, kFragmentFlag, 48, 56}},
    {"IPv6 later fragment", behind(kEthernet6, ip6({kFragment, "1100000800000001 6162"})), {6, kUdp, kFragmentFlag}},
    {"ICMPv6 error that quotes TCP behind options",
     behind(kEthernet6,
            ip6({kIcmp6, "01040000 00000000" + hex(ip6({kHopByHop, "0600010400000000" + kTcpHex, kB6, kA6}))})),
     {6, kIcmp6, kIcmpErrorFlag, 40, 48, 48, 96}},
    {"duplicate address detection's source",
     behind(kEthernet6, ip6({kIcmp6, "87000000 00000000" + std::string(kA6), std::string(32, '0'),
                             "ff0200000000000000000001ff000001"})),
     {6, kIcmp6, 0, 40, 48}},
    {"eight extension headers",
     behind(kEthernet6, ip6({kDestination,
                             "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
                             "3c00010400000000 3c00010400000000 3c00010400000000 1100010400000000" +
                                 kUdpHex})),
     {6, kUdp, 0, 104, 112}},
};

TEST(Parse, FindsTheFactsOfGoodFrames) {
  for (const AcceptedRow& row : kAccepted) {
    SCOPED_TRACE(row.description);
    ExactPacket packet(row.frame);
    ASSERT_EQ(parse_frame(packet.get()), Parsed::Ip) << abi::kDropReasonNames[packet.meta().reason];
    const PacketMeta& meta = packet.meta();
    EXPECT_EQ(meta.family, row.expected.family);
    EXPECT_EQ(meta.protocol, row.expected.protocol);
    EXPECT_EQ(meta.flags, row.expected.flags);
    EXPECT_EQ(meta.l4_offset, row.expected.l4);
    EXPECT_EQ(meta.payload_offset, row.expected.payload);
    EXPECT_EQ(meta.inner_l3_offset, row.expected.inner_l3);
    EXPECT_EQ(meta.inner_l4_offset, row.expected.inner_l4);
    EXPECT_EQ(meta.l2_length, row.expected.l2);
    EXPECT_EQ(packet.get()->pkt_len, row.frame.size() - row.expected.l2) << "data starts at the L3 header";
  }
}

struct RefusedRow {
  std::string description;
  Bytes frame;
  DropReason expected;
};

const std::string kLoopback6 = "00000000000000000000000000000001";
const std::string kMapped6 = "00000000000000000000ffff0a000001";
const std::string kMulticast6 = "ff020000000000000000000000000001";

const RefusedRow kRefused[] = {
    {"nothing at all", {}, DropReason::MalformedEthernet},
    {"13 bytes of Ethernet", from_hex("020000000001 020000000002 08"), DropReason::MalformedEthernet},
    {"cut in the VLAN tag", from_hex("020000000001 020000000002 8100 0005 08"), DropReason::MalformedEthernet},
    {"three VLAN tags", behind("020000000001 020000000002 8100 0005 8100 0006 8100 0007 0800", ip4({kUdp, kUdpHex})),
     DropReason::UnknownEthertype},
    {"LLDP", from_hex("0180c200000e 020000000002 88cc 0207"), DropReason::UnknownEthertype},
    {"802.3 length", from_hex("0180c2000000 020000000002 0026 424203"), DropReason::UnknownEthertype},
    {"ARP cut short",
     from_hex("ffffffffffff 020000000002 0806 0001080006040001 020000000002 0a000001 000000000000 0a0000"),
     DropReason::MalformedArp},
    {"ARP for another hardware",
     from_hex("ffffffffffff 020000000002 0806 0006080006040001 020000000002 0a000001 000000000000 0a000002"),
     DropReason::MalformedArp},
    {"reverse ARP operation",
     from_hex("ffffffffffff 020000000002 0806 0001080006040003 020000000002 0a000001 000000000000 0a000002"),
     DropReason::MalformedArp},
    {"IPv4 cut short", behind(kEthernet4, from_hex("4500001400000000")), DropReason::MalformedIpv4},
    {"version 6 under IPv4's ethertype", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, -1, 6})),
     DropReason::MalformedIpv4},
    {"header length 4 words", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, -1, 4, 4})),
     DropReason::MalformedIpv4},
    {"header longer than the packet", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, -1, 4, 15})),
     DropReason::MalformedIpv4},
    {"total length below the header's", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, 19})),
     DropReason::MalformedIpv4},
    {"total length beyond the frame", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, 33})),
     DropReason::MalformedIpv4},
    {"IPv4 checksum", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0, -1, 4, -1, 1})),
     DropReason::BadIpv4Checksum},
    {"IPv4 checksum with options", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "94040000", 0, -1, 4, -1, 1})),
     DropReason::BadIpv4Checksum},
    {"IPv4 multicast source", behind(kEthernet4, ip4({kUdp, kUdpHex, "e0000001"})), DropReason::MartianSource},
    {"IPv4 broadcast source", behind(kEthernet4, ip4({kUdp, kUdpHex, "ffffffff"})), DropReason::MartianSource},
    {"IPv4 loopback source", behind(kEthernet4, ip4({kUdp, kUdpHex, "7f000001"})), DropReason::MartianSource},
    {"IPv4 loopback destination", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, "7f000001"})), DropReason::MartianSource},
    {"IPv4 unspecified source", behind(kEthernet4, ip4({kUdp, kUdpHex, "00000000"})), DropReason::MartianSource},
    {"fragment of no bytes", behind(kEthernet4, ip4({kUdp, "", kA4, kB4, "", 0x2001})), DropReason::MalformedFragment},
    {"fragment not in units of 8", behind(kEthernet4, ip4({kUdp, "616263", kA4, kB4, "", 0x2001})),
     DropReason::MalformedFragment},
    {"fragment that ends behind 64 KiB", behind(kEthernet4, ip4({kUdp, kUdpHex, kA4, kB4, "", 0x1fff})),
     DropReason::MalformedFragment},
    {"TCP cut short", behind(kEthernet4, ip4({kTcp, kTcpHex.substr(0, 38)})), DropReason::MalformedTcp},
    {"TCP data offset 4", behind(kEthernet4, ip4({kTcp, "03e807d0 00000001 00000000 40020400 00000000"})),
     DropReason::MalformedTcp},
    {"TCP data offset beyond the packet",
     behind(kEthernet4, ip4({kTcp, "03e807d0 00000001 00000000 60020400 00000000"})), DropReason::MalformedTcp},
    {"UDP cut short", behind(kEthernet4, ip4({kUdp, "03e807d0 0008"})), DropReason::MalformedUdp},
    {"UDP length below 8", behind(kEthernet4, ip4({kUdp, "03e807d0 00070000"})), DropReason::MalformedUdp},
    {"UDP length beyond the packet", behind(kEthernet4, ip4({kUdp, "03e807d0 00090000"})), DropReason::MalformedUdp},
    {"UDP jumbogram", behind(kEthernet6, ip6({kUdp, "03e807d0 00000000"})), DropReason::MalformedUdp},
    {"SCTP cut short", behind(kEthernet4, ip4({kSctp, "03e807d0 00000000 000000"})), DropReason::MalformedSctp},
    {"ICMP cut short", behind(kEthernet4, ip4({kIcmp, "0800000000"})), DropReason::MalformedIcmp},
    {"ICMPv6 cut short", behind(kEthernet6, ip6({kIcmp6, "800000"})), DropReason::MalformedIcmp},
    {"ICMPv6 echo without its identifier", behind(kEthernet6, ip6({kIcmp6, "80000000"})), DropReason::MalformedIcmp},
    {"ICMPv6 error without a body", behind(kEthernet6, ip6({kIcmp6, "01000000"})), DropReason::MalformedIcmp},
    {"IPv6 cut short", behind(kEthernet6, from_hex("60000000 0000 3b40")), DropReason::MalformedIpv6},
    {"version 4 under IPv6's ethertype", behind(kEthernet6, ip6({kUdp, kUdpHex, kA6, kB6, -1, 4})),
     DropReason::MalformedIpv6},
    {"payload length beyond the frame", behind(kEthernet6, ip6({kUdp, kUdpHex, kA6, kB6, 13})),
     DropReason::MalformedIpv6},
    {"jumbogram", behind(kEthernet6, ip6({kHopByHop, "1100c20400010000" + kUdpHex, kA6, kB6, 0})),
     DropReason::MalformedIpv6},
    {"IPv6 multicast source", behind(kEthernet6, ip6({kUdp, kUdpHex, kMulticast6})), DropReason::MartianSource},
    {"IPv6 loopback source", behind(kEthernet6, ip6({kUdp, kUdpHex, kLoopback6})), DropReason::MartianSource},
    {"IPv6 loopback destination", behind(kEthernet6, ip6({kUdp, kUdpHex, kA6, kLoopback6})), DropReason::MartianSource},
    {"IPv4-mapped source", behind(kEthernet6, ip6({kUdp, kUdpHex, kMapped6})), DropReason::MartianSource},
    {"unspecified source to a host", behind(kEthernet6, ip6({kUdp, kUdpHex, std::string(32, '0')})),
     DropReason::MartianSource},
    {"unspecified destination", behind(kEthernet6, ip6({kUdp, kUdpHex, kA6, std::string(32, '0')})),
     DropReason::MartianSource},
    {"extension header cut short", behind(kEthernet6, ip6({kDestination, "11000104"})),
     DropReason::MalformedExtensionHeader},
    {"extension header longer than the packet", behind(kEthernet6, ip6({kRouting, "1104040000000000"})),
     DropReason::MalformedExtensionHeader},
    {"hop-by-hop options that are not first",
     behind(kEthernet6, ip6({kDestination, "0000010400000000 1100010400000000" + kUdpHex})),
     DropReason::MalformedExtensionHeader},
    {"two fragment headers", behind(kEthernet6, ip6({kFragment, "2c00000000000001 1100000000000001" + kUdpHex})),
     DropReason::MalformedExtensionHeader},
    {"nine extension headers",
     behind(kEthernet6, ip6({kDestination,
                             "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
                             "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
                             "1100010400000000" +
                                 kUdpHex})),
     DropReason::MalformedExtensionHeader},
    {"IPv6 fragment not in units of 8", behind(kEthernet6, ip6({kFragment, "1100000100000001 616263"})),
     DropReason::MalformedFragment},
    {"IPv6 fragment that ends behind 64 KiB", behind(kEthernet6, ip6({kFragment, "1100fff800000001 6162636465666768"})),
     DropReason::MalformedFragment},
};

TEST(Parse, RefusesEachMalformationUnderItsReason) {
  for (const RefusedRow& row : kRefused) {
    SCOPED_TRACE(row.description);
    ExactPacket packet(row.frame);
    EXPECT_EQ(parse_frame(packet.get()), Parsed::Drop);
    EXPECT_STREQ(abi::kDropReasonNames[packet.meta().reason], abi::kDropReasonNames[static_cast<int>(row.expected)]);
  }
}

TEST(Parse, KeepsArpAtItsHeader) {
  for (const char* tag : {"", "8100 0005"}) {
    ExactPacket packet(from_hex(std::string("ffffffffffff 020000000002") + tag +
                                "0806 0001080006040001 020000000002 0a000001 000000000000 0a000002"));
    EXPECT_EQ(parse_frame(packet.get()), Parsed::Arp);
    EXPECT_EQ(packet.meta().family, 0);
    EXPECT_EQ(packet.get()->data_len, 28);
    EXPECT_EQ(rte_pktmbuf_mtod(packet.get(), uint8_t*)[1], 1);
  }
}

TEST(Parse, CutsEthernetPadding) {
  const Bytes packets[] = {behind(kEthernet4, ip4({kUdp, kUdpHex})), behind(kEthernet6, ip6({kUdp, kUdpHex}))};
  for (Bytes frame : packets) {
    const size_t real = frame.size() - RTE_ETHER_HDR_LEN;
    frame.resize(frame.size() + 14);
    ExactPacket packet(frame);
    EXPECT_EQ(parse_frame(packet.get()), Parsed::Ip);
    EXPECT_EQ(packet.get()->pkt_len, real);
    EXPECT_EQ(packet.get()->data_len, real);
  }
}

TEST(Parse, KeepsTheFlagsOfTheWayIn) {
  constexpr uint16_t kOffload = 8 | 16;
  ExactPacket packet(behind(kEthernet4, ip4({kTcp, kTcpHex})));
  packet.meta().flags = kOffload | kFragmentFlag | kIcmpErrorFlag;
  EXPECT_EQ(parse_frame(packet.get()), Parsed::Ip);
  EXPECT_EQ(packet.meta().flags, kOffload) << "FRAGMENT and ICMP_ERROR of an earlier parse are gone";
}

TEST(Parse, CountsPassesAndReadsBareL3Packets) {
  ExactPacket packet(ip6({kTcp, kTcpHex}));
  EXPECT_TRUE(parse_packet(packet.get()));
  EXPECT_TRUE(parse_packet(packet.get()));
  EXPECT_EQ(packet.meta().passes, 2);
  EXPECT_EQ(packet.meta().l4_offset, 40);
  ExactPacket neither(from_hex("5500"));
  EXPECT_FALSE(parse_packet(neither.get()));
  EXPECT_EQ(packet.meta().l2_length, 0);
}

uint32_t hash_of(const Bytes& packet) {
  ExactPacket exact(packet);
  EXPECT_TRUE(parse_packet(exact.get())) << abi::kDropReasonNames[exact.meta().reason];
  return exact.meta().hash;
}

TEST(FlowHash, IsTheSameForBothDirections) {
  const std::string request = "03e807d0 00080000", reply = "07d003e8 00080000";
  EXPECT_EQ(hash_of(ip4({kUdp, request})), hash_of(ip4({kUdp, reply, kB4, kA4})));
  EXPECT_EQ(hash_of(ip6({kUdp, request})), hash_of(ip6({kUdp, reply, kB6, kA6})));
  EXPECT_EQ(hash_of(ip4({kUdp, request, kA4, kA4})), hash_of(ip4({kUdp, reply, kA4, kA4}))) << "equal addresses";
  EXPECT_EQ(hash_of(ip4({kIcmp, "08000000 00070001"})), hash_of(ip4({kIcmp, "00000000 00070001", kB4, kA4})));
  EXPECT_EQ(hash_of(ip6({kIcmp6, "80000000 00070001"})), hash_of(ip6({kIcmp6, "81000000 00070001", kB6, kA6})));
}

TEST(FlowHash, TellsFlowsApart) {
  const uint32_t base = hash_of(ip4({kUdp, "03e807d0 00080000"}));
  EXPECT_NE(base, hash_of(ip4({kUdp, "03e907d0 00080000"}))) << "source port";
  EXPECT_NE(base, hash_of(ip4({kUdp, "03e807d1 00080000"}))) << "destination port";
  EXPECT_NE(base, hash_of(ip4({kUdp, "03e807d0 00080000", "0a000003"}))) << "source";
  EXPECT_NE(base, hash_of(ip4({kUdp, "03e807d0 00080000", kA4, "0a000003"}))) << "destination";
  EXPECT_NE(base, hash_of(ip4({kUdp, "07d003e8 00080000"}))) << "ports swapped, addresses not";
  EXPECT_NE(base, hash_of(ip4({kTcp, kTcpHex}))) << "protocol";
}

TEST(FlowHash, IsSharedByAllFragmentsOfAPacket) {
  EXPECT_EQ(hash_of(ip4({kUdp, "03e807d0 05c00000", kA4, kB4, "", 0x2000})),
            hash_of(ip4({kUdp, "6162", kA4, kB4, "", 0x0001})));
  EXPECT_EQ(hash_of(ip6({kFragment, "1100000100000001 03e807d0 05c00000"})),
            hash_of(ip6({kFragment, "1100000800000001 6162"})));
}

TEST(FlowHash, OfAnIcmpErrorIsItsFlows) {
  EXPECT_EQ(hash_of(ip4({kUdp, kUdpHex})),
            hash_of(ip4({kIcmp, "03010000 00000000" + hex(ip4({kUdp, kUdpHex})), "0a0000fe", kA4})));
  EXPECT_EQ(hash_of(ip6({kTcp, kTcpHex})),
            hash_of(ip6({kIcmp6, "01040000 00000000" + hex(ip6({kTcp, kTcpHex})), kB6, kA6})));
}

TEST(ForUs, TakesOwnMacBroadcastAndIpv6Multicast) {
  const rte_ether_addr own = {{2, 0, 0, 0, 0, 1}};
  const struct {
    const char* destination;
    bool expected;
  } rows[] = {{"020000000001", true}, {"ffffffffffff", true},  {"333300000001", true},
              {"3333ff000001", true}, {"020000000003", false}, {"01005e000001", false}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.destination);
    ExactPacket packet(behind(std::string(row.destination) + "020000000002 8100 0007 0800", ip4({kUdp, kUdpHex})));
    ASSERT_EQ(parse_frame(packet.get()), Parsed::Ip);
    EXPECT_EQ(for_us(packet.get(), own), row.expected);
  }
  ExactPacket bare(ip4({kUdp, kUdpHex}));
  ASSERT_TRUE(parse_packet(bare.get()));
  EXPECT_TRUE(for_us(bare.get(), own)) << "no link header, nobody else's";
}

TEST(ParseBurst, SortsFramesAndKeepsTheirOrder) {
  const rte_ether_addr own = {{2, 0, 0, 0, 0, 1}};
  ExactPacket good4(behind(kEthernet4, ip4({kUdp, kUdpHex}))), good6(behind(kEthernet6, ip6({kUdp, kUdpHex})));
  ExactPacket arp(
      from_hex("ffffffffffff 020000000002 0806 0001080006040001 020000000002 0a000001 000000000000 0a000002"));
  ExactPacket other(behind("020000000009 020000000002 0800", ip4({kUdp, kUdpHex}))), bad(from_hex("00"));
  rte_mbuf* frames[] = {good4.get(), bad.get(), arp.get(), other.get(), good6.get()};
  ParsedBurst burst;
  parse_burst(frames, 5, &own, burst);
  ASSERT_EQ(burst.ip_count, 2);
  EXPECT_EQ(burst.ip[0], good4.get());
  EXPECT_EQ(burst.ip[1], good6.get());
  ASSERT_EQ(burst.arp_count, 1);
  EXPECT_EQ(burst.arp[0], arp.get());
  ASSERT_EQ(burst.dropped_count, 2);
  EXPECT_EQ(bad.meta().reason, static_cast<uint16_t>(DropReason::MalformedEthernet));
  EXPECT_EQ(other.meta().reason, static_cast<uint16_t>(DropReason::NotForUs));
}

// Truncation is tried two ways: the frame ends early (nothing but a refusal is right, as IP lengths no longer fit), and
// the L3 packet ends early with lengths that agree, which L4 has to notice itself. The sanitizer watches the reads.
TEST(Parse, NeverReadsPastATruncatedFrame) {
  for (const AcceptedRow& row : kAccepted) {
    for (size_t length = 0; length < row.frame.size(); length++) {
      SCOPED_TRACE(row.description + " cut to " + std::to_string(length));
      ExactPacket packet(Bytes(row.frame.begin(), row.frame.begin() + static_cast<long>(length)));
      EXPECT_EQ(parse_frame(packet.get()), Parsed::Drop);
      EXPECT_NE(packet.meta().reason, 0);
    }
  }
}

/// Every offset that parsing states lies within the packet.
void expect_offsets_inside(ExactPacket& packet) {
  const PacketMeta& meta = packet.meta();
  const uint32_t length = packet.get()->pkt_len;
  EXPECT_EQ(length, packet.get()->data_len);
  EXPECT_LE(meta.l4_offset, length);
  EXPECT_LE(meta.payload_offset, length);
  if (meta.inner_l3_offset != 0) {
    EXPECT_LE(meta.inner_l3_offset + 20u, length);
  }
  if (meta.inner_l4_offset != 0) {
    EXPECT_LE(meta.inner_l4_offset + 8u, length);
  }
}

TEST(Parse, NeverReadsPastAPacketWhoseLengthsAgree) {
  for (const AcceptedRow& row : kAccepted) {
    const Bytes whole(row.frame.begin() + row.expected.l2, row.frame.end());
    const size_t header = row.expected.family == 4 ? 20 : 40;
    for (size_t length = header; length < whole.size(); length++) {
      SCOPED_TRACE(row.description + " shortened to " + std::to_string(length));
      Bytes bytes(whole.begin(), whole.begin() + static_cast<long>(length));
      const size_t field = row.expected.family == 4 ? length : length - header;
      const int at = row.expected.family == 4 ? 2 : 4;
      const int change = (bytes[at] << 8 | bytes[at + 1]) - static_cast<int>(field);
      bytes[at] = static_cast<uint8_t>(field >> 8);
      bytes[at + 1] = static_cast<uint8_t>(field);
      if (row.expected.family == 4) {
        int sum = (bytes[10] << 8 | bytes[11]) + change;
        if (sum > 0xffff) sum -= 0xffff;
        bytes[10] = static_cast<uint8_t>(sum >> 8);
        bytes[11] = static_cast<uint8_t>(sum);
      }
      ExactPacket packet(bytes);
      if (parse_packet(packet.get())) expect_offsets_inside(packet);
    }
  }
}

TEST(Parse, SurvivesRandomMutations) {
  uint64_t state = 42;
  const auto random = [&state] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
  };
  for (int round = 0; round < 300; round++) {
    for (const AcceptedRow& row : kAccepted) {
      Bytes frame = row.frame;
      for (uint64_t changes = 1 + random() % 4; changes > 0; changes--) {
        frame[random() % frame.size()] = static_cast<uint8_t>(random());
      }
      ExactPacket packet(frame);
      const Parsed parsed = parse_frame(packet.get());
      if (parsed == Parsed::Drop) {
        ASSERT_NE(packet.meta().reason, 0);
      }
      if (parsed == Parsed::Ip) expect_offsets_inside(packet);
    }
  }
}

}  // namespace
}  // namespace sluice
