#pragma once

#include "wasm/pipeline.h"
#include "wasm/stage_call.h"

namespace sluice {

/// One burst on its way through one chain.
class ChainRun {
 public:
  ChainRun(WorkerContext& ctx, abi::Hook hook, const Chain& chain, ChainWorker& worker, const FlowSlots& flow_slots,
           ReparsePacket reparse, BeforeMove before_move, const SettledIn& settled, ChainOutput& output)
      : ctx_(ctx),
        hook_(hook),
        chain_(chain),
        worker_(worker),
        flow_slots_(flow_slots),
        reparse_(reparse),
        before_move_(before_move),
        settled_(settled),
        output_(output) {}

  void load(rte_mbuf** packets, uint16_t count);
  /// Runs the chain's stage of this index.
  void run(size_t index);
  bool finished() const { return live_count_ == 0; }
  /// Puts the packets that passed back; returns their number.
  uint16_t unload(rte_mbuf** packets);

 private:
  // settled.cc: packets whose flows need no stage.
  bool may_pass() const;
  void pass_settled(rte_mbuf** packets, uint16_t count);
  void settle(const StageCall& call, uint16_t slot, const SlotMeta& meta);
  /// Slots of the packets that a stage is to see, ascending; `count` becomes their number.
  const uint16_t* select(const Stage& stage, uint16_t& count);
  /// The stage does not run: its packets are dropped unless it fails open.
  void skip(const Stage& stage, const uint16_t* list, uint16_t count);
  void call(const Stage& stage, const uint16_t* list, uint16_t count);
  void finish_call(StageCall& call);
  void drop_busy(const StageCall& call);
  void fail(StageCall& call);
  void refill_shared(const uint16_t* slots, uint16_t count);

  // commit.cc: what a stage did to its slots becomes true of the packets.
  void commit(StageCall& call);
  void commit_changed(StageCall& call, uint16_t slot);
  bool write_back(StageCall& call, uint16_t slot, const SlotMeta& meta);
  bool move_head(rte_mbuf* packet, int32_t push);
  bool redirect(StageCall& call, uint16_t slot, const SlotMeta& meta);
  void drop_as_told(StageCall& call, uint16_t slot, uint16_t reason);
  void drop(const Stage& stage, uint16_t slot, abi::DropReason reason);
  void drop(const Stage& stage, uint16_t slot, abi::DropReason reason, const DropCause& cause);
  void tell_passed(const StageCall& call);
  uint32_t cycles_a_packet() const { return static_cast<uint32_t>(call_cycles_ / call_count_); }
  void compact();

  WorkerContext& ctx_;
  const abi::Hook hook_;
  const Chain& chain_;
  ChainWorker& worker_;
  const FlowSlots& flow_slots_;
  const ReparsePacket reparse_;
  const BeforeMove before_move_;
  const SettledIn& settled_;
  ChainOutput& output_;
  uint16_t loaded_ = 0, live_count_ = 0;
  const uint16_t* live_ = nullptr;  ///< slots still in the chain, in the order of arrival
  uint16_t passed_ = 0;             ///< packets that no stage of the chain sees
  size_t index_ = 0;                ///< of the stage in work
  uint64_t call_cycles_ = 0;        ///< of the call in work, with call_count_ packets
  uint16_t call_count_ = 1;
  bool left_ = false;  ///< a packet left the chain since the last compact()
};

/// Runs a candidate on the packets of a call, in the candidate's own window, and compares with what the active stage
/// did to its slots. Neither is committed yet.
void run_shadow(ShadowStage& shadow, const StageCall& active);

}  // namespace sluice
