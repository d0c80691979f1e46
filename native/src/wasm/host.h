#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/desired_state.h"
#include "core/error.h"
#include "port/port.h"
#include "wasm/flow_slots.h"
#include "wasm/ledger.h"
#include "wasm/manifest.h"
#include "wasm/module.h"
#include "wasm/pipeline.h"
#include "wasm/shadow.h"
#include "wasm/stage_call.h"

namespace sluice {

struct WasmHostOptions {
  uint16_t workers = 1;
  std::string cache_dir;  ///< compiled modules; empty: no cache
  bool perfmap = false;   ///< write /tmp/perf-<pid>.map for `perf`
  FlowSlots flow_slots;   ///< of the flow table; empty until set_flow_slots(): no plugin may have flow state
  ReparsePacket reparse = nullptr;
  BeforeMove before_move = nullptr;
  SettledFlows* settled = nullptr;            ///< until set_settled_flows(): no flow is settled
  const ReplyTuples* reply_tuples = nullptr;  ///< until set_reply_tuples(): no source is taken
  /// Returns when every worker has passed a quiescent state. Called from the control thread and from the host's own
  /// one.
  std::function<void()> synchronize = [] {};
};

/// A plugin as status shows it.
struct PluginStatus {
  std::string name, version, digest;
  std::vector<abi::Hook> hooks;  ///< where it stands in the pipeline
  uint32_t generation = 0;       ///< of its configuration
  std::string state;             ///< running, failed, reloading
  PluginTotals totals;
  std::vector<StageTotals> workers;
  std::optional<TrapInfo> last_trap;
  bool can_roll_back = false;
};

/// All that runs WebAssembly in a node. Control path: its calls lock and may take milliseconds; packet threads only use
/// the pipelines that it makes. It outlives them.
class WasmHost {
 public:
  static Result<std::unique_ptr<WasmHost>> create(WasmHostOptions options);
  ~WasmHost();
  WasmHost(const WasmHost&) = delete;
  WasmHost& operator=(const WasmHost&) = delete;

  /// Checks a module against its digest (sha-256, hex) and the ABI, compiles it and makes a trial instance.
  Result<Manifest> add_module(const std::string& digest, const uint8_t* bytes, size_t size);
  Result<Manifest> manifest(const std::string& digest) const;

  /// Makes instances, runs `init` and `configure`, and checks flow state, off the packet path. What does not change
  /// keeps its instances (but all that changes gets new ones when it is `for_shadow`). Nothing that runs is touched:
  /// dropping the result undoes it. Scope names are looked up in `ports`. Error paths: /plugins/<i>/...,
  /// /pipeline/<hook>/<i>.
  Result<std::shared_ptr<Pipeline>> prepare(const std::vector<PluginConfig>& plugins,
                                            const std::array<std::vector<std::string>, kHooks>& hooks,
                                            const PortTable& ports, bool for_shadow = false);

  /// Says that `pipeline` is now the one that all workers run: it was published and quiescence has passed.
  void committed(std::shared_ptr<Pipeline> pipeline);
  std::shared_ptr<Pipeline> current() const;

  /// The configuration that a plugin had before its last change, to put into the next prepare().
  Result<PluginConfig> previous(const std::string& plugin) const;

  /// Runs the changed plugins of a pipeline, prepared `for_shadow`, on copies of live bursts beside the current one.
  /// The run ends by itself at a limit; then the candidate may be published. Before that, stop_shadow() must be called.
  Status start_shadow(std::shared_ptr<Pipeline> candidate, const ShadowLimits& limits);
  /// How the last run stands. Error when there was none.
  Result<ShadowReport> shadow_report() const;
  void stop_shadow();

  std::vector<PluginStatus> status() const;
  /// Lines for the operator since the last call: cache trouble, failures, reloads.
  std::vector<std::string> take_messages();

  /// Gives plugins room in the flow records; before the first prepare() only. The flow table outlives the host.
  void set_flow_slots(const FlowSlots& slots) {
    options_.flow_slots = slots;
    options_.flow_slots.shared = options_.workers > 1;
    registry_ = SlotRegistry(slots.bytes_per_flow);
  }
  /// Before the first prepare() only; outlives the host's pipelines.
  void set_settled_flows(SettledFlows& flows) { options_.settled = &flows; }
  /// Before the first prepare() only; outlives the host's pipelines.
  void set_reply_tuples(const ReplyTuples& tuples) {
    for (const auto& worker : workers_) worker->reply_tuples = &tuples;
  }
  /// Who owns which part of the flow slots; to be kept beside the flow file.
  SlotRegistry slot_registry() const;
  /// Before the first prepare() only.
  void set_slot_registry(SlotRegistry registry);

 private:
  friend class PipelineBuilder;
  struct Shadow {
    std::shared_ptr<Pipeline> candidate;
    std::vector<std::pair<std::shared_ptr<const Stage>, std::unique_ptr<ShadowStage>>> stages;  ///< active, its shadow
    ShadowLimits limits;
    uint64_t deadline_ns = 0;
    bool running = false;
    ShadowReport report;
  };

  explicit WasmHost(WasmHostOptions options);
  void wake();
  void say(std::string message);
  void forget_modules();
  void work();
  void reload_failed(uint64_t now_ns);
  void report_failures();
  void check_shadow(uint64_t now_ns);
  void update_shadow_report();
  void end_shadow(ShadowReport::State state);
  uint64_t next_deadline() const;

  WasmHostOptions options_;
  std::shared_ptr<WasmEngine> engine_;
  ModuleCache cache_;
  std::vector<std::shared_ptr<ChainWorker>> workers_;

  mutable std::mutex mutex_;                                ///< all below; packet threads never take it
  std::vector<std::shared_ptr<const WasmModule>> modules_;  ///< oldest first
  std::map<std::string, std::shared_ptr<PluginLedger>> ledgers_;
  std::map<std::string, PluginConfig> history_;
  std::map<std::string, uint64_t> reported_;  ///< by plugin: when the last trap was that messages tell of, Unix ns
  std::shared_ptr<Pipeline> current_;
  SlotRegistry registry_;
  uint32_t generation_ = 0;
  uint32_t epoch_ = 0;  ///< of the last pipeline, see SettledFlows
  Shadow shadow_;

  std::mutex wake_mutex_;  ///< the fields below; packet threads take it after a failure
  std::condition_variable wake_;
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;  ///< reloads failed plugins and watches shadow runs
  std::mutex message_mutex_;
  std::vector<std::string> messages_;
};

}  // namespace sluice
