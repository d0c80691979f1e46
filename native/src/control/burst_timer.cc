#include "control/burst_timer.h"

#include <rte_cycles.h>

#include <algorithm>
#include <cstring>

namespace sluice {

namespace {

constexpr int kSamples = 31;
constexpr uint32_t kPackets = 1 << 16;          ///< in a sample: some milliseconds
constexpr uint64_t kNanosecondsAPacket = 1000;  ///< of the stages' clock

/// Packets that the stage emitted and mirrored go nowhere.
void drop_what_was_sent(WorkerContext& ctx) {
  rte_pktmbuf_free_bulk(ctx.originated.packets, ctx.originated.count);
  ctx.originated.count = 0;
  ctx.flush_all();
}

}  // namespace

BurstTimer::BurstTimer(const Pipeline& pipeline, abi::Hook hook, std::vector<rte_mbuf*> packets, uint64_t now_ns)
    : pipeline_(pipeline), hook_(hook), packets_(std::move(packets)), saved_(packets_.size()), now_ns_(now_ns) {
  for (size_t i = 0; i < packets_.size(); i++) {
    rte_mbuf* packet = packets_[i];
    Saved& saved = saved_[i];
    saved.meta = *meta_of(packet);
    saved.data_off = packet->data_off;
    saved.length = packet->data_len;
    std::memcpy(saved.head, rte_pktmbuf_mtod(packet, const void*), std::min<size_t>(saved.length, kHeadBytes));
  }
}

uint64_t BurstTimer::cycles(WorkerContext& ctx, uint16_t size, uint32_t bursts) {
  uint64_t total = 0;
  size_t start = 0;
  for (uint32_t i = 0; i < bursts; i++) {
    now_ns_ += size * kNanosecondsAPacket;
    ctx.now_ns = now_ns_;
    total += burst(ctx, start, size);
    start = (start + size) % packets_.size();
  }
  return total;
}

uint64_t BurstTimer::burst(WorkerContext& ctx, size_t start, uint16_t size) {
  rte_mbuf* list[kMaxBurst];
  for (uint16_t i = 0; i < size; i++) {
    list[i] = packets_[start + i];
    rte_mbuf_refcnt_set(list[i], 2);  // whatever becomes of it, it is used again
  }
  uint16_t count = size;
  ChainOutput output;
  const uint64_t begin = rte_rdtsc_precise();
  pipeline_.run(ctx, hook_, list, count, output);
  const uint64_t end = rte_rdtsc_precise();
  drop_what_was_sent(ctx);
  for (uint16_t i = 0; i < size; i++) restore(start + i);
  return end - begin;
}

void BurstTimer::restore(size_t at) {
  rte_mbuf* packet = packets_[at];
  const Saved& saved = saved_[at];
  rte_mbuf_refcnt_set(packet, 1);
  *meta_of(packet) = saved.meta;
  packet->data_off = saved.data_off;
  packet->data_len = saved.length;
  packet->pkt_len = saved.length;
  std::memcpy(rte_pktmbuf_mtod(packet, void*), saved.head, std::min<size_t>(saved.length, kHeadBytes));
}

std::vector<double> median_cycles(const std::vector<TimedStage>& stages, uint16_t size) {
  std::vector<std::vector<double>> samples(stages.size());
  for (int sample = 0; sample <= kSamples; sample++) {
    for (size_t i = 0; i < stages.size(); i++) {
      const double cycles = stages[i](size, kPackets / size);
      if (sample > 0) samples[i].push_back(cycles);  // the first warms up
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& each : samples) {
    std::nth_element(each.begin(), each.begin() + kSamples / 2, each.end());
    medians.push_back(each[kSamples / 2]);
  }
  return medians;
}

}  // namespace sluice
