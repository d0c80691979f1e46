#include "wasm/plugin.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace sluice {

namespace {

constexpr uint64_t kFirstBackOffMs = 100, kLongestBackOffMs = 30'000;
constexpr uint64_t kCalmNs = 60'000'000'000;

size_t whole_pages(size_t size) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

}  // namespace

Result<std::shared_ptr<LoadedPlugin>> LoadedPlugin::create(std::shared_ptr<const WasmModule> module,
                                                           std::shared_ptr<PluginLedger> ledger,
                                                           const std::vector<Window*>& shared_windows, bool scoped,
                                                           std::function<void()> failed) {
  std::shared_ptr<LoadedPlugin> plugin(
      new LoadedPlugin(std::move(module), std::move(ledger), shared_windows.size(), scoped));
  plugin->shared_windows_ = shared_windows;
  plugin->failed_ = std::move(failed);
  const Manifest& manifest = plugin->manifest();
  for (const std::string& reason : manifest.drop_reasons) {
    plugin->own_reasons_.push_back(plugin->ledger_->reason_index(reason));
    plugin->own_reason_keys_.push_back(drop_key(reason));
  }
  if (manifest.segment_bytes > 0) {
    for (const auto& [index, place] : {std::pair{0, abi::kSegmentABase}, {1, abi::kSegmentBBase}}) {
      auto region = SharedRegion::create("sluice-segment", whole_pages(manifest.segment_bytes), place, false);
      if (!region) return region.error();
      plugin->segments_[index] = std::move(region.value());
    }
  }
  for (uint16_t id = 0; id < shared_windows.size(); id++) {
    Worker& worker = plugin->workers_[id];
    worker.counters = &plugin->ledger_->worker(id);
    worker.window = shared_windows[id];
    if (scoped) {
      auto window = Window::create();
      if (!window) return window.error();
      worker.own_window = std::make_unique<Window>(std::move(window.value()));
      worker.window = worker.own_window.get();
    }
    if (Status made = plugin->make_instance(id); !made) return made.error();
  }
  return plugin;
}

LoadedPlugin::~LoadedPlugin() {
  for (Worker& worker : workers_) retire(worker);
}

Status LoadedPlugin::make_instance(uint16_t id) {
  Worker& worker = workers_[id];
  auto instance = WasmInstance::create(module_, WasmInstance::Kind::Worker, segments_, worker.window, place(id));
  if (!instance) return instance.error();
  for (int segment = 0; segment < 2; segment++) {
    if (!leases_[segment].expired()) instance.value()->populate(segment);
  }
  retire(worker);
  worker.owned = std::move(instance.value());
  worker.broken = false;
  worker.instance.store(worker.owned.get(), std::memory_order_release);
  return {};
}

void LoadedPlugin::retire(Worker& worker) {
  if (worker.owned != nullptr) ledger_->retire(manifest(), worker.owned->cells());
}

Result<std::shared_ptr<SegmentLease>> LoadedPlugin::configure(const std::string& text, uint32_t generation) {
  const int index = leases_[0].expired() ? 0 : 1;
  if (!leases_[index].expired()) {
    return Error{"transaction-pending", "/config",
                 "both config segments are in use: an earlier transaction is still being published or shadowed"};
  }
  if (segments_[index].size() > 0) segments_[index].clear();
  auto builder = WasmInstance::create(module_, WasmInstance::Kind::Builder, segments_, nullptr, place(0));
  if (!builder) return builder.error();
  if (Status built = builder.value()->configure(text, index, generation); !built) return built.error();
  for (Worker& worker : workers_) worker.owned->populate(index);
  auto lease = std::make_shared<SegmentLease>(SegmentLease{index});
  leases_[index] = lease;
  return lease;
}

void LoadedPlugin::fail(uint16_t id, TrapInfo trap, uint64_t now_ns) {
  ledger_->record(std::move(trap));
  back_off(now_ns);
  {
    std::lock_guard lock(mutex_);
    workers_[id].broken = true;
  }
  running_.store(false, std::memory_order_release);
  failed_();
}

void LoadedPlugin::back_off(uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  const bool calm = last_failure_ == 0 || now_ns - last_failure_ > kCalmNs;
  back_off_ms_ = calm ? kFirstBackOffMs : std::min(2 * back_off_ms_, kLongestBackOffMs);
  last_failure_ = now_ns;
}

uint64_t LoadedPlugin::retry_at() const {
  std::lock_guard lock(mutex_);
  return last_failure_ + back_off_ms_ * 1'000'000;
}

Status LoadedPlugin::reload() {
  // A broken instance's worker leaves it alone from fail() until running_ is set again.
  for (uint16_t id = 0; id < workers_.size(); id++) {
    {
      std::lock_guard lock(mutex_);
      if (!workers_[id].broken) continue;
    }
    if (Status made = make_instance(id); !made) return made;
  }
  running_.store(true, std::memory_order_release);
  return {};
}

Status LoadedPlugin::isolate(bool isolated) {
  if (scoped_) return {};  // has windows of its own anyway
  for (uint16_t id = 0; id < workers_.size(); id++) {
    Worker& worker = workers_[id];
    if (isolated && worker.own_window == nullptr) {
      auto window = Window::create();
      if (!window) return window.error();
      worker.own_window = std::make_unique<Window>(std::move(window.value()));
    }
    worker.window = isolated ? worker.own_window.get() : shared_windows_[id];
    if (Status mapped = worker.owned->map_window(*worker.window); !mapped) return mapped;
    if (!isolated) worker.own_window.reset();
  }
  return {};
}

void LoadedPlugin::add_metrics(MetricTotals& totals) const {
  for (const Worker& worker : workers_) {
    totals.add_lasting(manifest(), worker.owned->cells());
    totals.add_gauges(manifest(), worker.owned->cells());
  }
}

void LoadedPlugin::clear_metrics() {
  for (Worker& worker : workers_) worker.owned->clear_cells();
}

}  // namespace sluice
