// Cycles a packet; run with --gtest_also_run_disabled_tests --gtest_filter='*Cost*' on an idle machine.
#include <gtest/gtest.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "conntrack/network.h"
#include "parse/parse.h"

namespace sluice {
namespace {

using namespace testing;

/// The median of measurements in cycles a burst, as cycles a packet: other programs' turns on the core don't count.
double median_packet(std::vector<uint64_t> cycles) {
  std::nth_element(cycles.begin(), cycles.begin() + static_cast<long>(cycles.size() / 2), cycles.end());
  return static_cast<double>(cycles[cycles.size() / 2]) / kMaxBurst;
}

/// Bursts of UDP packets of random flows out of `flows`; the packets are made between the measured parts.
class Bench {
 public:
  Bench(int family, uint32_t flows)
      : family_(family), flows_(flows), network_(Network::with_room_for(std::max(flows, 64u))) {
    for (rte_mbuf*& packet : packets_) {
      packet = network_.context.packet(udp(family, ends(family, abi::CtDirection::ORIGINAL)));
      parse_packet(packet);
    }
  }
  ~Bench() { rte_pktmbuf_free_bulk(packets_, kMaxBurst); }

  double establish() {
    std::vector<uint64_t> cycles;
    for (uint32_t first = 0; first < flows_; first += kMaxBurst) {
      for (uint32_t i = 0; i < kMaxBurst; i++) aim(packets_[i], std::min(first + i, flows_ - 1));
      cycles.push_back(run());
    }
    return median_packet(cycles);
  }

  double track(int bursts) {
    std::vector<uint64_t> cycles;
    for (int burst = 0; burst < bursts; burst++) {
      for (rte_mbuf* packet : packets_) aim(packet, static_cast<uint32_t>(random() % flows_));
      cycles.push_back(run());
    }
    return median_packet(cycles);
  }

 private:
  void aim(rte_mbuf* packet, uint32_t flow) {
    memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t*, family_ == 4 ? 12 : 20), &flow, 3);
    const uint32_t high = flow >> 24;
    memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t*, meta_of(packet)->l4_offset), &high, 2);
  }

  uint64_t run() {
    uint16_t count = kMaxBurst;
    const uint64_t start = rte_rdtsc_precise();
    network_.table->track_burst(network_.context.worker, packets_, count);
    network_.table->confirm_burst(network_.context.worker, packets_, count);
    network_.table->settle_burst(network_.context.worker);
    const uint64_t cycles = rte_rdtsc_precise() - start;
    network_.rcu.quiescent(0);
    EXPECT_EQ(count, kMaxBurst);
    return cycles;
  }

  uint64_t random() {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return state_;
  }

  int family_;
  uint32_t flows_;
  Network network_;
  rte_mbuf* packets_[kMaxBurst];
  uint64_t state_ = 99;
};

TEST(Cost, DISABLED_OfTrackingABurst) {
  for (const int family : {4, 6}) {
    for (const uint32_t flows : {1u, 10'000u, 1'000'000u}) {
      Bench bench(family, flows);
      const double creation = bench.establish();
      bench.track(200);
      std::printf("IPv%d, %7u flows: %5.1f cycles a packet, creation %5.0f\n", family, flows, bench.track(2000),
                  creation);
    }
  }
}

TEST(Cost, DISABLED_OfParsingABurst) {
  TestContext context;
  for (const int family : {4, 6}) {
    for (const bool is_tcp : {false, true}) {
      const Endpoints at = ends(family, abi::CtDirection::ORIGINAL);
      const Bytes frame = behind(family == 4 ? kEthernet4 : kEthernet6, is_tcp ? tcp(family, at, 16) : udp(family, at));
      rte_mbuf* frames[kMaxBurst];
      for (rte_mbuf*& packet : frames) packet = context.packet(frame);
      static ParsedBurst burst;
      std::vector<uint64_t> cycles;
      for (int round = 0; round < 4000; round++) {
        const uint64_t start = rte_rdtsc_precise();
        parse_burst(frames, kMaxBurst, nullptr, burst);
        cycles.push_back(rte_rdtsc_precise() - start);
        ASSERT_EQ(burst.ip_count, kMaxBurst);
        for (rte_mbuf* packet : frames) rte_pktmbuf_prepend(packet, RTE_ETHER_HDR_LEN);
      }
      std::printf("IPv%d %s: %4.1f cycles a packet\n", family, is_tcp ? "TCP" : "UDP", median_packet(cycles));
      rte_pktmbuf_free_bulk(frames, kMaxBurst);
    }
  }
}

}  // namespace
}  // namespace sluice
