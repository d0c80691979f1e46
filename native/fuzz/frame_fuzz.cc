// Parsing: no read outside the packet, facts that hold, and one opinion, however the packet lies in memory.
#include <cstring>

#include "check.h"
#include "frames.h"
#include "fuzz_packets.h"
#include "parse/ip.h"
#include "parse/parse.h"
#include "parse/plain.h"
#include "testing/eal.h"
#include "testing/frames.h"

namespace sluice::fuzz {
namespace {

const Plan kPlan{
    {{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 1, 2}, {127, 0, 0, 1}, {224, 0, 0, 1}, {255, 255, 255, 255}, {0, 0, 0, 0}},
    {testing::from_hex("20010db8000000000000000000000001"), testing::from_hex("20010db8000000000000000000000002"),
     testing::from_hex("fe800000000000000000000000000001"), testing::from_hex("ff020000000000000000000000000001"),
     Bytes(16, 0), testing::from_hex("00000000000000000000000000000001")},
    {0, 53, 80, 4789, 40000},
    {2, 0, 0, 0, 0, 1}};

/// Offsets lie within the packet, in their order.
void check_facts(const rte_mbuf* packet, const PacketMeta& meta) {
  const uint32_t length = packet->pkt_len;
  FUZZ_CHECK(meta.family == 4 || meta.family == 6, "family %u", meta.family);
  FUZZ_CHECK(packet->data_len > 0, "no byte in the first segment");
  FUZZ_CHECK(meta.l4_offset <= length && meta.payload_offset <= length, "L4 at %u, payload at %u of %u", meta.l4_offset,
             meta.payload_offset, length);
  FUZZ_CHECK(meta.l4_offset == 0 || meta.l4_offset < packet->data_len, "L4 header at %u of %u in the first segment",
             meta.l4_offset, packet->data_len);
  FUZZ_CHECK(meta.payload_offset == 0 || meta.payload_offset >= meta.l4_offset, "payload at %u, L4 at %u",
             meta.payload_offset, meta.l4_offset);
  FUZZ_CHECK(meta.inner_l3_offset <= length && meta.inner_l4_offset <= length, "quoted packet at %u and %u of %u",
             meta.inner_l3_offset, meta.inner_l4_offset, length);
  FUZZ_CHECK(meta.inner_l4_offset == 0 || meta.inner_l4_offset > meta.inner_l3_offset, "quoted L3 at %u, L4 at %u",
             meta.inner_l3_offset, meta.inner_l4_offset);
}

void check_same(const PacketMeta& a, const PacketMeta& b, const char* what) {
  const bool same = a.family == b.family && a.protocol == b.protocol && a.flags == b.flags && a.hash == b.hash &&
                    a.l4_offset == b.l4_offset && a.payload_offset == b.payload_offset &&
                    a.inner_l3_offset == b.inner_l3_offset && a.inner_l4_offset == b.inner_l4_offset;
  FUZZ_CHECK(same, "%s: protocol %u and %u, L4 at %u and %u, payload at %u and %u, hash %08x and %08x", what,
             a.protocol, b.protocol, a.l4_offset, b.l4_offset, a.payload_offset, b.payload_offset, a.hash, b.hash);
}

/// The straight-line parser for plain packets accepts nothing but what the general one does, with the same facts.
void check_plain(const Bytes& frame) {
  testing::ExactPacket packet(frame);
  if (!plain::parse_frame(packet.get(), packet.meta())) return;
  testing::ExactPacket again(Bytes(frame.begin() + packet.meta().l2_length, frame.end()));
  const bool taken =
      packet.meta().family == 4 ? parse_ipv4(again.get(), again.meta()) : parse_ipv6(again.get(), again.meta());
  FUZZ_CHECK(taken, "the general parser refuses it, reason %u", again.meta().reason);
  FUZZ_CHECK(again.get()->pkt_len == packet.get()->pkt_len, "%u and %u bytes", again.get()->pkt_len,
             packet.get()->pkt_len);
  check_same(packet.meta(), again.meta(), "plain and general");
}

/// Of a packet in several pieces the parser has this much in one; headers that go on behind it are refused.
constexpr uint32_t kHeaderView = 512;
constexpr uint32_t kQuotedL4 = 8;  ///< bytes that the parser reads of a quoted packet's L4 header

/// Some of the headers may lie behind the view.
bool long_headers(uint32_t length, const PacketMeta& facts) {
  if (length <= kHeaderView) return false;
  uint32_t end = facts.payload_offset;
  if (facts.inner_l3_offset != 0) end = facts.inner_l3_offset + kHeaderView / 2;
  if (facts.inner_l4_offset != 0) end = facts.inner_l4_offset + kQuotedL4;  // behind extension headers of any length
  return end == 0 || end > kHeaderView;
}

/// The same frame in pieces.
void check_segmented(testing::TestContext& context, const Bytes& frame, Source& source, Parsed whole,
                     const PacketMeta& facts) {
  rte_mbuf* packet = nullptr;
  for (size_t at = 0; at < frame.size();) {
    const size_t size = std::min<size_t>(frame.size() - at, 1 + source.byte());
    rte_mbuf* part =
        context.packet(Bytes(frame.begin() + static_cast<long>(at), frame.begin() + static_cast<long>(at + size)));
    at += size;
    if (packet == nullptr) {
      packet = part;
    } else if (rte_pktmbuf_chain(packet, part) != 0) {
      rte_pktmbuf_free(part);
      break;
    }
  }
  if (packet == nullptr) return;
  if (packet->pkt_len == frame.size() && !long_headers(packet->pkt_len, facts)) {
    const Parsed parsed = parse_frame(packet);
    FUZZ_CHECK(parsed == whole, "whole %d, in pieces %d, reason %u", static_cast<int>(whole), static_cast<int>(parsed),
               meta_of(packet)->reason);
    if (parsed == Parsed::Ip) {
      check_facts(packet, *meta_of(packet));
      check_same(facts, *meta_of(packet), "whole and in pieces");
    }
  }
  rte_pktmbuf_free(packet);
}

void attack(testing::TestContext& context, Source& source) {
  const Bytes bytes = frame(source, kPlan).bytes;
  testing::ExactPacket packet(bytes);
  const Parsed parsed = parse_frame(packet.get());
  if (parsed == Parsed::Ip) check_facts(packet.get(), packet.meta());
  check_plain(bytes);
  if (!bytes.empty()) check_segmented(context, bytes, source, parsed, packet.meta());
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return sluice::fuzz::fuzz_packets(data, size, sluice::fuzz::attack);
}
