#pragma once

#include <array>

#include "core/reply_tuples.h"
#include "wasm/call_requests.h"
#include "wasm/pipeline.h"
#include "wasm/plugin.h"
#include "wasm/window.h"

namespace sluice {

/// What a worker keeps for running chains. One a worker, for the host's whole life.
struct ChainWorker {
  ChainWorker(Window&& shared, uint64_t seed, uint16_t count, ReparsePacket parse)
      : window(std::move(shared)), random(seed | 1), workers(count), requests(parse) {}

  /// Numbers of a flow met in one call.
  class FlowSet {
   public:
    void clear() { stamp_++; }
    /// True when the flow, or one with the same low bits, was added since clear().
    bool add(uint32_t flow) {
      uint32_t& stamp = stamps_[flow % stamps_.size()];
      const bool known = stamp == stamp_;
      stamp = stamp_;
      return known;
    }

   private:
    std::array<uint32_t, 1024> stamps_{};
    uint32_t stamp_ = 0;
  };

  /// xorshift64: stages get a number a burst that no packet's sender can tell.
  uint64_t next_random() {
    random ^= random << 13;
    random ^= random >> 7;
    return random ^= random << 17;
  }

  Window window;  ///< shared by all stages that are not scoped
  uint64_t random;
  const uint16_t workers;        ///< of the node
  rte_mbuf** packets = nullptr;  ///< of the burst in work, by slot; null: it left the chain
  // Room for lists of slots; where a list is that of all slots, none of it is used.
  uint16_t live[kMaxBurst];   ///< slots still in the chain
  uint16_t list[kMaxBurst];   ///< slots of the call in work
  uint16_t later[kMaxBurst];  ///< slots of the call after it, see StageCall::load_flow_slots()
  uint16_t shadow_list[kMaxBurst];
  bool passed[kMaxBurst];      ///< by slot: its flow is settled, so that no stage of the chain sees it
  uint16_t busy[kMaxBurst];    ///< slots whose flow state could not be read
  uint8_t schemas[kMaxBurst];  ///< by slot: of its flow slot as it was read; 0: not written
  bool migrated[kMaxBurst];    ///< by slot: its flow slot is written back whether the stage wrote it or not
  FlowSet flows;
  CallRequests requests;                      ///< of the call in work
  const ReplyTuples* reply_tuples = nullptr;  ///< null: no source is taken
};

/// One call of a stage on a list of slots.
struct StageCall {
  WorkerContext& ctx;
  const abi::Hook hook;
  ChainWorker& worker;
  const FlowSlots& flow_slots;
  const Stage& stage;
  Window& window;
  WasmInstance& instance;
  StageCounters& counters;  ///< of the stage on this worker
  const uint16_t* list;     ///< in the order of arrival: ascending
  uint16_t count;
  uint64_t random;
  bool dry = false;             ///< a shadow run's: nothing may come of it
  uint64_t cycles = 0;          ///< set by process(), where it was timed
  uint64_t counted_cycles = 0;  ///< for the stage's counter: also for calls that are not timed
  uint16_t busy_count = 0;      ///< of ChainWorker::busy
  bool asked = false;           ///< requests() was called
  bool settles = false;         ///< flows can be settled at this hook

  bool has_flow_slots() const { return stage.flow.size != 0; }
  /// Copies the stage's flow slots into the window, where it has any. When `later` is given, packets of a flow that
  /// begins in this burst, but for its first one, are moved there, and the list becomes `kept`: they are to see what
  /// the stage writes for the first. Packets whose flow slot another worker does not stop writing are left out of it,
  /// and put into ChainWorker::busy.
  void load_flow_slots(uint16_t* kept, uint16_t* later, uint16_t& later_count);
  /// Migrates flow slots of older schemas and calls process, and sends what it asked to be sent. False when one of the
  /// calls failed.
  bool process();
  /// For imports, while process runs.
  CallRequests& requests();
  /// Copies written flow slots into the flow table, where the stage has any.
  void store_flow_slots();

 private:
  /// Reading the clock twice costs more than the call of an empty stage: after the first calls one in so many is timed.
  static constexpr uint64_t kTimedOneIn = 16, kTimedFirst = 64;
  /// How many calls this one's time stands for in the counters; 0: it is not timed.
  uint64_t timing_weight() const;
  bool migrate();
  void end_requests(bool done);
  void write_list(const uint16_t* slots, uint16_t length);
};

}  // namespace sluice
