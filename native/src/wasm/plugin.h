#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "wasm/instance.h"
#include "wasm/ledger.h"
#include "wasm/module.h"

namespace sluice {

/// While it lives, its config segment may be read by workers.
struct SegmentLease {
  int index;  ///< 0: SEGMENT_A, 1: SEGMENT_B
};

/// A version of a plugin with an instance on each worker. Made and dropped on the control path; shared by the pipelines
/// that have it in common.
class LoadedPlugin {
 public:
  /// What one worker uses. Only that worker touches it while the plugin runs.
  struct Worker {
    std::atomic<WasmInstance*> instance{nullptr};
    Window* window = nullptr;  ///< the one mapped into the instance
    StageCounters* counters = nullptr;
    std::unique_ptr<WasmInstance> owned;
    std::unique_ptr<Window> own_window;  ///< of scoped stages and shadow runs
    bool broken = false;                 ///< its instance trapped; guarded by mutex_
  };

  /// `shared_windows` are the workers' own, one each; a scoped plugin gets others. `failed` is called after a failure,
  /// on the packet thread.
  static Result<std::shared_ptr<LoadedPlugin>> create(std::shared_ptr<const WasmModule> module,
                                                      std::shared_ptr<PluginLedger> ledger,
                                                      const std::vector<Window*>& shared_windows, bool scoped,
                                                      std::function<void()> failed);
  ~LoadedPlugin();
  LoadedPlugin(const LoadedPlugin&) = delete;
  LoadedPlugin& operator=(const LoadedPlugin&) = delete;

  /// Builds a configuration in the segment that no worker reads.
  Result<std::shared_ptr<SegmentLease>> configure(const std::string& text, uint32_t generation);

  // Packet path.
  bool running() const { return running_.load(std::memory_order_acquire); }
  Worker& worker(uint16_t id) { return workers_[id]; }
  const Manifest& manifest() const { return module_->manifest; }
  /// Ledger number of the own drop reason with this index in the manifest.
  uint16_t own_reason(uint16_t index) const { return own_reasons_[index]; }
  /// For DropCause::key.
  uint64_t own_reason_key(uint16_t index) const { return own_reason_keys_[index]; }
  /// Records a trap on a worker's instance and stops the plugin on all workers.
  void fail(uint16_t worker, TrapInfo trap, uint64_t now_ns);

  // Control path.
  const std::shared_ptr<const WasmModule>& module() const { return module_; }
  const std::shared_ptr<PluginLedger>& ledger() const { return ledger_; }
  bool scoped() const { return scoped_; }
  /// When a failed plugin may be tried again (CLOCK_MONOTONIC, ns): 100 ms after a failure, doubling to 30 s; a minute
  /// without failure resets it.
  uint64_t retry_at() const;
  /// New instances in place of the broken ones; the plugin runs again afterwards.
  Status reload();
  /// Puts the next try off as after a failure: reload() did not succeed.
  void back_off(uint64_t now_ns);
  /// Maps windows of the plugin's own into its instances for a shadow run, or the shared ones back. No worker may use
  /// it.
  Status isolate(bool isolated);
  /// Adds the living instances' metrics.
  void add_metrics(MetricTotals& totals) const;
  /// Sets the living instances' metrics to zero.
  void clear_metrics();

 private:
  LoadedPlugin(std::shared_ptr<const WasmModule> module, std::shared_ptr<PluginLedger> ledger, size_t workers,
               bool scoped)
      : module_(std::move(module)), ledger_(std::move(ledger)), workers_(workers), scoped_(scoped) {}

  WorkerPlace place(uint16_t worker) const { return {worker, static_cast<uint16_t>(workers_.size())}; }
  Status make_instance(uint16_t worker);
  void retire(Worker& worker);

  std::shared_ptr<const WasmModule> module_;
  std::shared_ptr<PluginLedger> ledger_;
  std::vector<Worker> workers_;
  std::vector<Window*> shared_windows_;
  const bool scoped_;
  SegmentPair segments_;
  std::weak_ptr<SegmentLease> leases_[2];
  std::vector<uint16_t> own_reasons_;
  std::vector<uint64_t> own_reason_keys_;
  std::function<void()> failed_;

  std::atomic<bool> running_{true};
  mutable std::mutex mutex_;  // the fields below; packet threads take it on failure only
  uint64_t last_failure_ = 0;
  uint64_t back_off_ms_ = 0;
};

}  // namespace sluice
