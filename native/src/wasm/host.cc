#include "wasm/host.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>

#include "core/clock.h"
#include "wasm/pipeline_builder.h"
#include "wasm/plugin.h"

namespace sluice {

Result<std::unique_ptr<WasmHost>> WasmHost::create(WasmHostOptions options) {
  std::unique_ptr<WasmHost> host(new WasmHost(std::move(options)));
  for (uint16_t id = 0; id < host->options_.workers; id++) {
    auto window = Window::create();
    if (!window) return window.error();
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) return Error{"system", "", "no random numbers"};
    host->workers_.push_back(
        std::make_shared<ChainWorker>(std::move(window.value()), seed, host->options_.workers, host->options_.reparse));
  }
  if (host->options_.reply_tuples != nullptr) host->set_reply_tuples(*host->options_.reply_tuples);
  host->thread_ = std::thread([host = host.get()] { host->work(); });
  pthread_setname_np(host->thread_.native_handle(), "sluice-wasm");
  return host;
}

WasmHost::WasmHost(WasmHostOptions options)
    : options_(std::move(options)),
      engine_(std::make_shared<WasmEngine>(options_.perfmap)),
      cache_(options_.cache_dir) {
  set_flow_slots(options_.flow_slots);
}

WasmHost::~WasmHost() {
  {
    std::lock_guard lock(wake_mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  stop_shadow();
}

Result<Manifest> WasmHost::add_module(const std::string& digest, const uint8_t* bytes, size_t size) {
  if (auto known = manifest(digest)) return known;
  std::vector<std::string> messages;
  auto module = WasmModule::load(engine_, cache_, digest, bytes, size, messages);
  for (std::string& message : messages) say(std::move(message));
  if (!module) return module.error();
  auto trial = WasmInstance::create(module.value(), WasmInstance::Kind::Trial, {}, nullptr, {0, options_.workers});
  if (!trial) return trial.error();
  std::lock_guard lock(mutex_);
  modules_.push_back(module.value());
  forget_modules();
  return module.value()->manifest;
}

void WasmHost::forget_modules() {
  constexpr size_t kKept = 64;
  for (auto it = modules_.begin(); modules_.size() > kKept && it + 1 != modules_.end();) {
    const auto remembered = [&](const auto& entry) { return entry.second.digest == (*it)->digest; };
    const bool unused = it->use_count() == 1 && std::none_of(history_.begin(), history_.end(), remembered);
    it = unused ? modules_.erase(it) : it + 1;
  }
}

Result<Manifest> WasmHost::manifest(const std::string& digest) const {
  std::lock_guard lock(mutex_);
  for (const auto& module : modules_) {
    if (module->digest == digest) return module->manifest;
  }
  return Error{"module-unknown", "", "no module with digest '" + digest + "' was added"};
}

Result<std::shared_ptr<Pipeline>> WasmHost::prepare(const std::vector<PluginConfig>& plugins,
                                                    const std::array<std::vector<std::string>, kHooks>& hooks,
                                                    const PortTable& ports, bool for_shadow) {
  std::lock_guard lock(mutex_);
  return PipelineBuilder(*this, ports, for_shadow).build(plugins, hooks);
}

void WasmHost::committed(std::shared_ptr<Pipeline> pipeline) {
  stop_shadow();
  std::lock_guard lock(mutex_);
  const auto named = [](const Pipeline& in, const std::string& name) -> const Stage* {
    for (const auto& stage : in.stages_) {
      if (stage->config.name == name) return stage.get();
    }
    return nullptr;
  };
  for (const auto& old : current_ != nullptr ? current_->stages_ : std::vector<std::shared_ptr<const Stage>>()) {
    const Stage* now = named(*pipeline, old->config.name);
    const bool changed =
        now == nullptr || now->config.digest != old->config.digest || now->config.config != old->config.config;
    if (changed) history_[old->config.name] = old->config;
    if (now == nullptr) ledgers_.erase(old->config.name);
    pipeline->registry_.mark_in_use(old->config.name, false);
  }
  for (const auto& stage : pipeline->stages_) pipeline->registry_.mark_in_use(stage->config.name, stage->flow.size > 0);
  registry_ = pipeline->registry_;
  current_ = std::move(pipeline);
  wake();  // one of its plugins may have failed already
}

void WasmHost::wake() {
  std::lock_guard lock(wake_mutex_);
  woken_ = true;
  wake_.notify_one();
}

std::shared_ptr<Pipeline> WasmHost::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

Result<PluginConfig> WasmHost::previous(const std::string& plugin) const {
  std::lock_guard lock(mutex_);
  const auto found = history_.find(plugin);
  if (found != history_.end()) return found->second;
  return Error{"no-previous-version", "", "plugin '" + plugin + "' has had no other version or configuration"};
}

std::vector<PluginStatus> WasmHost::status() const {
  std::lock_guard lock(mutex_);
  std::vector<PluginStatus> all;
  if (current_ == nullptr) return all;
  for (const auto& stage : current_->stages_) {
    PluginStatus status;
    status.name = stage->config.name;
    status.version = stage->plugin->manifest().version;
    status.digest = stage->config.digest;
    for (size_t hook = 0; hook < kHooks; hook++) {
      const auto& chain = current_->chains_[hook].stages;
      if (std::find(chain.begin(), chain.end(), stage) != chain.end())
        status.hooks.push_back(static_cast<abi::Hook>(hook));
    }
    status.generation = stage->generation;
    const bool reloads = stage->failure == FailureStrategy::Reload;
    status.state = stage->plugin->running() ? "running" : reloads ? "reloading" : "failed";
    const PluginLedger& ledger = *stage->plugin->ledger();
    status.totals = ledger.totals();
    stage->plugin->add_metrics(status.totals);
    status.workers = ledger.by_worker();
    status.last_trap = ledger.last_trap();
    status.can_roll_back = history_.count(stage->config.name) > 0;
    all.push_back(std::move(status));
  }
  return all;
}

void WasmHost::say(std::string message) {
  std::lock_guard lock(message_mutex_);
  constexpr size_t kKept = 1000;  // nobody may be asking
  if (messages_.size() < kKept) messages_.push_back(std::move(message));
}

std::vector<std::string> WasmHost::take_messages() {
  std::lock_guard lock(message_mutex_);
  return std::exchange(messages_, {});
}

SlotRegistry WasmHost::slot_registry() const {
  std::lock_guard lock(mutex_);
  return registry_;
}

void WasmHost::set_slot_registry(SlotRegistry registry) {
  std::lock_guard lock(mutex_);
  registry_ = std::move(registry);
}

void WasmHost::work() {
  while (true) {
    {
      // Never both locks at once: a packet thread may wait for this one while the other's owner waits for the packet
      // thread.
      const uint64_t deadline = next_deadline();
      std::unique_lock lock(wake_mutex_);
      const auto due = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline));
      const auto awake = [this] { return woken_ || stopping_; };
      if (deadline == UINT64_MAX) {
        wake_.wait(lock, awake);
      } else {
        wake_.wait_until(lock, due, awake);
      }
      if (stopping_) return;
      woken_ = false;
    }
    std::lock_guard lock(mutex_);
    report_failures();
    reload_failed(read_clock(CLOCK_MONOTONIC));
    check_shadow(read_clock(CLOCK_MONOTONIC));
  }
}

uint64_t WasmHost::next_deadline() const {
  std::lock_guard lock(mutex_);
  constexpr uint64_t kShadowInterval = 5'000'000;
  uint64_t deadline = shadow_.running ? read_clock(CLOCK_MONOTONIC) + kShadowInterval : UINT64_MAX;
  if (current_ == nullptr) return deadline;
  for (const auto& stage : current_->stages_) {
    if (stage->failure != FailureStrategy::Reload || stage->plugin->running()) continue;
    deadline = std::min(deadline, stage->plugin->retry_at());
  }
  return deadline;
}

void WasmHost::report_failures() {
  if (current_ == nullptr) return;
  for (const auto& stage : current_->stages_) {
    const auto trap = stage->plugin->ledger()->last_trap();
    if (!trap || reported_[stage->config.name] == trap->wall_ns) continue;
    reported_[stage->config.name] = trap->wall_ns;
    say("plugin " + stage->config.name + " " + trap->version + " failed at " + trap->hook + ": " + trap->message +
        (trap->frames.empty() ? "" : ", in " + to_text(trap->frames.front())) + "; packet " + trap->packet_summary);
  }
}

void WasmHost::reload_failed(uint64_t now_ns) {
  if (current_ == nullptr) return;
  for (const auto& stage : current_->stages_) {
    LoadedPlugin& plugin = *stage->plugin;
    if (stage->failure != FailureStrategy::Reload || plugin.running() || plugin.retry_at() > now_ns) continue;
    const Status done = plugin.reload();
    if (done) {
      say("plugin " + stage->config.name + " runs again in a new instance");
    } else {
      plugin.back_off(now_ns);
      say("plugin " + stage->config.name + " cannot be reloaded: " + done.error().message);
    }
  }
}

}  // namespace sluice
