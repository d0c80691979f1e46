#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "core/worker_context.h"
#include "wasm/ledger.h"
#include "wasm/pipeline.h"

namespace sluice {

/// Packets that a call of `process` asks to be sent by imports. They are made at once, so that the stage learns whether
/// there are buffers, and sent when the call has returned; a call that traps sends none. One a worker, for one call at
/// a time.
class CallRequests {
 public:
  static constexpr uint16_t kMaxMirrors = 2 * kMaxBurst;

  explicit CallRequests(ReparsePacket parse) : parse_(parse) {}

  /// For a call on these slots. `passes`: of its packet that was parsed most often; emitted ones count on from there.
  void begin(const uint16_t* list, uint16_t count, uint8_t passes);

  bool in_list(uint16_t slot) const { return last_mirror_[slot] != kNotInList; }

  /// False when the bytes are no sound IP packet, there is no buffer, or MAX_EMITS is reached. What lies behind the IP
  /// length is cut.
  bool emit(WorkerContext& ctx, const uint8_t* bytes, uint32_t length, uint16_t table);
  /// A copy of the packet's first `length` bytes from its L3 header, all when it is 0, for a port. False when there is
  /// no such port, it has one of this packet already, there is no buffer, or kMaxMirrors is reached.
  bool mirror(WorkerContext& ctx, uint16_t slot, rte_mbuf* packet, uint32_t port, uint32_t length);

  void send(WorkerContext& ctx, StageCounters& counters);
  void discard();

 private:
  static constexpr int16_t kNone = -1, kNotInList = -2;
  struct Mirror {
    rte_mbuf* copy;    ///< data at the L3 header, its link header before it
    int16_t previous;  ///< index of the same packet's mirror before this one, or kNone
    PortId port;
  };

  const ReparsePacket parse_;
  std::array<int16_t, kMaxBurst> last_mirror_;  ///< by slot: index, kNone or kNotInList
  std::array<Mirror, kMaxMirrors> mirrors_;
  std::array<rte_mbuf*, abi::MAX_EMITS> emitted_;
  uint16_t mirror_count_ = 0, emit_count_ = 0;
  uint8_t passes_ = 0;
};

}  // namespace sluice
