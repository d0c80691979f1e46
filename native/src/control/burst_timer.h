#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/packet.h"
#include "core/worker_context.h"
#include "wasm/pipeline.h"

namespace sluice {

/// Times bursts of the same packets through a hook of a pipeline. What a stage changes in a packet is undone after each
/// burst, outside the time taken; flow states and the stage's own memory go on as they are.
class BurstTimer {
 public:
  /// The packets stay the caller's; each has one segment. The stages' clock begins at `now_ns`.
  BurstTimer(const Pipeline& pipeline, abi::Hook hook, std::vector<rte_mbuf*> packets, uint64_t now_ns);

  /// On a packet thread: timestamp-counter cycles that `bursts` bursts of `size` packets take, one after the other from
  /// the packets' start round and round. `size`: at most kMaxBurst, and what divides the number of packets.
  uint64_t cycles(WorkerContext& ctx, uint16_t size, uint32_t bursts);

 private:
  /// No stage sees more of a packet than this.
  static constexpr size_t kHeadBytes = abi::kSlotHeadBytesMax;
  struct Saved {
    PacketMeta meta;
    uint16_t data_off;
    uint16_t length;
    uint8_t head[kHeadBytes];
  };

  uint64_t burst(WorkerContext& ctx, size_t start, uint16_t size);
  void restore(size_t at);

  const Pipeline& pipeline_;
  const abi::Hook hook_;
  const std::vector<rte_mbuf*> packets_;
  std::vector<Saved> saved_;
  uint64_t now_ns_;
};

/// Cycles a packet that a stage took in so many bursts of a size.
using TimedStage = std::function<double(uint16_t size, uint32_t bursts)>;

/// For each stage its median of many samples, taken by turns, so that what else the machine does meets all of them
/// alike.
std::vector<double> median_cycles(const std::vector<TimedStage>& stages, uint16_t size);

}  // namespace sluice
