#include "port/offload.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "core/packet.h"
#include "fixtures.h"
#include "port/checksum.h"
#include "testing/eal.h"

namespace sluice::testing {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr uint16_t kPartial = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
constexpr uint16_t kSuper = static_cast<uint16_t>(abi::Flag::SUPER_FRAME);

/// RFC 1071 word for word: big-endian 16-bit words, carries added at the end.
uint16_t reference_sum(const Bytes& bytes, size_t from = 0, uint32_t sum = 0) {
  for (size_t i = from; i < bytes.size(); i++) sum += (i - from) % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t word(const Bytes& bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
uint32_t long_word(const Bytes& bytes, size_t at) {
  return uint32_t{word(bytes, at)} << 16 | word(bytes, at + 2);
}
void put(Bytes& bytes, size_t at, uint16_t value) {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

uint16_t pseudo_sum(const Bytes& packet, size_t l4, uint8_t protocol) {
  const bool v4 = packet[0] >> 4 == 4;
  Bytes pseudo(packet.begin() + (v4 ? 12 : 8), packet.begin() + (v4 ? 20 : 40));
  const size_t length = packet.size() - l4;
  for (const size_t byte : {size_t{0}, size_t{protocol}, length >> 8, length & 0xff}) pseudo.push_back(byte);
  return reference_sum(pseudo);
}

/// All ones (as the number zero) when the L4 checksum is right.
uint16_t verify(const Bytes& packet, size_t l4, uint8_t protocol) {
  return reference_sum(packet, l4, pseudo_sum(packet, l4, protocol));
}

Bytes flat(const rte_mbuf* packet) {
  Bytes bytes;
  for (; packet != nullptr; packet = packet->next) {
    const auto* data = rte_pktmbuf_mtod(packet, const uint8_t*);
    bytes.insert(bytes.end(), data, data + packet->data_len);
  }
  return bytes;
}

/// The packet in buffers that hold `sizes` bytes each; the last one takes what is left.
rte_mbuf* packet_in(const Bytes& bytes, const std::vector<size_t>& sizes) {
  rte_mbuf* packet = nullptr;
  size_t done = 0;
  for (size_t i = 0; i <= sizes.size() && done < bytes.size(); i++) {
    const size_t here = i < sizes.size() ? std::min(sizes[i], bytes.size() - done) : bytes.size() - done;
    rte_mbuf* part = rte_pktmbuf_alloc(here <= kPacketRoom ? pools().packets : pools().jumbos);
    if (here > kPacketRoom) part->data_off = 0;
    memcpy(rte_pktmbuf_append(part, here), bytes.data() + done, here);
    done += here;
    if (packet == nullptr) {
      packet = part;
      memset(static_cast<void*>(meta_of(packet)), 0, sizeof(PacketMeta));
    } else {
      rte_pktmbuf_chain(packet, part);
    }
  }
  return packet;
}

Bytes counting(size_t length) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; i++) bytes[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  return bytes;
}

/// IP headers of both families, with and without options and extension headers; lengths and checksum are filled in.
struct Headers {
  const char* what;
  std::string hex;
  size_t protocol_at;
};
const Headers kIpv4{"IPv4", "45000000 1234 4000 4006 0000 0a010102 0a020203", 9};
const Headers kIpv4Options{"IPv4 with options", "47000000 fffe 4000 4006 0000 0a010102 0a020203 9404000001010100", 9};
const Headers kIpv6{"IPv6", "60000000 0000 0640 fd010000000000000000000000000002 fd020000000000000000000000000003", 6};
const Headers kIpv6Extension{
    "IPv6 with a destination options header",
    "60000000 0000 3c40 fd010000000000000000000000000002 fd020000000000000000000000000003 0600010400000000", 40};

/// The packet, with a partial checksum: the field holds the sum of the pseudo-header.
Bytes build(const Headers& ip, uint8_t protocol, const Bytes& l4, size_t checksum_at) {
  Bytes packet = from_hex(ip.hex);
  packet[ip.protocol_at] = protocol;
  const size_t l4_offset = packet.size();
  packet.insert(packet.end(), l4.begin(), l4.end());
  if (packet[0] >> 4 == 4) {
    put(packet, 2, static_cast<uint16_t>(packet.size()));
    put(packet, 10, static_cast<uint16_t>(~reference_sum(Bytes(packet.begin(), packet.begin() + l4_offset))));
  } else {
    put(packet, 4, static_cast<uint16_t>(packet.size() - 40));
  }
  put(packet, l4_offset + checksum_at, 0);
  put(packet, l4_offset + checksum_at, pseudo_sum(packet, l4_offset, protocol));
  return packet;
}

Bytes tcp(uint32_t sequence, uint8_t flags, bool timestamps, size_t payload) {
  Bytes header = from_hex("1f90c350 00000000 00000001 5000 7210 0000 0000");
  for (int i = 0; i < 4; i++) header[4 + i] = static_cast<uint8_t>(sequence >> (24 - 8 * i));
  header[13] = flags;
  if (timestamps) {
    header[12] = 0x80;
    const Bytes options = from_hex("0101080a 01020304 05060708");
    header.insert(header.end(), options.begin(), options.end());
  }
  const Bytes data = counting(payload);
  header.insert(header.end(), data.begin(), data.end());
  return header;
}

void mark(rte_mbuf* packet, const Headers& ip, uint8_t protocol, uint16_t flags, uint16_t gso_size = 0) {
  PacketMeta& meta = *meta_of(packet);
  meta.protocol = protocol;
  meta.l4_offset = static_cast<uint16_t>(from_hex(ip.hex).size());
  meta.flags = flags;
  meta.gso_size = gso_size;
  meta.mark = 0x5eed;
}

struct ChecksumRow {
  Headers ip;
  uint8_t protocol;
  size_t length;  ///< of the payload
  std::vector<size_t> buffers;
};

TEST(Checksum, IsCompletedInSoftware) {
  const ChecksumRow rows[] = {
      {kIpv4, IPPROTO_TCP, 0, {}},
      {kIpv4, IPPROTO_TCP, 1, {}},
      {kIpv4, IPPROTO_TCP, 1448, {}},
      {kIpv4, IPPROTO_TCP, 1448, {101}},
      {kIpv4, IPPROTO_TCP, 1447, {101, 7, 1}},
      {kIpv4, IPPROTO_TCP, 40000, {2034}},
      {kIpv4Options, IPPROTO_UDP, 33, {}},
      {kIpv4, IPPROTO_UDP, 1, {40, 1}},
      {kIpv6, IPPROTO_TCP, 1300, {77, 77}},
      {kIpv6, IPPROTO_UDP, 1301, {77, 77}},
      {kIpv6Extension, IPPROTO_UDP, 999, {}},
  };
  for (const ChecksumRow& row : rows) {
    const bool is_tcp = row.protocol == IPPROTO_TCP;
    SCOPED_TRACE(std::string(row.ip.what) + (is_tcp ? " TCP " : " UDP ") + std::to_string(row.length));
    Bytes l4 = is_tcp ? tcp(7, 0x10, true, row.length) : from_hex("14e9 0035 0000 0000");
    if (!is_tcp) {
      const Bytes data = counting(row.length);
      l4.insert(l4.end(), data.begin(), data.end());
      put(l4, 4, static_cast<uint16_t>(l4.size()));
    }
    rte_mbuf* packet = packet_in(build(row.ip, row.protocol, l4, is_tcp ? 16 : 6), row.buffers);
    mark(packet, row.ip, row.protocol, kPartial);
    EXPECT_TRUE(complete_checksum(packet));
    EXPECT_EQ(verify(flat(packet), meta_of(packet)->l4_offset, row.protocol), 0xffff);
    EXPECT_EQ(meta_of(packet)->flags, 0);
    rte_pktmbuf_free(packet);
  }
}

TEST(Checksum, OfUdpIsNeverZero) {
  Bytes l4 = from_hex("0000 0000 000a 0000 0000");
  Bytes bytes = build(kIpv4, IPPROTO_UDP, l4, 6);
  put(bytes, 28, static_cast<uint16_t>(~reference_sum(bytes, 20)));  // makes the whole sum all ones
  rte_mbuf* packet = packet_in(bytes, {});
  mark(packet, kIpv4, IPPROTO_UDP, kPartial);
  EXPECT_TRUE(complete_checksum(packet));
  EXPECT_EQ(word(flat(packet), 26), 0xffff);
  rte_pktmbuf_free(packet);
}

TEST(Checksum, OfAnUnknownProtocolIsRefused) {
  const Bytes bytes = build(kIpv4, IPPROTO_TCP, tcp(1, 0x10, false, 10), 16);
  rte_mbuf* packet = packet_in(bytes, {});
  mark(packet, kIpv4, IPPROTO_GRE, kPartial);
  EXPECT_FALSE(complete_checksum(packet));
  EXPECT_EQ(flat(packet), bytes);
  rte_pktmbuf_free(packet);
}

TEST(Checksum, OfSctpIsCrc32c) {
  const Bytes bytes = from_hex(
      "45020044 00004000 40843c71 0a010102 0a020203"
      "1f90c350 00000000 00000000 01000024 0f0f0f0f 0001a000 000affff 01020304 c0000004 80080005 c0800000");
  uint32_t crc = UINT32_MAX;  // bit by bit, as RFC 9260's appendix A has it
  for (size_t i = 20; i < bytes.size(); i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) ? 0x82f63b78 : 0);
  }
  crc = ~crc;
  for (const std::vector<size_t>& buffers : {std::vector<size_t>{}, {33}, {20, 13}}) {
    rte_mbuf* packet = packet_in(bytes, buffers);
    mark(packet, kIpv4, IPPROTO_SCTP, 0);
    EXPECT_TRUE(complete_sctp_checksum(packet));
    const Bytes done = flat(packet);
    for (int i = 0; i < 4; i++) EXPECT_EQ(done[28 + i], (crc >> (8 * i)) & 0xff);
    rte_pktmbuf_free(packet);
  }
}

struct SegmentRow {
  const char* what;
  Headers ip;
  bool timestamps;
  uint8_t flags;
  size_t payload;
  uint16_t gso_size;
  uint16_t mtu;
  size_t segments;
  std::vector<size_t> buffers;
};

const SegmentRow kSegmentRows[] = {
    {"full 64 KiB", kIpv4, true, 0x18, 65535 - 52, 1448, 1500, 46, {2034}},
    {"IPv6", kIpv6, true, 0x18, 60000, 1428, 1500, 43, {2034}},
    {"exact multiple", kIpv4, false, 0x19, 4380, 1460, 1500, 3, {2034}},
    {"one byte more", kIpv4, false, 0x19, 4381, 1460, 1500, 4, {2034}},
    {"smaller MTU than the sender's", kIpv4, true, 0x18, 20000, 1448, 1400, 15, {2034}},
    {"options and a wrapping id", kIpv4Options, true, 0x98, 9000, 1440, 1500, 7, {1000, 777}},
    {"extension header", kIpv6Extension, false, 0x99, 9001, 1412, 1500, 7, {2034}},
    {"odd payload size and odd buffers", kIpv4, true, 0x18, 10001, 1447, 1500, 7, {333, 1001, 5}},
    {"segments larger than a buffer", kIpv4, true, 0x18, 40000, 8948, 9000, 5, {2034}},
    {"one segment", kIpv6, true, 0x19, 700, 1428, 1500, 1, {}},
    {"sequence numbers wrap", kIpv4, false, 0x10, 3000, 1000, 1500, 3, {}},
};

constexpr uint32_t kSequence = 0xfffffc00;

TEST(Segment, CutsSuperFramesAsTheKernelWould) {
  for (const SegmentRow& row : kSegmentRows) {
    SCOPED_TRACE(row.what);
    const Bytes whole = build(row.ip, IPPROTO_TCP, tcp(kSequence, row.flags, row.timestamps, row.payload), 16);
    const size_t l4 = from_hex(row.ip.hex).size();
    const size_t headers = l4 + (row.timestamps ? 32 : 20);
    rte_mbuf* packet = packet_in(whole, row.buffers);
    mark(packet, row.ip, IPPROTO_TCP, kPartial | kSuper, row.gso_size);
    rte_mbuf* out[64];
    const uint16_t count = segment(packet, row.mtu, pools().packets, out, 64);
    ASSERT_EQ(count, row.segments);
    Bytes payload;
    for (uint16_t i = 0; i < count; i++) {
      SCOPED_TRACE(i);
      const Bytes part = flat(out[i]);
      EXPECT_EQ(part.size(), out[i]->pkt_len);
      EXPECT_LE(part.size(), row.mtu);
      EXPECT_LE(part.size() - headers, row.gso_size);
      if (row.ip.hex[0] == '4') {
        EXPECT_EQ(word(part, 2), part.size());
        EXPECT_EQ(word(part, 4), static_cast<uint16_t>(word(whole, 4) + i));
        EXPECT_EQ(reference_sum(Bytes(part.begin(), part.begin() + l4)), 0xffff);
      } else {
        EXPECT_EQ(word(part, 4), part.size() - 40);
      }
      EXPECT_EQ(long_word(part, l4 + 4), static_cast<uint32_t>(kSequence + payload.size()));
      const uint8_t middle = row.flags & ~(0x09 | 0x80);
      const uint8_t first = i == 0 ? row.flags & 0x80 : 0, last = i == count - 1 ? row.flags & 0x09 : 0;
      EXPECT_EQ(part[l4 + 13], middle | first | last);
      EXPECT_EQ(Bytes(part.begin() + l4 + 14, part.begin() + l4 + 16),
                Bytes(whole.begin() + l4 + 14, whole.begin() + l4 + 16));
      EXPECT_EQ(verify(part, l4, IPPROTO_TCP), 0xffff);
      EXPECT_EQ(meta_of(out[i])->flags, 0);
      EXPECT_EQ(meta_of(out[i])->gso_size, 0);
      EXPECT_EQ(meta_of(out[i])->mark, 0x5eedu);
      payload.insert(payload.end(), part.begin() + headers, part.end());
      rte_pktmbuf_free(out[i]);
    }
    EXPECT_EQ(payload, Bytes(whole.begin() + headers, whole.end()));
  }
}

/// Headers before a super-frame's own. Lengths and checksums in them are those of any packet: segment() makes them fit.
struct WrappedRow {
  const char* what;
  const char* wrapping;
  std::vector<size_t> ip_offsets;
  Headers ip;
  size_t payload;
  uint16_t gso_size;
  size_t segments;
};

const char* const kSrv6 =
    "60000000 0000 2b40 fd310000000000000000000000000001 fc0000020000000000000000000000d4"
    "0402 0400 0000 0000 fc0000020000000000000000000000d4";
const char* const kIpip = "45000000 8001 0000 4004 0000 c0000201 c0000202";

const WrappedRow kWrappedRows[] = {
    {"IPv4 in SRv6", kSrv6, {0}, kIpv4, 30000, 1384, 22},
    {"IPv4 in SRv6, segments smaller than the sender's", kSrv6, {0}, kIpv4, 30000, 1448, 22},
    {"IPv4 in IPv4", kIpip, {0}, kIpv4, 10000, 1428, 8},
    {"IPv4 in IPv4 in IPv4",
     "45000000 0001 0000 4004 0000 c0000201 c0000202 45000000 8001 0000 4004 0000 c0000201 c0000202",
     {0, 20},
     kIpv4,
     10000,
     1408,
     8},
};

TEST(Segment, CutsInsideWhatStagesWrapped) {
  for (const WrappedRow& row : kWrappedRows) {
    SCOPED_TRACE(row.what);
    const Bytes inner = build(row.ip, IPPROTO_TCP, tcp(kSequence, 0x18, true, row.payload), 16);
    Bytes whole = from_hex(row.wrapping);
    const size_t l3 = whole.size(), l4 = l3 + from_hex(row.ip.hex).size(), headers = l4 + 32;
    whole.insert(whole.end(), inner.begin(), inner.end());
    rte_mbuf* packet = packet_in(whole, {2034});
    mark(packet, row.ip, IPPROTO_IPIP, kPartial | kSuper, row.gso_size);
    meta_of(packet)->gso_l3_offset = static_cast<uint16_t>(l3);
    meta_of(packet)->gso_l4_offset = static_cast<uint16_t>(l4);
    rte_mbuf* out[64];
    const uint16_t count = segment(packet, 1500, pools().packets, out, 64);
    ASSERT_EQ(count, row.segments);
    Bytes payload;
    for (uint16_t i = 0; i < count; i++) {
      SCOPED_TRACE(i);
      const Bytes part = flat(out[i]);
      EXPECT_LE(part.size(), 1500u);
      for (const size_t at : row.ip_offsets) {
        if (part[at] >> 4 == 6) {
          EXPECT_EQ(word(part, at + 4), part.size() - at - 40);
          continue;
        }
        EXPECT_EQ(word(part, at + 2), part.size() - at);
        EXPECT_EQ(reference_sum(Bytes(part.begin() + at, part.begin() + at + 20)), 0xffff);
      }
      const Bytes carried(part.begin() + l3, part.end());
      EXPECT_EQ(word(carried, 2), carried.size());
      EXPECT_EQ(reference_sum(Bytes(carried.begin(), carried.begin() + 20)), 0xffff);
      EXPECT_EQ(verify(carried, l4 - l3, IPPROTO_TCP), 0xffff);
      EXPECT_EQ(meta_of(out[i])->gso_l4_offset, 0);
      payload.insert(payload.end(), part.begin() + headers, part.end());
      rte_pktmbuf_free(out[i]);
    }
    EXPECT_EQ(payload, Bytes(whole.begin() + headers, whole.end()));
  }
}

TEST(Segment, RefusesAWrappingThatIsNotIpInIp) {
  Bytes whole = from_hex("45000000 8001 0000 4011 0000 c0000201 c0000202 12b512b5 00000000");  // IPv4 and UDP
  const size_t l3 = whole.size();
  const Bytes inner = build(kIpv4, IPPROTO_TCP, tcp(1, 0x18, true, 10000), 16);
  whole.insert(whole.end(), inner.begin(), inner.end());
  rte_mbuf* packet = packet_in(whole, {2034});
  mark(packet, kIpv4, IPPROTO_UDP, kPartial | kSuper, 1400);
  meta_of(packet)->gso_l3_offset = static_cast<uint16_t>(l3);
  meta_of(packet)->gso_l4_offset = static_cast<uint16_t>(l3 + 20);
  rte_mbuf* out[64];
  EXPECT_EQ(segment(packet, 1500, pools().packets, out, 64), 0);
  EXPECT_EQ(flat(packet), whole);
  rte_pktmbuf_free(packet);
}

TEST(Segment, RefusesWhatItCannotCutAndLeavesItAlone) {
  const Bytes whole = build(kIpv4, IPPROTO_TCP, tcp(1, 0x18, true, 10000), 16);
  struct Row {
    const char* what;
    uint16_t flags, gso_size, mtu, max;
    uint8_t protocol;
    uint16_t first_buffer;
  };
  const Row rows[] = {
      {"no super-frame", kPartial, 1448, 1500, 64, IPPROTO_TCP, 2034},
      {"no partial checksum", kSuper, 1448, 1500, 64, IPPROTO_TCP, 2034},
      {"no segment size", kPartial | kSuper, 0, 1500, 64, IPPROTO_TCP, 2034},
      {"no TCP", kPartial | kSuper, 1448, 1500, 64, IPPROTO_UDP, 2034},
      {"no room in the array", kPartial | kSuper, 1448, 1500, 6, IPPROTO_TCP, 2034},
      {"MTU of the headers", kPartial | kSuper, 1448, 52, 64, IPPROTO_TCP, 2034},
      {"headers in two buffers", kPartial | kSuper, 1448, 1500, 64, IPPROTO_TCP, 45},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    rte_mbuf* packet = packet_in(whole, {row.first_buffer});
    mark(packet, kIpv4, row.protocol, row.flags, row.gso_size);
    rte_mbuf* out[64];
    EXPECT_EQ(segment(packet, row.mtu, pools().packets, out, row.max), 0);
    EXPECT_EQ(flat(packet), whole);
    EXPECT_EQ(meta_of(packet)->flags, row.flags);
    rte_pktmbuf_free(packet);
  }
}

// A pod sends as many extension headers as a buffer holds, and a stage pushes more into the headroom.
TEST(Segment, LeavesHeadersAloneThatFillMoreThanANewBuffersRoom) {
  std::string options = "06fb";
  for (int i = 2; i < 8 * 252; i++) options += "00";  // Pad1
  const Headers ip{"IPv6", kIpv6.hex + options, 40};
  Bytes whole = build(ip, IPPROTO_TCP, tcp(1, 0x18, false, 60), 16);
  whole[6] = IPPROTO_DSTOPTS;
  rte_mbuf* packet = rte_pktmbuf_alloc(pools().packets);
  packet->data_off = 0;
  memcpy(rte_pktmbuf_append(packet, static_cast<uint16_t>(whole.size())), whole.data(), whole.size());
  memset(static_cast<void*>(meta_of(packet)), 0, sizeof(PacketMeta));
  mark(packet, ip, IPPROTO_TCP, kPartial | kSuper, 10);
  rte_mbuf* out[64];
  EXPECT_EQ(segment(packet, 9000, pools().packets, out, 64), 0);
  EXPECT_EQ(flat(packet), whole);
  rte_pktmbuf_free(packet);
}

TEST(Segment, OutOfBuffersLeavesNothingBehind) {
  auto few = make_buffer_pools("few", 20, 1);
  ASSERT_TRUE(few.ok());
  rte_mbuf* packet = packet_in(build(kIpv4, IPPROTO_TCP, tcp(1, 0x18, true, 60000), 16), {2034});
  mark(packet, kIpv4, IPPROTO_TCP, kPartial | kSuper, 1448);
  rte_mbuf* out[64];
  EXPECT_EQ(segment(packet, 1500, few.value().packets, out, 64), 0);
  EXPECT_EQ(rte_mempool_in_use_count(few.value().packets), 0u);
  rte_pktmbuf_free(packet);
  free_buffer_pools(few.value());
}

TEST(Segment, CostIsShown) {
  constexpr int kRounds = 300;
  const Bytes whole = build(kIpv4, IPPROTO_TCP, tcp(1, 0x18, true, 65535 - 52), 16);
  uint64_t least = UINT64_MAX, least_sum = UINT64_MAX;
  uint16_t segments = 0;
  for (int round = 0; round < kRounds; round++) {
    rte_mbuf* packet = packet_in(whole, {2034});
    mark(packet, kIpv4, IPPROTO_TCP, kPartial | kSuper, 1448);
    rte_mbuf* out[64];
    uint64_t start = rte_rdtsc();
    const uint64_t sum = sum_packet(packet, 20, packet->pkt_len - 20);
    least_sum = std::min(least_sum, rte_rdtsc() - start);
    EXPECT_NE(sum, 0u);
    start = rte_rdtsc();
    segments = segment(packet, 1500, pools().packets, out, 64);
    least = std::min(least, rte_rdtsc() - start);
    for (uint16_t i = 0; i < segments; i++) rte_pktmbuf_free(out[i]);
  }
  ASSERT_EQ(segments, 46);
  std::printf("[ cycles   ] %.0f a segment of 1448 bytes; checksum alone %.2f bytes a cycle\n",
              double(least) / segments, 65515.0 / double(least_sum));
}

}  // namespace
}  // namespace sluice::testing
