#include <algorithm>

#include "core/clock.h"
#include "wasm/host.h"
#include "wasm/plugin.h"

namespace sluice {

Status WasmHost::start_shadow(std::shared_ptr<Pipeline> candidate, const ShadowLimits& limits) {
  std::unique_lock lock(mutex_);
  if (shadow_.running) return Error{"shadow-running", "", "a shadow run is under way; stop it first"};
  Shadow next;
  for (const auto& stage : candidate->stages_) {
    if (current_ == nullptr) break;
    const auto active = std::find_if(current_->stages_.begin(), current_->stages_.end(),
                                     [&](const auto& old) { return old->config.name == stage->config.name; });
    if (active == current_->stages_.end() || (*active)->plugin == stage->plugin) continue;
    uint16_t header_bytes = 0;
    for (const Pipeline* pipeline : {candidate.get(), current_.get()}) {
      for (const Chain& chain : pipeline->chains_) header_bytes = std::max(header_bytes, chain.header_bytes);
    }
    next.stages.emplace_back(*active, std::make_unique<ShadowStage>(stage, options_.workers, header_bytes));
  }
  if (next.stages.empty()) {
    return Error{"shadow-nothing-to-compare", "",
                 "no plugin of the candidate has new instances beside a running version of the same name"};
  }
  for (const auto& [active, shadow] : next.stages) {
    if (Status done = shadow->candidate->plugin->isolate(true); !done) return done;
  }
  next.candidate = std::move(candidate);
  next.limits = limits;
  next.deadline_ns = read_clock(CLOCK_MONOTONIC) + uint64_t{limits.timeout_ms} * 1'000'000;
  next.running = true;
  shadow_ = std::move(next);
  for (const auto& [active, shadow] : shadow_.stages) active->shadow.store(shadow.get(), std::memory_order_release);
  update_shadow_report();
  lock.unlock();
  wake();
  return {};
}

Result<ShadowReport> WasmHost::shadow_report() const {
  std::lock_guard lock(mutex_);
  if (shadow_.report.plugins.empty()) return Error{"no-shadow-run", "", "there was no shadow run"};
  return shadow_.report;
}

void WasmHost::stop_shadow() {
  std::lock_guard lock(mutex_);
  if (shadow_.running) end_shadow(ShadowReport::State::Stopped);
}

void WasmHost::update_shadow_report() {
  shadow_.report.plugins.clear();
  for (const auto& [active, shadow] : shadow_.stages) {
    ShadowPluginReport report;
    report.plugin = active->config.name;
    for (const ShadowStage::Worker& worker : shadow->workers) {
      report.packets += worker.packets.load(std::memory_order_relaxed);
      report.differences += worker.differences.load(std::memory_order_relaxed);
      report.traps += worker.traps.load(std::memory_order_relaxed);
      if (report.first_difference.empty() && worker.has_first.load(std::memory_order_acquire)) {
        report.first_difference = worker.first;
      }
    }
    shadow_.report.plugins.push_back(std::move(report));
  }
}

void WasmHost::check_shadow(uint64_t now_ns) {
  if (!shadow_.running) return;
  update_shadow_report();
  const auto& plugins = shadow_.report.plugins;
  const ShadowLimits& limits = shadow_.limits;
  const bool bad = std::any_of(plugins.begin(), plugins.end(), [&](const ShadowPluginReport& plugin) {
    return plugin.traps > 0 || plugin.differences > limits.max_differences;
  });
  const bool enough = std::all_of(plugins.begin(), plugins.end(),
                                  [&](const ShadowPluginReport& plugin) { return plugin.packets >= limits.packets; });
  if (bad) return end_shadow(ShadowReport::State::Failed);
  if (enough) return end_shadow(ShadowReport::State::Passed);
  if (now_ns >= shadow_.deadline_ns) end_shadow(ShadowReport::State::TimedOut);
}

void WasmHost::end_shadow(ShadowReport::State state) {
  for (const auto& [active, shadow] : shadow_.stages) active->shadow.store(nullptr, std::memory_order_release);
  options_.synchronize();
  update_shadow_report();
  for (const auto& [active, shadow] : shadow_.stages) {
    LoadedPlugin& plugin = *shadow->candidate->plugin;
    if (Status done = plugin.isolate(false); !done) {
      say("plugin " + active->config.name + ": " + done.error().message);
      state = ShadowReport::State::Failed;
    }
    plugin.clear_metrics();
  }
  shadow_.report.state = state;
  shadow_.running = false;
  shadow_.stages.clear();
  shadow_.candidate.reset();
}

}  // namespace sluice
