#include "wasm/ledger.h"

#include <algorithm>

namespace sluice {

namespace {
uint64_t load(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}
}  // namespace

uint16_t PluginLedger::reason_index(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto known = std::find(reasons_.begin(), reasons_.end(), name);
  if (known != reasons_.end()) return static_cast<uint16_t>(known - reasons_.begin());
  // Names beyond the bound share the last counter: a bound on memory, reached only by endless renaming.
  if (reasons_.size() == kOwnReasons - 1) reasons_.push_back("other");
  if (reasons_.size() == kOwnReasons) return kOwnReasons - 1;
  reasons_.push_back(name);
  return static_cast<uint16_t>(reasons_.size() - 1);
}

void PluginLedger::retire(const Manifest& manifest, const uint64_t* cells) {
  std::lock_guard lock(mutex_);
  retired_.add_lasting(manifest, cells);
}

void PluginLedger::record(TrapInfo trap) {
  std::lock_guard lock(mutex_);
  last_trap_ = std::move(trap);
}

std::optional<TrapInfo> PluginLedger::last_trap() const {
  std::lock_guard lock(mutex_);
  return last_trap_;
}

std::vector<StageTotals> PluginLedger::by_worker() const {
  std::vector<StageTotals> all;
  for (const StageCounters& worker : workers_) {
    all.push_back({load(worker.calls), load(worker.packets), load(worker.cycles), load(worker.failures),
                   load(worker.redirects), load(worker.reinputs), load(worker.replies), load(worker.emitted),
                   load(worker.mirrored), load(worker.settled)});
  }
  return all;
}

PluginTotals PluginLedger::totals() const {
  PluginTotals sum;
  for (const StageTotals& worker : by_worker()) {
    sum.calls += worker.calls;
    sum.packets += worker.packets;
    sum.cycles += worker.cycles;
    sum.failures += worker.failures;
    sum.redirects += worker.redirects;
    sum.reinputs += worker.reinputs;
    sum.replies += worker.replies;
    sum.emitted += worker.emitted;
    sum.mirrored += worker.mirrored;
    sum.settled += worker.settled;
  }
  const auto add = [&](const std::string& name, auto&& counter_of) {
    uint64_t drops = 0;
    for (const StageCounters& worker : workers_) drops += load(counter_of(worker));
    if (drops > 0) sum.drops.emplace_back(name, drops);
  };
  for (size_t i = 0; i < abi::kDropReasonCount; i++) {
    add(
        abi::kDropReasonNames[i], [i](const StageCounters& worker) -> auto& { return worker.drops[i]; });
  }
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < reasons_.size(); i++) {
    add(
        reasons_[i], [i](const StageCounters& worker) -> auto& { return worker.own_drops[i]; });
  }
  static_cast<MetricTotals&>(sum) = retired_;
  return sum;
}

}  // namespace sluice
