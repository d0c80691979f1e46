// Super-frames of any shape, wrapped by stages too, are cut: the segments are, byte by byte, what their sender would
// have sent, and what cannot be cut is left as it is.
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "check.h"
#include "fuzz_packets.h"
#include "packets.h"
#include "parse/parse.h"
#include "port/offload.h"
#include "tcp.h"

namespace sluice::fuzz {
namespace {

constexpr size_t kHeadRoom =
    RTE_PKTMBUF_HEADROOM + kPacketRoom - 14;  ///< bytes of a first buffer, behind a link header
constexpr uint16_t kMost = 256;
constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

struct SuperFrame {
  TcpPacket tcp;
  std::vector<Outer> wrapping;  ///< from the inside out
  Bytes link;                   ///< header in the headroom
  uint16_t gso_size = 0, mtu = 0, most = 0;
  size_t first_piece = 0;

  Bytes bytes(const TcpPacket& packet, uint16_t index, bool partial) const {
    Bytes all = packet.bytes(partial);
    for (const Outer& each : wrapping) all = each.before(all, index);
    return all;
  }
  /// Of all headers from the outermost on.
  size_t header_length() const {
    TcpPacket bare = tcp;
    bare.payload.clear();
    return bytes(bare, 0, true).size();
  }
};

SuperFrame super_frame(Source& source) {
  static constexpr uint16_t kMtus[] = {1500, 9000, 1280, 576, 100, 65535, 1450, 68};
  SuperFrame frame;
  frame.tcp = tcp_packet(source, source.below(2));
  frame.tcp.flags = source.rarely(4) ? source.byte() : 0x10;
  frame.tcp.reserved = source.rarely(8) ? source.byte() & 15 : 0;
  frame.tcp.urgent = source.rarely(8) ? source.word() : 0;
  if (source.rarely(4)) frame.tcp.options = Bytes(4 * source.below(11), 1);
  if (source.rarely(4)) {
    if (frame.tcp.v6) {
      const uint8_t units = source.byte();  // one Pad1 after the other
      frame.tcp.ip_options = Bytes(8u * (units + 1u));
      frame.tcp.ip_options[1] = units;
    } else {
      frame.tcp.ip_options = Bytes(4 * source.below(11), 1);
    }
  }
  for (uint32_t i = source.rarely(2) ? source.below(4) : 0; i > 0; i--) frame.wrapping.push_back(outer(source));
  frame.link = source.rarely(2) ? Bytes(14, 0x77) : Bytes{};
  frame.mtu = source.rarely(4) ? source.word() : kMtus[source.below(8)];
  frame.gso_size = source.rarely(4) ? source.word() : static_cast<uint16_t>(500 + 10 * source.byte());
  frame.most = source.rarely(8) ? static_cast<uint16_t>(1 + source.byte()) : kMost;
  const size_t headers = frame.header_length();
  const size_t length = std::min<size_t>(source.rarely(4) ? source.byte() : source.word(), UINT16_MAX - headers);
  frame.tcp.payload = source.bytes(std::min<size_t>(length, 16));
  while (frame.tcp.payload.size() < length) {
    const size_t at = frame.tcp.payload.size();
    frame.tcp.payload.push_back(static_cast<uint8_t>(at * 11 + (at >> 7)));
  }
  frame.first_piece = source.rarely(4) ? headers + source.byte() : kHeadRoom;
  if (source.rarely(32)) frame.first_piece = headers - 1 - source.below(19);
  return frame;
}

/// In buffers as a TAP's frames lie: a first piece, and the rest in jumbo buffers, here in several of any size.
rte_mbuf* received(testing::TestContext& context, const SuperFrame& frame, Source& source) {
  const Bytes bytes = frame.bytes(frame.tcp, 0, true);
  const size_t first = std::min({bytes.size(), frame.first_piece, kHeadRoom});
  // From the buffer's start on, as when stages have used the headroom.
  rte_mbuf* packet = context.packet(Bytes{});
  packet->data_off = 0;
  std::copy(frame.link.begin(), frame.link.end(), rte_pktmbuf_append(packet, static_cast<uint16_t>(frame.link.size())));
  memcpy(rte_pktmbuf_append(packet, static_cast<uint16_t>(first)), bytes.data(), first);
  rte_pktmbuf_adj(packet, static_cast<uint16_t>(frame.link.size()));
  for (size_t at = first; at < bytes.size();) {
    const size_t size = std::min<size_t>(bytes.size() - at, source.rarely(2) ? 1 + source.byte() * 200u : UINT16_MAX);
    rte_mbuf* more = rte_pktmbuf_alloc(context.pools.jumbos);
    FUZZ_CHECK(more != nullptr, "jumbo buffers");
    more->data_off = 0;
    memcpy(rte_pktmbuf_append(more, static_cast<uint16_t>(size)), bytes.data() + at, size);
    FUZZ_CHECK(rte_pktmbuf_chain(packet, more) == 0, "pieces");
    at += size;
  }
  return packet;
}

/// What the parser, the TAP's header and a stage's push say of it.
bool describe(rte_mbuf* packet, const SuperFrame& frame) {
  PacketMeta& meta = *meta_of(packet);
  if (!parse_packet(packet)) return false;
  meta.l2_length = static_cast<uint8_t>(frame.link.size());
  meta.flags |= static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  meta.gso_size = frame.gso_size;
  if (frame.wrapping.empty()) return true;
  const size_t tcp_at = frame.header_length() - 20 - frame.tcp.options.size();
  meta.gso_l4_offset = static_cast<uint16_t>(tcp_at);
  meta.gso_l3_offset = static_cast<uint16_t>(tcp_at - frame.tcp.ip_length());
  return true;
}

/// How many segments there must be of a packet with `contiguous` bytes in its first buffer; 0 when it cannot be cut.
uint32_t expected_count(const SuperFrame& frame, size_t contiguous) {
  const size_t headers = frame.header_length(), total = frame.tcp.payload.size();
  if (frame.gso_size == 0 || headers >= frame.mtu || headers > contiguous || headers > kPacketRoom) return 0;
  const size_t payload = std::min<size_t>(frame.gso_size, frame.mtu - headers);
  const size_t count = std::max<size_t>(1, (total + payload - 1) / payload);
  return count > frame.most ? 0 : static_cast<uint32_t>(count);
}

void check_segment(const SuperFrame& frame, const rte_mbuf* segment, uint16_t index, bool last) {
  const size_t payload = std::min<size_t>(frame.gso_size, frame.mtu - frame.header_length());
  TcpPacket expected = frame.tcp;
  const Bytes& whole = frame.tcp.payload;
  const size_t from = index * payload, to = std::min(whole.size(), from + payload);
  expected.payload = Bytes(whole.begin() + static_cast<long>(from), whole.begin() + static_cast<long>(to));
  expected.sequence += static_cast<uint32_t>(from);
  if (!expected.v6) expected.id = static_cast<uint16_t>(expected.id + index);
  if (!last) expected.flags &= static_cast<uint8_t>(~(kFin | kPsh));
  if (index > 0) expected.flags &= static_cast<uint8_t>(~kCwr);
  const Bytes bytes = testing::bytes_of(segment);
  const Bytes wanted = frame.bytes(expected, index, false);
  FUZZ_CHECK(bytes == wanted, "segment %u is\n%s\nnot\n%s", index, testing::to_hex(bytes.data(), bytes.size()).c_str(),
             testing::to_hex(wanted.data(), wanted.size()).c_str());
  FUZZ_CHECK(bytes.size() <= frame.mtu, "%zu bytes, MTU %u", bytes.size(), frame.mtu);
  const uint8_t* link = rte_pktmbuf_mtod(segment, const uint8_t*) - frame.link.size();
  FUZZ_CHECK(Bytes(link, link + frame.link.size()) == frame.link, "link header of segment %u", index);
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(segment));
  FUZZ_CHECK(!has_flag(meta, abi::Flag::SUPER_FRAME) && !has_flag(meta, abi::Flag::PARTIAL_CHECKSUM) &&
                 meta.gso_size == 0 && meta.gso_l4_offset == 0,
             "flags %x", meta.flags);
  rte_mbuf_sanity_check(segment, 1);
}

void attack(testing::TestContext& context, Source& source) {
  const SuperFrame frame = super_frame(source);
  rte_mbuf* packet = received(context, frame, source);
  if (!describe(packet, frame)) {
    rte_pktmbuf_free(packet);
    return;
  }
  const Bytes before = testing::bytes_of(packet);
  const uint32_t expected = expected_count(frame, packet->data_len);
  rte_mbuf* out[kMost];
  const uint16_t count = segment(packet, frame.mtu, context.pools.packets, out, frame.most);
  FUZZ_CHECK(count == expected, "%u segments, not %u", count, expected);
  if (count == 0) {
    FUZZ_CHECK(testing::bytes_of(packet) == before, "it is as it was");
    rte_pktmbuf_free(packet);
  }
  for (uint16_t i = 0; i < count; i++) check_segment(frame, out[i], i, i + 1 == count);
  for (uint16_t i = 0; i < count; i++) rte_pktmbuf_free(out[i]);
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return sluice::fuzz::fuzz_packets(data, size, sluice::fuzz::attack);
}
