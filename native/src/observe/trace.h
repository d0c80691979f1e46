#pragma once

#include <rte_mbuf.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/packet_bytes.h"
#include "observe/byte_ring.h"
#include "observe/packet_filter.h"

namespace sluice {

constexpr size_t kMaxTraces = 4;
constexpr uint32_t kMaxTracedPackets = 100'000;

/// What a worker notes of a traced packet. Texts end with a zero.
struct TraceRecord {
  enum class Event : uint8_t { Begin, Step, Value, Stage, Drop, Sent, End, Split };

  uint64_t tsc;
  uint64_t wall_ns;  ///< Begin
  int64_t value;     ///< Value
  uint32_t number;   ///< of the packet, from 1
  uint32_t length;   ///< of the packet, from where the bytes begin
  uint32_t cycles;   ///< Stage
  uint16_t shown;    ///< bytes kept; 0: none were
  uint16_t pieces;   ///< Split
  uint16_t worker;
  Event event;
  uint8_t hook, verdict;  ///< Stage: abi::Hook, abi::Verdict
  char kind[16];
  char stage[64];  ///< Stage, Value, Drop; empty: native code
  char name[64];   ///< Drop: the reason's; Value: its own
  char detail[128];
  uint8_t bytes[kShownBytes];  ///< from the L3 header, or the link header when it is no IP packet
};

/// A trace, as all workers share it. PacketMeta::traced is its place and generation, and the packet's number.
class Trace {
 public:
  Trace(PacketFilter filter, uint32_t packets, uint8_t place, uint8_t generation, uint16_t workers)
      : filter_(std::move(filter)), place_(place), generation_(generation), left_(packets) {
    for (uint16_t i = 0; i < workers; i++) rings_.push_back(std::make_unique<ByteRing>(kRingBytes));
  }

  const PacketFilter& filter() const { return filter_; }
  ByteRing& ring(uint16_t worker) { return *rings_[worker]; }
  const std::vector<std::unique_ptr<ByteRing>>& rings() const { return rings_; }

  bool wants_more() const { return left_.load(std::memory_order_relaxed) > 0; }
  uint32_t left() const { return static_cast<uint32_t>(std::max<int64_t>(0, left_.load(std::memory_order_relaxed))); }
  /// The number of a further packet; 0 when there are enough. A number that is not used is given back.
  uint32_t take_number() {
    if (left_.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      left_.fetch_add(1, std::memory_order_relaxed);
      return 0;
    }
    return numbers_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  void give_back() { left_.fetch_add(1, std::memory_order_relaxed); }

  // PacketMeta::traced: 2 bits of place, 6 of generation, 24 of number. A packet may outlive its trace; the generation
  // tells it from those of the next one in the place.
  static constexpr uint32_t kNumberBits = 24;
  static constexpr uint8_t kGenerations = 64;
  static size_t place_of(uint32_t mark) { return mark >> 30; }
  static uint32_t number_of(uint32_t mark) { return mark & ((1u << kNumberBits) - 1); }
  uint32_t mark(uint32_t number) const {
    return uint32_t{place_} << 30 | uint32_t{generation_} << kNumberBits | number;
  }
  bool owns(uint32_t mark) const { return mark != 0 && mark >> kNumberBits == (uint32_t{place_} << 6 | generation_); }
  uint8_t place() const { return place_; }

 private:
  static constexpr size_t kRingBytes = 1 << 20;
  static_assert(kMaxTracedPackets < 1u << kNumberBits);

  const PacketFilter filter_;
  const uint8_t place_, generation_;
  std::atomic<int64_t> left_;
  std::atomic<uint32_t> numbers_{0};
  std::vector<std::unique_ptr<ByteRing>> rings_;  ///< by worker
};

}  // namespace sluice
