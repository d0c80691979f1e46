#include "parse/segments.h"

#include <gtest/gtest.h>

#include <cstring>

#include "parse/parse.h"
#include "testing/eal.h"
#include "testing/frames.h"

namespace sluice {
namespace {

using namespace testing;

/// A packet in segments of the given sizes, counting up from 0.
rte_mbuf* segmented(TestContext& context, const Bytes& bytes, const std::vector<size_t>& sizes) {
  rte_mbuf* head = nullptr;
  size_t at = 0;
  for (const size_t size : sizes) {
    const auto from = bytes.begin() + static_cast<long>(at);
    rte_mbuf* segment = context.packet(Bytes(from, from + static_cast<long>(size)));
    if (head == nullptr) {
      head = segment;
    } else {
      EXPECT_EQ(rte_pktmbuf_chain(head, segment), 0);
    }
    at += size;
  }
  return head;
}

const Bytes kFrame = behind(kEthernet4, ip4({17, "03e807d0 000c0000 61626364"}));  // 46 bytes

TEST(Segments, HeadersSplitAnywhereAreReadAsWhole) {
  TestContext context;
  for (size_t split = 0; split <= kFrame.size(); split++) {
    SCOPED_TRACE(split);
    rte_mbuf* frame = segmented(context, kFrame, {split, kFrame.size() - split});
    ASSERT_EQ(parse_frame(frame), Parsed::Ip) << abi::kDropReasonNames[meta_of(frame)->reason];
    EXPECT_EQ(meta_of(frame)->l4_offset, 20);
    EXPECT_EQ(frame->data_len, 32) << "headers are in the first segment";
    EXPECT_EQ(to_hex(frame), hex(Bytes(kFrame.begin() + 14, kFrame.end())));
    rte_pktmbuf_free(frame);
  }
  EXPECT_EQ(context.buffers_in_use(), 0u);
}

TEST(Segments, PaddingIsCutAcrossSegments) {
  TestContext context;
  Bytes padded = kFrame;
  padded.resize(60);
  rte_mbuf* frame = segmented(context, padded, {30, 20, 10});
  ASSERT_EQ(parse_frame(frame), Parsed::Ip);
  EXPECT_EQ(frame->pkt_len, 32u);
  EXPECT_EQ(frame->nb_segs, 1);
  EXPECT_EQ(to_hex(frame), hex(Bytes(kFrame.begin() + 14, kFrame.end())));
  rte_pktmbuf_free(frame);
  EXPECT_EQ(context.buffers_in_use(), 0u) << "cut segments are freed";
}

TEST(Segments, CutToKeepsExactlyTheAskedLength) {
  TestContext context;
  for (uint32_t length = 0; length <= 47; length++) {
    rte_mbuf* packet = segmented(context, kFrame, {10, 20, 16});
    cut_to(packet, length);
    const size_t expected = std::min<size_t>(length, kFrame.size());
    EXPECT_EQ(packet->pkt_len, expected);
    EXPECT_EQ(to_hex(packet), hex(Bytes(kFrame.begin(), kFrame.begin() + static_cast<long>(expected))));
    rte_pktmbuf_free(packet);
  }
  EXPECT_EQ(context.buffers_in_use(), 0u);
}

TEST(Segments, PullUpRefusesWhatThePacketHasNot) {
  TestContext context;
  rte_mbuf* packet = segmented(context, kFrame, {10, 36});
  EXPECT_FALSE(pull_up(packet, 47));
  EXPECT_EQ(packet->data_len, 10);
  EXPECT_TRUE(pull_up(packet, 46));
  EXPECT_EQ(packet->nb_segs, 1);
  rte_pktmbuf_free(packet);
}

}  // namespace
}  // namespace sluice
