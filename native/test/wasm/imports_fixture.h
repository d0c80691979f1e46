#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "wasm/node.h"

// Stages that call the host's functions, and what came of it.

namespace sluice::testing {

constexpr uint32_t kWritten = static_cast<uint32_t>(abi::Flag::WRITTEN);
constexpr uint32_t kFirstSlot = abi::kWindowBase + abi::kSlotsOffset;

inline std::string n(int64_t value) {
  return "(i32.const " + std::to_string(value) + ")";
}
inline const std::string kSlot = "(local.get $slot)";
inline std::string read_payload(const std::string& slot, int64_t offset, int64_t length) {
  return "(call $read_payload " + slot + n(offset) + n(length) + ")";
}
inline std::string emit(int64_t length, int64_t table = 0) {
  return "(call $emit " + n(length) + n(table) + ")";
}
inline std::string mirror(const std::string& slot, int64_t port, int64_t length = 0) {
  return "(call $mirror " + slot + n(port) + n(length) + ")";
}
/// Of an IPv4 source.
inline std::string source_taken(const std::string& slot, int64_t port, uint32_t address = 0x0a000101) {
  return "(call $source_taken " + slot + "(i64.const 0) (i64.const " + std::to_string(address) + ")" + n(port) + ")";
}
inline std::string to_mark(const std::string& value) {
  return store32(abi::kSlotMark, value);
}
inline std::string payload32(uint32_t offset) {
  return "(i32.load " + i32(abi::kPayloadBase + offset) + ")";
}

inline StageText importing(const std::string& process, nlohmann::json manifest = {}) {
  StageText stage{process};
  stage.imports = kAllImports;
  stage.manifest = manifest.is_null() ? nlohmann::json::object() : std::move(manifest);
  stage.manifest["writes"] = true;
  return stage;
}
inline StageText for_each(const std::string& per_slot, nlohmann::json manifest = {}) {
  return importing(for_each_slot(per_slot), std::move(manifest));
}

/// WAT that puts these bytes at EMIT.
inline std::string put_packet(const std::string& hex) {
  std::string code;
  const std::vector<uint8_t> bytes = from_hex(hex);
  for (uint32_t i = 0; i < bytes.size(); i++) code += "(i32.store8 " + i32(abi::kEmitBase + i) + i32(bytes[i]) + ")";
  return code;
}

/// 29 bytes, UDP from 10.9.9.9 to 10.0.0.1.
inline const std::string kOwn = "4500001d0000000040115cb00a0909090a00000104d204d200090000aa";

inline uint64_t sum_of(const std::vector<uint8_t>& bytes, size_t from, size_t to) {
  uint64_t sum = 0;
  for (size_t i = from; i < to; i++) sum += (i - from) % 2 == 0 ? bytes[i] << 8 : bytes[i];
  return sum;
}
inline uint16_t folded(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}
/// Sum of the pseudo-header of IPv4 (RFC 793 section 3.1) for what follows it from byte 20 on.
inline uint64_t pseudo4(const std::vector<uint8_t>& packet) {
  return sum_of(packet, 12, 20) + packet[9] + (packet.size() - 20);
}

class Imports : public ::testing::Test {
 protected:
  void SetUp() override { buffers = node.context.buffers_in_use(); }
  void TearDown() override {
    node.free_all();
    take_originated();
    worker().flush_all();
    for (const PortId port : {1, 2}) out(port).clear();
    EXPECT_EQ(node.context.buffers_in_use(), buffers);
  }

  WorkerContext& worker() { return node.context.worker; }
  CapturePort& out(PortId port) { return static_cast<CapturePort&>(*node.context.ports.at(port)); }
  void run(const StageText& stage) { node.run({Node::plugin("test", node.add(stage))}); }
  uint32_t mark_of(rte_mbuf* packet) {
    node.burst({packet});
    EXPECT_EQ(node.passed.size(), 1u);
    const uint32_t mark = node.passed.empty() ? 0xdead : meta_of(packet)->mark;
    node.free_all();
    return mark;
  }
  uint32_t mark(const StageText& stage) {
    run(stage);
    return mark_of(node.udp(100));
  }
  TrapInfo trap() { return node.status("test").last_trap.value_or(TrapInfo{}); }

  std::vector<std::string> take_originated() {
    std::vector<std::string> packets;
    for (uint16_t i = 0; i < worker().originated.count; i++) {
      packets.push_back(to_hex(worker().originated.packets[i]));
      rte_pktmbuf_free(worker().originated.packets[i]);
    }
    worker().originated.count = 0;
    return packets;
  }
  /// Frames that left by a port.
  std::vector<std::string> frames(PortId port) {
    worker().flush_all();
    std::vector<std::string> all;
    for (const rte_mbuf* frame : out(port).sent) all.push_back(to_hex(frame));
    out(port).clear();
    return all;
  }

  /// With a link header before it.
  rte_mbuf* received(uint16_t payload = 4) {
    rte_mbuf* packet = node.udp(payload);
    meta_of(packet)->l2_length = 14;
    const std::vector<uint8_t> link = from_hex("0a0a0a0a0a0a 0b0b0b0b0b0b 0800");
    std::memcpy(rte_pktmbuf_mtod(packet, uint8_t*) - 14, link.data(), link.size());
    return packet;
  }
  /// TCP with a partial checksum, 2500 bytes of payload in two buffers.
  rte_mbuf* super_frame() {
    std::vector<uint8_t> bytes =
        from_hex("450009ec0000400040060000 0a000001 0a000002 03e807d0 00000001 00000001 50180100 00000000");
    bytes.resize(40 + 2500);
    for (size_t i = 40; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(i * 7);
    const uint16_t header = static_cast<uint16_t>(~folded(sum_of(bytes, 0, 20)));
    bytes[10] = static_cast<uint8_t>(header >> 8);
    bytes[11] = static_cast<uint8_t>(header);
    const uint16_t partial = folded(pseudo4(bytes));
    bytes[36] = static_cast<uint8_t>(partial >> 8);
    bytes[37] = static_cast<uint8_t>(partial);
    rte_mbuf* packet = node.context.packet(std::vector<uint8_t>(bytes.begin(), bytes.begin() + 1000), 1);
    rte_mbuf* rest = node.context.packet(std::vector<uint8_t>(bytes.begin() + 1000, bytes.end()), 1);
    EXPECT_EQ(rte_pktmbuf_chain(packet, rest), 0);
    PacketMeta& meta = *meta_of(packet);
    meta.family = 4;
    meta.protocol = IPPROTO_TCP;
    meta.l4_offset = 20;
    meta.payload_offset = 40;
    meta.gso_size = 1000;
    meta.flags = static_cast<uint16_t>(abi::Flag::SUPER_FRAME) | static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
    return packet;
  }

  Node node;
  uint32_t buffers = 0;
};

}  // namespace sluice::testing
