#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/worker_context.h"
#include "port/port.h"

namespace sluice {

/// What one worker (or one receive queue) did on a port: a cache line with one writer.
struct alignas(64) PortLane {
  std::atomic<uint64_t> packets{}, bytes{}, errors{};

  void add(uint64_t more_packets, uint64_t more_bytes) {
    bump(packets, more_packets);
    bump(bytes, more_bytes);
  }
};

inline PortCounters sum_lanes(const std::vector<PortLane>& rx, const std::vector<PortLane>& tx) {
  PortCounters sum{};
  for (const PortLane& lane : rx) {
    sum.rx_packets += lane.packets.load(std::memory_order_relaxed);
    sum.rx_bytes += lane.bytes.load(std::memory_order_relaxed);
    sum.rx_errors += lane.errors.load(std::memory_order_relaxed);
  }
  for (const PortLane& lane : tx) {
    sum.tx_packets += lane.packets.load(std::memory_order_relaxed);
    sum.tx_bytes += lane.bytes.load(std::memory_order_relaxed);
    sum.tx_errors += lane.errors.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace sluice
