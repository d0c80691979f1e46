// What a slot of the burst window holds of a packet, and what the host sees of a stage's changes to it.
#include "wasm/window.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: packets read as a table

constexpr uint8_t kOld = 0x5a;  // what an earlier burst left in a slot
constexpr uint8_t kLinkByte = 0xe1;

uint8_t byte_at(uint32_t offset) {
  return static_cast<uint8_t>(offset * 7 + 1);
}

struct Row {
  const char* what;
  uint16_t header_bytes;
  uint16_t length;  ///< from the L3 header
  uint8_t l2_length = 14;
  uint16_t first_segment = UINT16_MAX;  ///< bytes of it in the first segment
  uint16_t l4 = 20, payload = 28, inner_l3 = 0, inner_l4 = 0;
  uint16_t seen_l4 = 20;  ///< as the stage is told
  uint16_t seen_inner_l3 = 0, seen_inner_l4 = 0;
};

/// With a value in every field of PacketMeta that lies beside a slot's.
rte_mbuf* make_packet(TestContext& context, const Row& row) {
  std::vector<uint8_t> bytes(row.length);
  for (uint32_t i = 0; i < row.length; i++) bytes[i] = byte_at(i);
  const auto cut = bytes.begin() + std::min(row.first_segment, row.length);
  rte_mbuf* packet = context.packet(std::vector<uint8_t>(bytes.begin(), cut), 3);
  if (cut != bytes.end()) rte_pktmbuf_chain(packet, context.packet(std::vector<uint8_t>(cut, bytes.end()), 3));
  std::memset(rte_pktmbuf_mtod(packet, uint8_t*) - row.l2_length, kLinkByte, row.l2_length);
  PacketMeta& meta = *meta_of(packet);
  meta.l2_length = row.l2_length;
  meta.passes = 2;
  meta.confirmed = 1;
  meta.gso_size = 1400;
  meta.next_hop = 77;
  meta.family = 4;
  meta.protocol = IPPROTO_UDP;
  meta.flags = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM) | static_cast<uint16_t>(abi::Flag::WRITTEN);
  meta.l4_offset = row.l4;
  meta.payload_offset = row.payload;
  meta.inner_l3_offset = row.inner_l3;
  meta.inner_l4_offset = row.inner_l4;
  meta.hash = 0x12345678;
  meta.out_port = 9;
  meta.ct_state = 2;
  meta.ct_direction = 1;
  meta.table = 254;
  meta.mark = 0xabcd;
  meta.flow = 42;
  meta.fragment_size = 1200;
  std::memset(meta.next_hop_address, 0xee, sizeof(meta.next_hop_address));
  return packet;
}

void expect_slot(const Window& window, uint16_t slot, const Row& row) {
  const uint16_t seen = std::min(row.header_bytes, row.length);
  const SlotMeta& meta = window.meta(slot);
  EXPECT_EQ(meta.verdict, 0);
  EXPECT_EQ(meta.l2_length, row.l2_length);
  EXPECT_EQ(meta.reason, 0);
  EXPECT_EQ(meta.head, abi::kSlotHeadOffset);
  EXPECT_EQ(meta.head_length, seen);
  EXPECT_EQ(meta.packet_length, row.length);
  EXPECT_EQ(meta.family, 4);
  EXPECT_EQ(meta.protocol, IPPROTO_UDP);
  const auto truncated = static_cast<uint16_t>(row.length > seen ? abi::Flag::TRUNCATED_VIEW : abi::Flag{});
  EXPECT_EQ(meta.flags, static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM) | truncated);
  EXPECT_EQ(meta.l4_offset, row.seen_l4);
  EXPECT_EQ(meta.payload_offset, row.payload);
  EXPECT_EQ(meta.inner_l3_offset, row.seen_inner_l3);
  EXPECT_EQ(meta.inner_l4_offset, row.seen_inner_l4);
  EXPECT_EQ(meta.hash, 0x12345678u);
  EXPECT_EQ(meta.in_port, 3);
  EXPECT_EQ(meta.out_port, 9);
  EXPECT_EQ(meta.ct_state, 2);
  EXPECT_EQ(meta.ct_direction, 1);
  EXPECT_EQ(meta.table, 254);
  EXPECT_EQ(meta.mark, 0xabcdu);
  EXPECT_EQ(meta.flow, 42u);
  EXPECT_EQ(meta.spare, 0u);
  for (const uint8_t byte : meta.next_hop) EXPECT_EQ(byte, 0);

  const uint8_t* const head = window.slot(slot) + abi::kSlotHeadOffset;
  for (uint32_t i = 0; i < seen; i++) EXPECT_EQ(head[i], byte_at(i)) << "byte " << i;
  for (uint32_t i = seen; i < abi::kSlotHeadBytesMax; i++) EXPECT_EQ(head[i], kOld) << "byte " << i << ", not seen";
  for (int i = 1; i <= row.l2_length; i++) EXPECT_EQ(head[-i], kLinkByte) << "byte " << i << " before the head";
}

TEST(WindowSlot, HoldsWhatTheStageMaySeeOfAPacket) {
  const Row rows[] = {
      {"the least datagram", 64, 28},
      {"a byte less than a vector", 64, 31},
      {"a vector", 64, 32},
      {"a short frame's", 64, 46},
      {"all but a byte of the view", 64, 63},
      {"as long as the view", 64, 64},
      {"a byte longer than the view", 64, 65},
      {"longer than the view", 64, 1500},
      {"a view of 128 bytes, not filled", 128, 97},
      {"the largest view", 320, 1500},
      {"the largest view, not filled", 320, 319},
      {"no link header", 64, 100, 0},
      {"a tagged link header", 64, 100, 18},
      {"a head in two segments", 64, 100, 14, 30},
      {"a head in one of two segments", 64, 100, 14, 64},
      {"all of a short packet in two segments", 64, 50, 14, 33},
      {"L4 behind the view", 64, 200, 14, UINT16_MAX, 80, 88, 0, 0, 0},
      {"L4 that ends with the view", 64, 200, 14, UINT16_MAX, 56, 64, 0, 0, 56},
      {"L4 that ends behind the view", 64, 200, 14, UINT16_MAX, 57, 65, 0, 0, 0},
      {"no L4", 64, 200, 14, UINT16_MAX, 0, 0, 0, 0, 0},
      {"L4, but no payload that is known", 64, 200, 14, UINT16_MAX, 40, 0, 0, 0, 40},
      {"a quoted packet", 64, 200, 14, UINT16_MAX, 20, 28, 28, 48, 20, 28, 48},
      {"a quoted packet behind the view", 64, 200, 14, UINT16_MAX, 20, 28, 60, 80, 20, 0, 0},
  };
  TestContext context;
  Window window = std::move(Window::create().value());
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    rte_mbuf* packets[] = {make_packet(context, row), make_packet(context, row)};
    const uint16_t second[] = {1};
    std::memset(window.slot(0), kOld, 2 * abi::kSlotStride);
    window.fill_all(1, packets, row.header_bytes);
    window.fill(second, 1, packets, row.header_bytes);
    expect_slot(window, 0, row);
    expect_slot(window, 1, row);
    EXPECT_EQ(window.untouched(2), 2);
    rte_pktmbuf_free_bulk(packets, 2);
  }
}

TEST(WindowSlot, TellsOfEachChangeThatTheHostTakesOver) {
  struct Change {
    const char* what;
    uint32_t offset;
    uint8_t bit;
    bool is_mark;
  };
  constexpr uint8_t kWritten = static_cast<uint8_t>(abi::Flag::WRITTEN);
  constexpr uint8_t kFlowWritten = static_cast<uint8_t>(abi::Flag::FLOW_WRITTEN);
  const Change changes[] = {
      {"header bytes", abi::kSlotFlags, kWritten, true},
      {"the flow slot", abi::kSlotFlags, kFlowWritten, true},
      {"header bytes and the flow slot", abi::kSlotFlags, kWritten | kFlowWritten, true},
      {"another flag", abi::kSlotFlags + 1, 2, false},
      {"the verdict", abi::kSlotVerdict, 1, false},
      {"the head", abi::kSlotHead, 4, false},
      {"the head's length", abi::kSlotHeadLength, 1, false},
      {"the packet's length", abi::kSlotPacketLength, 1, false},
      {"the table", abi::kSlotTable, 1, false},
      {"the mark", abi::kSlotMark + 3, 0x80, false},
  };
  TestContext context;
  Window window = std::move(Window::create().value());
  rte_mbuf* packets[] = {make_packet(context, {"", 64, 100}), make_packet(context, {"", 64, 100})};
  for (const Change& change : changes) {
    SCOPED_TRACE(change.what);
    window.fill_all(2, packets, 64);
    window.slot(1)[change.offset] ^= change.bit;
    EXPECT_EQ(window.untouched(2), 1);
    EXPECT_TRUE(window.change(0).is_none());
    EXPECT_FALSE(window.change(1).is_none());
    EXPECT_EQ(window.change(1).is_mark(), change.is_mark);
    EXPECT_EQ(change.is_mark && window.change(1).is_written(), (change.bit & kWritten) != 0 && change.is_mark);
    if (change.is_mark) {
      window.unmark(1);
    } else {
      window.restore(1);
    }
    EXPECT_EQ(window.untouched(2), 2);
  }
  rte_pktmbuf_free_bulk(packets, 2);
}

TEST(Window, IsSeenByHostAndInstancesAtAddressesAlikeInTheirLower32Bits) {
  const Window window = std::move(Window::create().value());
  EXPECT_EQ(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(window.region().data())), abi::kWindowBase);
}

}  // namespace
}  // namespace sluice
