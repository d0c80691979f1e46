#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/worker_context.h"
#include "wasm/metrics.h"
#include "wasm/trap.h"

namespace sluice {

constexpr size_t kOwnReasons = 256;  ///< own drop reasons that one plugin name can have over all its versions

/// What a plugin did on one worker. One writer; read with relaxed loads at any time.
struct alignas(64) StageCounters {
  std::atomic<uint64_t> calls{}, packets{}, cycles{}, failures{}, redirects{}, reinputs{}, replies{}, emitted{},
      mirrored{}, settled{};
  std::array<std::atomic<uint64_t>, kDropReasons> drops{};
  std::array<std::atomic<uint64_t>, kOwnReasons> own_drops{};  ///< by PluginLedger::reason_index()
};

struct StageTotals {
  uint64_t calls = 0, packets = 0, cycles = 0, failures = 0, redirects = 0, reinputs = 0, replies = 0;
  uint64_t emitted = 0;   ///< packets that it made
  uint64_t mirrored = 0;  ///< copies that it sent out by ports
  uint64_t settled = 0;   ///< packets that passed its hooks without it, as it had settled their flows
};

/// Sums over workers, and over the plugin's versions since the host started.
struct PluginTotals : StageTotals, MetricTotals {
  std::vector<std::pair<std::string, uint64_t>> drops;  ///< by reason, those that are not zero
};

/// A plugin's counters by its name: they outlive its versions and instances, so a swap does not reset a figure.
class PluginLedger {
 public:
  explicit PluginLedger(uint16_t workers) : workers_(workers) {}

  StageCounters& worker(uint16_t id) { return workers_[id]; }

  /// The number under which an own drop reason is counted; the same for the same name in every version.
  uint16_t reason_index(const std::string& name);

  /// Adds the metrics of an instance that is gone, but for its gauges.
  void retire(const Manifest& manifest, const uint64_t* cells);

  void record(TrapInfo trap);
  std::optional<TrapInfo> last_trap() const;

  std::vector<StageTotals> by_worker() const;
  PluginTotals totals() const;  ///< metrics of gone instances only; the caller adds the living ones'

 private:
  std::vector<StageCounters> workers_;
  mutable std::mutex mutex_;
  std::vector<std::string> reasons_;
  MetricTotals retired_;
  std::optional<TrapInfo> last_trap_;
};

}  // namespace sluice
