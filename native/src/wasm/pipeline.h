#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/desired_state.h"
#include "core/packet.h"
#include "core/settled_flows.h"
#include "core/worker_context.h"
#include "wasm/flow_slots.h"
#include "wasm/manifest.h"

namespace sluice {

class LoadedPlugin;
struct ShadowStage;
struct ChainWorker;
struct SegmentLease;

/// Where a chain leaves packets that do not simply go on. Each list is in the order of arrival.
struct ChainOutput {
  rte_mbuf* redirected[kMaxBurst];  ///< meta.redirected, out_port and next_hop_address are set
  rte_mbuf* reinput[kMaxBurst];     ///< to be parsed again from their L3 header, routed in meta.table
  rte_mbuf* replies[kMaxBurst];     ///< answers of the node's own from now on, to be routed in meta.table
  uint16_t redirected_count = 0;
  uint16_t reinput_count = 0;
  uint16_t reply_count = 0;
};

/// One plugin at its place in a chain, with what may change without a new instance.
struct Stage {
  std::shared_ptr<LoadedPlugin> plugin;
  std::shared_ptr<SegmentLease> segment;  ///< the config segment in force; null without one
  uint32_t generation = 0;
  uint32_t budget_ticks = 0;  ///< of the epoch, 1 ms each
  FailureStrategy failure = FailureStrategy::FailClosed;
  bool scoped = false;
  std::bitset<kMaxPorts> scope;  ///< ports; a packet is in scope when it comes in or leaves by one of them
  SlotAssignment flow;
  std::bitset<256> migrates;                          ///< schema versions that go through `migrate`
  PluginConfig config;                                ///< as given, for roll-back and status
  uint64_t drop_key = 0;                              ///< of the plugin's name, see core/drop_log.h
  mutable std::atomic<ShadowStage*> shadow{nullptr};  ///< a new version that runs beside it; see shadow.h
};

struct Chain {
  std::vector<std::shared_ptr<const Stage>> stages;
  uint16_t header_bytes = 0;   ///< the most that any of its stages wants, rounded up to 64
  bool shared_window = false;  ///< some stage is not scoped
  /// Stages of the pipeline's chains are numbered through, for what they settle: the number of the first one here, and
  /// a bit for each. No bits: some stage of the chain does not settle flows.
  uint16_t first_settler = 0, settlers = 0;
  mutable std::atomic<uint16_t> settling{0};  ///< those that have settled a flow already

  /// Packets may pass without the stages, as far as those are concerned: all settle flows, none is out of order, and no
  /// new version runs beside one.
  bool may_be_passed() const;
  /// Counts packets that did so.
  void count_passed(uint16_t worker, uint16_t count) const;
};

/// Parses a packet from its L3 header after a stage moved it; false with meta.reason set when it must be dropped.
using ReparsePacket = bool (*)(rte_mbuf* packet);
/// Called before a stage's push or pop is done to a packet: its header is still the one that the flow knows.
using BeforeMove = void (*)(rte_mbuf* packet);

/// What a pipeline does to a plugin compared with the one that ran when it was prepared.
struct PluginChange {
  enum class Action { Added, Kept, Configured, Swapped };  ///< Configured: same instances, new tables
  enum class FlowState { None, Kept, Migrated, Reset };

  std::string plugin;
  Action action = Action::Added;
  FlowState flow_state = FlowState::None;
};

/// The stages of all hooks. Immutable; made by WasmHost::prepare() and published with the node's snapshot by one
/// pointer. The owner drops it only after every worker has passed a quiescent state since it was replaced.
class Pipeline {
 public:
  bool empty(abi::Hook hook) const { return chains_[static_cast<size_t>(hook)].stages.empty(); }

  /// Takes a burst of at most kMaxBurst parsed packets through a hook's stages on the calling worker. Packets that pass
  /// stay in `packets`, in order, and `count` becomes their number; `output` is overwritten; the rest were dropped by
  /// ctx.drop(). Sets meta.mark, table, and rewritten or reframed where a stage changed the packet.
  void run(WorkerContext& ctx, abi::Hook hook, rte_mbuf** packets, uint16_t& count, ChainOutput& output) const;

  /// What lets packets pass prerouting, forward and postrouting without any stage; nothing when a chain must be run.
  std::optional<Passage> passage() const;
  /// Counts packets that passed so.
  void count_passed(uint16_t worker, uint16_t count) const;

  const std::array<Chain, kHooks>& chains() const { return chains_; }
  const std::vector<PluginChange>& changes() const { return changes_; }

 private:
  friend class PipelineBuilder;
  friend class WasmHost;
  std::array<Chain, kHooks> chains_;
  std::vector<std::shared_ptr<const Stage>> stages_;  ///< each plugin's once, in the order of the configuration
  std::vector<PluginChange> changes_;
  std::vector<std::shared_ptr<ChainWorker>> workers_;
  FlowSlots flow_slots_;
  SlotRegistry registry_;
  ReparsePacket reparse_ = nullptr;
  BeforeMove before_move_ = nullptr;
  SettledIn settled_;  ///< no other pipeline of this process has its epoch
};

}  // namespace sluice
