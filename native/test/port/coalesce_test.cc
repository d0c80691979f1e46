#include "port/coalesce.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>

#include "core/packet.h"
#include "fixtures.h"
#include "port/offload.h"
#include "testing/eal.h"

namespace sluice::testing {
namespace {

constexpr uint16_t kPartial = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
constexpr uint16_t kSuper = static_cast<uint16_t>(abi::Flag::SUPER_FRAME);

const char kIpv4[] = "45000000 0010 4000 4006 0000 0a010102 0a020203";
const char kIpv6[] = "600abcde 0000 0640 fd010000000000000000000000000002 fd020000000000000000000000000003";
const char kTcp[] = "1f90c350 00001000 00000001 8010 7210 0000 0000 0101080a 01020304 05060708";

uint16_t sum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

/// A TCP super-frame with `payload` bytes as a TAP hands it over, parsed. `port` is the source port.
rte_mbuf* super_frame(bool ipv4, uint16_t payload, uint16_t gso_size, uint16_t port = 8080, uint8_t tcp_flags = 0x10) {
  std::vector<uint8_t> bytes = from_hex(ipv4 ? kIpv4 : kIpv6);
  const uint16_t l4 = static_cast<uint16_t>(bytes.size());
  const std::vector<uint8_t> tcp = from_hex(kTcp);
  bytes.insert(bytes.end(), tcp.begin(), tcp.end());
  const uint16_t headers = static_cast<uint16_t>(bytes.size());
  for (uint16_t i = 0; i < payload; i++) bytes.push_back(static_cast<uint8_t>(i * 11 + (i >> 7)));
  const auto put = [&bytes](size_t at, size_t value) {
    bytes[at] = static_cast<uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<uint8_t>(value);
  };
  put(l4, port);
  bytes[l4 + 13] = tcp_flags;
  put(ipv4 ? 2 : 4, ipv4 ? bytes.size() : bytes.size() - l4);
  if (ipv4) put(10, static_cast<uint16_t>(~sum({bytes.begin(), bytes.begin() + l4})));
  std::vector<uint8_t> pseudo(bytes.begin() + (ipv4 ? 12 : 8), bytes.begin() + l4);
  const size_t length = bytes.size() - l4;
  for (const size_t byte : {size_t{0}, size_t{6}, length >> 8, length & 0xff}) pseudo.push_back(byte);
  put(l4 + 16, sum(pseudo));

  rte_mbuf* packet = rte_pktmbuf_alloc(pools().packets);
  const size_t first = std::min<size_t>(bytes.size(), 2034);
  memcpy(rte_pktmbuf_append(packet, first), bytes.data(), first);
  if (first < bytes.size()) {
    rte_mbuf* rest = rte_pktmbuf_alloc(pools().jumbos);
    rest->data_off = 0;
    memcpy(rte_pktmbuf_append(rest, bytes.size() - first), bytes.data() + first, bytes.size() - first);
    rte_pktmbuf_chain(packet, rest);
  }
  PacketMeta& meta = *meta_of(packet);
  memset(static_cast<void*>(&meta), 0, sizeof meta);
  meta.family = ipv4 ? 4 : 6;
  meta.protocol = IPPROTO_TCP;
  meta.l4_offset = l4;
  meta.payload_offset = headers;
  meta.flags = kPartial | kSuper;
  meta.gso_size = gso_size;
  return packet;
}

/// A packet stream: the segments of one super-frame.
std::vector<rte_mbuf*> stream(bool ipv4, uint16_t payload, uint16_t size, uint16_t port = 8080, uint8_t flags = 0x10) {
  rte_mbuf* out[256];
  rte_mbuf* whole = super_frame(ipv4, payload, size, port, flags);
  const uint16_t count = segment(whole, 1500, pools().packets, out, 256);
  EXPECT_GT(count, 0);
  return {out, out + count};
}

std::vector<std::string> hex_of(const std::vector<rte_mbuf*>& packets) {
  std::vector<std::string> texts;
  for (const rte_mbuf* packet : packets) texts.push_back(to_hex(packet));
  return texts;
}

void join_all(std::vector<rte_mbuf*>& packets) {
  packets.resize(coalesce(packets.data(), static_cast<uint16_t>(packets.size())));
}

void free_all(std::vector<rte_mbuf*>& packets) {
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
  packets.clear();
}

struct WholeRow {
  const char* what;
  bool ipv4;
  uint16_t payload, size;
  uint8_t flags;
};
const WholeRow kWholeRows[] = {
    {"IPv4", true, 40000, 1448, 0x10},           {"IPv6", false, 40000, 1428, 0x10},
    {"PSH on the last", true, 4344, 1448, 0x18}, {"largest", true, 65483, 1448, 0x18},
    {"odd sizes", false, 10001, 1001, 0x18},     {"two", true, 1500, 1448, 0x10},
};

TEST(Coalesce, IsTheInverseOfSegment) {
  for (const WholeRow& row : kWholeRows) {
    SCOPED_TRACE(row.what);
    rte_mbuf* whole = super_frame(row.ipv4, row.payload, row.size, 8080, row.flags);
    const std::string before = to_hex(whole);
    rte_pktmbuf_free(whole);
    auto packets = stream(row.ipv4, row.payload, row.size, 8080, row.flags);
    const auto cut = hex_of(packets);
    join_all(packets);
    ASSERT_EQ(packets.size(), 1u);
    EXPECT_EQ(to_hex(packets[0]), before);
    EXPECT_EQ(meta_of(packets[0])->flags, kPartial | kSuper);
    EXPECT_EQ(meta_of(packets[0])->gso_size, row.size);
    rte_mbuf_sanity_check(packets[0], 1);
    rte_mbuf* again[256];
    const uint16_t count = segment(packets[0], 1500, pools().packets, again, 256);
    packets.assign(again, again + count);
    EXPECT_EQ(hex_of(packets), cut);
    free_all(packets);
  }
}

TEST(Coalesce, KeepsInterleavedFlowsApart) {
  auto a = stream(true, 5 * 1000, 1000, 1), b = stream(false, 5 * 1000, 1000, 2), c = stream(true, 5 * 1000, 1000, 3);
  std::vector<rte_mbuf*> packets;
  for (int i = 0; i < 5; i++) {
    for (const auto* flow : {&a, &b, &c}) packets.push_back((*flow)[i]);
  }
  join_all(packets);
  ASSERT_EQ(packets.size(), 3u);
  EXPECT_EQ(packets[0], a[0]);
  EXPECT_EQ(packets[1], b[0]);
  EXPECT_EQ(packets[2], c[0]);
  for (const rte_mbuf* packet : packets) EXPECT_GT(packet->pkt_len, 5000u);
  free_all(packets);
}

TEST(Coalesce, ManyFlowsAtOnceLoseNothing) {
  std::vector<rte_mbuf*> packets;
  std::vector<std::vector<rte_mbuf*>> flows;
  for (uint16_t port = 0; port < 20; port++) flows.push_back(stream(true, 3 * 500, 500, port));
  for (int i = 0; i < 3; i++) {
    for (auto& flow : flows) packets.push_back(flow[i]);
  }
  join_all(packets);
  size_t payload = 0;
  for (const rte_mbuf* packet : packets)
    payload += packet->pkt_len - meta_of(const_cast<rte_mbuf*>(packet))->payload_offset;
  EXPECT_EQ(payload, 20u * 3 * 500);
  free_all(packets);
}

/// What is done to one packet in the midst of six, and how many packets are left then.
struct BreakRow {
  const char* what;
  std::function<void(rte_mbuf*)> spoil;
  size_t left;
};

uint8_t* at(rte_mbuf* packet, size_t offset) {
  return rte_pktmbuf_mtod_offset(packet, uint8_t*, offset);
}

/// Puts the checksums right after a change.
void mend(rte_mbuf* packet) {
  const std::vector<uint8_t> header(at(packet, 0), at(packet, 20));
  const uint16_t ip = static_cast<uint16_t>(~(sum(header) + 0u)),
                 old = static_cast<uint16_t>(header[10] << 8 | header[11]);
  const uint32_t fixed = uint32_t{old} + ip;
  const uint16_t folded = static_cast<uint16_t>((fixed & 0xffff) + (fixed >> 16));
  at(packet, 10)[0] = folded >> 8;
  at(packet, 10)[1] = folded & 0xff;
  std::vector<uint8_t> pseudo(at(packet, 12), at(packet, 20));
  const size_t length = packet->pkt_len - 20;
  for (const size_t byte : {size_t{0}, size_t{6}, length >> 8, length & 0xff}) pseudo.push_back(byte);
  const uint16_t partial = sum(pseudo);
  at(packet, 36)[0] = partial >> 8;
  at(packet, 36)[1] = partial & 0xff;
  meta_of(packet)->flags = kPartial;
  EXPECT_TRUE(complete_checksum(packet));
}

const BreakRow kBreakRows[] = {
    {"nothing", [](rte_mbuf*) {}, 1},
    {"wrong checksum", [](rte_mbuf* packet) { at(packet, 36)[0] ^= 1; }, 3},
    {"wrong payload", [](rte_mbuf* packet) { at(packet, 99)[0] ^= 1; }, 3},
    {"FIN",
     [](rte_mbuf* packet) {
       at(packet, 33)[0] |= 0x01;
       mend(packet);
     },
     3},
    {"URG",
     [](rte_mbuf* packet) {
       at(packet, 33)[0] |= 0x20;
       mend(packet);
     },
     3},
    {"CWR",
     [](rte_mbuf* packet) {
       at(packet, 33)[0] |= 0x80;
       mend(packet);
     },
     3},
    {"an urgent pointer",
     [](rte_mbuf* packet) {
       at(packet, 39)[0] ^= 1;
       mend(packet);
     },
     3},
    {"AccECN's bit beside the header's length",
     [](rte_mbuf* packet) {
       at(packet, 32)[0] ^= 1;
       mend(packet);
     },
     3},
    {"PSH",
     [](rte_mbuf* packet) {
       at(packet, 33)[0] |= 0x08;
       mend(packet);
     },
     2},
    {"another acknowledgement",
     [](rte_mbuf* packet) {
       at(packet, 31)[0] ^= 1;
       mend(packet);
     },
     3},
    {"another window",
     [](rte_mbuf* packet) {
       at(packet, 34)[0] ^= 1;
       mend(packet);
     },
     3},
    {"other timestamps",
     [](rte_mbuf* packet) {
       at(packet, 47)[0] ^= 1;
       mend(packet);
     },
     3},
    {"congestion experienced",
     [](rte_mbuf* packet) {
       at(packet, 1)[0] |= 3;
       mend(packet);
     },
     3},
    {"another TTL",
     [](rte_mbuf* packet) {
       at(packet, 8)[0]--;
       mend(packet);
     },
     3},
    {"another id",
     [](rte_mbuf* packet) {
       at(packet, 4)[0]++;
       mend(packet);
     },
     3},
    {"a sequence number out of order",
     [](rte_mbuf* packet) {
       at(packet, 26)[0]++;
       mend(packet);
     },
     3},
    {"a fragment", [](rte_mbuf* packet) { meta_of(packet)->flags = static_cast<uint16_t>(abi::Flag::FRAGMENT); }, 3},
    {"came in elsewhere", [](rte_mbuf* packet) { meta_of(packet)->in_port = 5; }, 3},
    {"no TCP header in sight", [](rte_mbuf* packet) { meta_of(packet)->payload_offset = 0; }, 3},
};

TEST(Coalesce, JoinsOnlyWhatCutsIntoTheSameAgain) {
  for (const BreakRow& row : kBreakRows) {
    SCOPED_TRACE(row.what);
    auto packets = stream(true, 6 * 700, 700);
    ASSERT_EQ(packets.size(), 6u);
    row.spoil(packets[3]);
    const auto sent = hex_of(packets);
    const std::vector<rte_mbuf*> before = packets;
    join_all(packets);
    EXPECT_EQ(packets.size(), row.left);
    std::vector<rte_mbuf*> cut;
    for (rte_mbuf* packet : packets) {
      if ((meta_of(packet)->flags & kSuper) == 0) {
        cut.push_back(packet);
        continue;
      }
      rte_mbuf* out[16];
      const uint16_t count = segment(packet, 1500, pools().packets, out, 16);
      cut.insert(cut.end(), out, out + count);
    }
    EXPECT_EQ(hex_of(cut), sent) << "the same packets in the same order";
    free_all(cut);
  }
}

TEST(Coalesce, APureAcknowledgementIsNotOvertaken) {
  auto packets = stream(true, 4 * 700, 700);
  rte_mbuf* pure = packets[2];
  rte_pktmbuf_trim(pure, 700);
  join_all(packets);
  ASSERT_EQ(packets.size(), 3u);
  EXPECT_EQ(packets[1], pure);
  free_all(packets);
}

TEST(Coalesce, CostIsShown) {
  uint64_t least = UINT64_MAX;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; round++) {
    auto packets = stream(true, 45 * 1448, 1448);
    const uint64_t start = rte_rdtsc();
    join_all(packets);
    least = std::min(least, rte_rdtsc() - start);
    ASSERT_EQ(packets.size(), 1u);
    free_all(packets);
  }
  std::printf("[ cycles   ] %.0f a packet of 1448 bytes of payload\n", double(least) / 45);
}

}  // namespace
}  // namespace sluice::testing
