// Cycles a packet; run with --gtest_also_run_disabled_tests --gtest_filter='*Cost*' on an idle machine.

#include <rte_cycles.h>

#include <algorithm>
#include <cstdio>

#include "l3/headers.h"
#include "node.h"

namespace sluice::testing {
namespace {

/// Takes all and keeps none, so that the measured part is l3's alone.
struct Sink : CapturePort {
  uint16_t transmit(uint16_t, rte_mbuf**, uint16_t count) override { return count; }
};

struct CostRow {
  const char* name;
  const char* from;
  const char* to;  ///< the last bytes vary
  uint32_t destinations;
  uint16_t outer;  ///< link and tunnel headers to take off again
};

constexpr int kRounds = 4000;

class Cost : public ::testing::TestWithParam<CostRow> {};

std::string hex(int i) {
  char text[8];
  snprintf(text, sizeof text, "%x", i & 0xff);
  return text;
}

DesiredState state() {
  DesiredState desired;
  desired.ports = {port("in", {"10.1.0.1/24", "2001:db8:1::1/64"}),
                   port("out", {"10.2.0.1/16", "2001:db8:2::1/64", "192.168.0.1/24"}), vxlan("vx", 100, "192.168.0.1")};
  desired.routes = {route("10.3.0.0/16", {via("out", "10.2.0.9")}),
                    route("2001:db8:3::/48", {via("out", "2001:db8:2::9")}),
                    route("10.4.0.0/16", {tunnel_to("vx", "192.168.0.2")})};
  desired.neighbours = {neighbour("out", "192.168.0.2", "0b:00:00:00:00:09")};
  for (int i = 2; i < 40; i++) {
    const std::string last = std::to_string(i);
    desired.neighbours.push_back(neighbour("out", "10.2.0." + last, "0b:00:00:00:00:07"));
    desired.neighbours.push_back(neighbour("out", "2001:db8:2::" + hex(i), "0b:00:00:00:00:07"));
  }
  return desired;
}

TEST_P(Cost, DISABLED_OfRoutingAndOutput) {
  const CostRow& row = GetParam();
  Node node(state());
  Sink sink;
  node.context.ports.set(1, &sink);
  rte_mbuf* packets[kMaxBurst];
  for (uint32_t i = 0; i < kMaxBurst; i++) {
    packets[i] = node.receive(udp(row.from, row.to, filler(18)));
    destination_of(packets[i], meta_of(packets[i])->family)[meta_of(packets[i])->family == 4 ? 3 : 15] =
        static_cast<uint8_t>(9 + i * 7 % row.destinations);
  }
  std::vector<uint64_t> cycles;
  for (int round = 0; round < kRounds; round++) {
    static RouteVerdicts verdicts;
    const uint64_t start = rte_rdtsc_precise();
    route_burst(node.worker(), packets, kMaxBurst, verdicts);
    output_burst(node.worker(), verdicts.forward, verdicts.forward_count);
    node.worker().flush_all();
    cycles.push_back(rte_rdtsc_precise() - start);
    ASSERT_EQ(node.context.all_drops(), 0u);
    for (rte_mbuf* packet : packets) {
      rte_pktmbuf_adj(packet, row.outer);
      meta_of(packet)->in_port = 0;
      const bool v4 = ipv4_of(packet)->version_ihl >> 4 == 4;
      meta_of(packet)->family = v4 ? 4 : 6;
      (v4 ? ipv4_of(packet)->time_to_live : ipv6_of(packet)->hop_limits) = 64;
    }
  }
  std::nth_element(cycles.begin(), cycles.begin() + kRounds / 2, cycles.end());
  std::printf("%-22s %5.1f cycles a packet\n", row.name, static_cast<double>(cycles[kRounds / 2]) / kMaxBurst);
  rte_pktmbuf_free_bulk(packets, kMaxBurst);
}

INSTANTIATE_TEST_SUITE_P(Rows, Cost,
                         ::testing::Values(CostRow{"gateway4", "10.1.0.2", "10.3.0.1", 1, 14},
                                           CostRow{"gateway6", "2001:db8:1::2", "2001:db8:3::1", 1, 14},
                                           CostRow{"thirty_neighbours4", "10.1.0.2", "10.2.0.2", 30, 14},
                                           CostRow{"thirty_neighbours6", "2001:db8:1::2", "2001:db8:2::2", 30, 14},
                                           CostRow{"vxlan", "10.1.0.2", "10.4.0.1", 1, 64}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sluice::testing
