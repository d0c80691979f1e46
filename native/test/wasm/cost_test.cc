// What an empty stage costs a packet, window copies and checks included. The bound is far above what it is, for busy
// machines; the figures are printed.
//
// On a 2-thread AMD EPYC at 2.1 GHz (TSC) whose other hardware thread was busy, bursts of 32: 29 cycles with 64 header
// bytes, 32 with 128, and 11 to 12 for each further stage of the chain; 150 of a call are the burst's own. Without
// hugepages, as here, buffers are 4096 bytes apart and fight for the same cache sets; 2496 bytes apart, as in
// hugepages, filling the window takes 13 and checking it 3 of those cycles, where a bare copy of the same bytes in C++
// takes 9.
#include <gtest/gtest.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstdio>

#include "testing/sanitized.h"
#include "wasm/node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

double cycles_a_packet(Node& node, uint16_t burst, uint16_t payload) {
  constexpr int kRounds = 2000, kRepeats = 9;
  std::vector<rte_mbuf*> packets;
  for (uint16_t i = 0; i < burst; i++) {
    packets.push_back(node.udp(payload));
    meta_of(packets.back())->l2_length = 14;
    meta_of(packets.back())->flow = 1 + i % Node::kFlows;
  }
  double best = 1e9;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const uint64_t start = rte_rdtsc_precise();
    for (int round = 0; round < kRounds; round++) {
      uint16_t count = burst;
      node.pipeline->run(node.context.worker, abi::Hook::FORWARD, packets.data(), count, node.output);
    }
    best = std::min(best, static_cast<double>(rte_rdtsc_precise() - start) / kRounds / burst);
  }
  rte_pktmbuf_free_bulk(packets.data(), burst);
  return best;
}

TEST(Cost, OfAnEmptyStageAPacket) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's cost is not the stage's";
  struct Row {
    const char* what;
    int stages;
    uint16_t header_bytes;
    uint16_t payload;
  };
  const Row rows[] = {
      {"64 header bytes of 128-byte packets, 1 stage", 1, 64, 100},
      {"128 header bytes of 528-byte packets, 1 stage", 1, 128, 500},
      {"128 header bytes of 50-byte packets, 1 stage", 1, 128, 22},
      {"128 header bytes of 528-byte packets, 3 stages", 3, 128, 500},
  };
  for (const Row& row : rows) {
    Node node;
    StageText stage;
    stage.manifest = {{"headerBytes", row.header_bytes}};
    const std::string digest = node.add(stage);
    std::vector<PluginConfig> plugins;
    for (int i = 0; i < row.stages; i++) plugins.push_back(Node::plugin("p" + std::to_string(i), digest));
    node.run(plugins);
    std::printf("%-48s", row.what);
    for (const uint16_t burst : {1, 8, 32, 256}) {
      const double cycles = cycles_a_packet(node, burst, row.payload);
      std::printf("  %4u: %6.1f", burst, cycles);
      EXPECT_LT(cycles, 5000.0);
    }
    std::printf("  cycles a packet by burst\n");
  }
}

/// For each packet, and once a call; the empty stage's cost is in it.
TEST(Cost, OfImportsAPacket) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's cost is not the stage's";
  const std::string read = "(drop (call $read_payload (local.get $slot) (i32.const 28) (i32.const 64)))";
  const std::string trace = "(call $trace (local.get $slot) (i32.const 0) (i64.const 1))";
  const std::string source =
      "(drop (call $source_taken (local.get $slot) (i64.const 0) (i64.const 1) (i32.const 40000)))";
  const std::pair<const char*, std::string> rows[] = {{"no import", ""},
                                                      {"64 bytes of payload", read},
                                                      {"a value of a packet that is not traced", trace},
                                                      {"whether a source is taken, without flows", source}};
  for (const auto& [what, code] : rows) {
    Node node;
    StageText stage{for_each_slot(code)};
    stage.imports = kAllImports;
    stage.manifest = {{"traceValues", {"one"}}};
    node.run({Node::plugin("test", node.add(stage))});
    std::printf("%-48s", what);
    for (const uint16_t burst : {1, 8, 32, 256}) {
      const double cycles = cycles_a_packet(node, burst, 100);
      std::printf("  %4u: %6.1f", burst, cycles);
      EXPECT_LT(cycles, 5000.0);
    }
    std::printf("  cycles a packet by burst\n");
  }
}

/// One worker, flows that were seen before.
TEST(Cost, OfFlowStateAPacket) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's cost is not the stage's";
  const std::string write = set_flag(static_cast<uint32_t>(abi::Flag::FLOW_WRITTEN));
  struct Row {
    const char* what;
    std::string code;
    uint16_t size;
  };
  const Row rows[] = {{"no flow state", "", 0},
                      {"8 bytes of flow state, read", "", 8},
                      {"40 bytes of flow state, read", "", 40},
                      {"40 bytes of flow state, read and written", write, 40}};
  for (const Row& row : rows) {
    Node node;
    StageText stage{for_each_slot(row.code)};
    if (row.size != 0) stage.manifest = {{"flowState", {{"size", row.size}, {"schema", 1}}}};
    node.run({Node::plugin("test", node.add(stage))});
    for (uint32_t flow = 0; flow < Node::kFlows; flow++) node.slots.marks_of(flow).schemas[0] = 1;
    std::printf("%-48s", row.what);
    for (const uint16_t burst : {1, 8, 32, 256}) {
      const double cycles = cycles_a_packet(node, burst, 100);
      std::printf("  %4u: %6.1f", burst, cycles);
      EXPECT_LT(cycles, 5000.0);
    }
    std::printf("  cycles a packet by burst\n");
  }
}

}  // namespace
}  // namespace sluice
