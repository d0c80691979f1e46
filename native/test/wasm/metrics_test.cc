// Counters, gauges and histograms in an instance's cells, and what status makes of them.
#include "wasm/metrics.h"

#include "wasm/swap_fixture.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

std::string add_to_cell(uint32_t cell, const std::string& value) {
  const std::string at = i32(abi::kCountersBase + 8 * cell);
  return "(i64.store " + at + "(i64.add (i64.load " + at + ")" + value + "))";
}

/// One counter; one gauge, a balance of what it is told; a histogram of the packet lengths with bounds 40 and 100.
StageText measuring(const std::string& version, int64_t gauge, const std::string& counter = "seen",
                    const nlohmann::json& bounds = {40, 100}) {
  const std::string length = "(i64.extend_i32_u " + load32(abi::kSlotPacketLength) + ")";
  const auto count_between = [&](uint32_t cell, uint32_t above, uint32_t to) {
    return "(if (i32.and (i32.gt_u " + load32(abi::kSlotPacketLength) + i32(above) + ") (i32.le_u " +
           load32(abi::kSlotPacketLength) + i32(to) + ")) (then " + add_to_cell(cell, "(i64.const 1)") + "))";
  };
  StageText stage{for_each_slot(add_to_cell(0, "(i64.const 1)") +
                                add_to_cell(1, "(i64.const " + std::to_string(gauge) + ")") + count_between(2, 0, 40) +
                                count_between(3, 40, 100) + count_between(4, 100, 65535) + add_to_cell(5, length))};
  stage.manifest = {{"version", version},
                    {"counters", {counter}},
                    {"gauges", {"level"}},
                    {"histograms", {{{"name", "length"}, {"bounds", bounds}}}}};
  return stage;
}

class Metrics : public Swap {
 protected:
  void run(const StageText& stage) { node.run({Node::plugin("test", node.add(stage))}); }
  void packets(const std::vector<uint16_t>& payloads) {
    std::vector<rte_mbuf*> burst;
    for (const uint16_t payload : payloads) burst.push_back(node.udp(payload));
    node.burst(burst);
    node.free_all();
  }
  PluginTotals totals() { return node.status("test").totals; }
  std::vector<uint64_t> counts() { return totals().histograms.at("length").counts; }
};

TEST_F(Metrics, AreShownByName) {
  run(measuring("1.0.0", -3));
  packets({0, 12, 13, 72, 73, 1000});  // 28, 40, 41, 100, 101 and 1028 bytes
  EXPECT_EQ(totals().counters, (std::map<std::string, uint64_t>{{"seen", 6}}));
  EXPECT_EQ(totals().gauges, (std::map<std::string, int64_t>{{"level", -18}}));
  const HistogramTotals histogram = totals().histograms.at("length");
  EXPECT_EQ(histogram.bounds, (std::vector<uint64_t>{40, 100}));
  EXPECT_EQ(histogram.counts, (std::vector<uint64_t>{2, 2, 2}));
  EXPECT_EQ(histogram.sum, 28u + 40 + 41 + 100 + 101 + 1028);
}

TEST_F(Metrics, CountersAndHistogramsOutliveAVersionGaugesDoNot) {
  run(measuring("1.0.0", 5));
  packets({0, 50});
  run(measuring("1.1.0", 7));
  EXPECT_EQ(totals().gauges.at("level"), 0);
  packets({500});
  EXPECT_EQ(totals().counters.at("seen"), 3u);
  EXPECT_EQ(totals().gauges.at("level"), 7);
  EXPECT_EQ(counts(), (std::vector<uint64_t>{1, 1, 1}));
  EXPECT_EQ(totals().histograms.at("length").sum, 28u + 78 + 528);
}

TEST_F(Metrics, AHistogramWithOtherBoundsStartsAnew) {
  run(measuring("1.0.0", 0));
  packets({0, 50});
  run(measuring("1.1.0", 0, "seen", {40, 200}));
  packets({500});
  EXPECT_EQ(counts(), (std::vector<uint64_t>{0, 0, 1}));
  EXPECT_EQ(totals().counters.at("seen"), 3u);
}

TEST_F(Metrics, ACounterThatANewVersionDoesNotHaveIsKept) {
  run(measuring("1.0.0", 0, "old"));
  packets({0});
  run(measuring("1.1.0", 0, "new"));
  packets({0});
  EXPECT_EQ(totals().counters, (std::map<std::string, uint64_t>{{"new", 1}, {"old", 1}}));
}

TEST_F(Metrics, WhatAWorkerDidIsShownByWorker) {
  run(measuring("1.0.0", 0));
  packets({0, 1});
  packets({2});
  const std::vector<StageTotals> workers = node.status("test").workers;
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_EQ(workers[0].packets, 3u);
  EXPECT_EQ(workers[0].calls, 2u);
  EXPECT_GT(workers[0].cycles, 0u);
}

}  // namespace
}  // namespace sluice
