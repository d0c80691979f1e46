#include "control/dataplane.h"

#include <rte_cycles.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "control/json_reader.h"
#include "control/json_text.h"
#include "control/node.h"
#include "control/observe.h"
#include "control/stage_runner.h"
#include "control/status.h"
#include "core/clock.h"
#include "port/inject_port.h"

namespace sluice {

namespace {

using Json = nlohmann::json;

const PluginConfig* find_plugin(const DesiredState& state, const std::string& name) {
  const auto found = std::find_if(state.plugins.begin(), state.plugins.end(),
                                  [&](const PluginConfig& plugin) { return plugin.name == name; });
  return found != state.plugins.end() ? &*found : nullptr;
}

std::string flow_state_fate(const WasmHost& wasm, const PluginConfig* before, const PluginConfig& after) {
  const auto now = wasm.manifest(after.digest);
  if (!now || now.value().flow_size == 0) return "none";
  if (before == nullptr) return "none";
  if (before->digest == after.digest) return "kept";
  const auto old = wasm.manifest(before->digest);
  if (!old || old.value().flow_schema == now.value().flow_schema) return "kept";
  const auto& from = now.value().migrates_from;
  return std::find(from.begin(), from.end(), old.value().flow_schema) != from.end() ? "migrated" : "reset";
}

Json plugin_change(const WasmHost& wasm, const PluginConfig* before, const PluginConfig& after) {
  const char* action = before == nullptr                ? "added"
                       : before->digest != after.digest ? "swapped"
                       : before->config != after.config ? "configured"
                                                        : "kept";
  return {{"name", after.name}, {"action", action}, {"flowState", flow_state_fate(wasm, before, after)}};
}

Result<ShadowLimits> read_limits(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{"invalid-limits", "", "the limits are no JSON text"};
  std::optional<Error> error;
  JsonReader reader(json, "", error);
  ShadowLimits limits;
  limits.packets = reader.number("packets", limits.packets, UINT32_MAX);
  limits.max_differences = reader.number("maxDifferences", limits.max_differences, UINT32_MAX);
  limits.timeout_ms = static_cast<uint32_t>(reader.number("timeoutMs", limits.timeout_ms, 3'600'000));
  if (error) return *error;
  return limits;
}

}  // namespace

class Dataplane::Impl {
 public:
  std::mutex transactions;  ///< one of those that change something at a time
  std::mutex parts;         ///< held for as long as `node` is read or its parts are exchanged
  std::unique_ptr<Node> node;
  EalInfo eal;
  uint32_t memory_mb = 0;
  uint64_t started_ns = read_clock(CLOCK_MONOTONIC);
  std::mutex observing;                      ///< guards `observation` and `is_stopped`
  std::shared_ptr<Observation> observation;  ///< null before the first apply()
  bool is_stopped = false;
  std::mutex status_text;  ///< guards last_status
  Json last_status;        ///< what status() answers while a transaction holds the parts

  Json read_status();
  Result<std::shared_ptr<Observation>> observed();

  static Error stopped() { return {"stopped", "", "the dataplane was stopped"}; }
};

Dataplane::Dataplane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dataplane::~Dataplane() {
  stop();
}

Result<std::unique_ptr<Dataplane>> Dataplane::start(const StartOptions& options) {
  auto eal = start_eal(options.eal);
  if (!eal) return eal.error();
  auto node = Node::start(options);
  if (!node) return node.error();
  auto impl = std::make_unique<Impl>();
  impl->node = std::move(node.value());
  impl->eal = eal.value();
  impl->memory_mb = options.eal.memory_mb;
  impl->last_status = impl->read_status();
  return std::unique_ptr<Dataplane>(new Dataplane(std::move(impl)));
}

const EalInfo& Dataplane::memory() const {
  return impl_->eal;
}

Result<std::string> Dataplane::add_module(const std::string& digest, const std::vector<uint8_t>& wasm) {
  const std::lock_guard<std::mutex> lock(impl_->transactions);
  if (!impl_->node) return Impl::stopped();
  auto manifest = impl_->node->wasm().add_module(digest, wasm.data(), wasm.size());
  if (!manifest) return manifest.error();
  return json_text(manifest_json(manifest.value()));
}

Result<std::string> Dataplane::apply(const std::string& text, std::vector<std::string> configs) {
  const std::lock_guard<std::mutex> lock(impl_->transactions);
  if (!impl_->node) return Impl::stopped();
  Node& node = *impl_->node;
  auto state = read_state(text, std::move(configs), node.state(), node.applied());
  if (!state) return state.error();
  const std::lock_guard<std::mutex> parts(impl_->parts);
  Json plugins = Json::array();
  for (const PluginConfig& plugin : state.value().plugins) {
    plugins.push_back(plugin_change(node.wasm(), find_plugin(node.state(), plugin.name), plugin));
  }
  Status done = node.apply(std::move(state.value()));
  {
    const std::lock_guard<std::mutex> observing(impl_->observing);
    impl_->observation = node.observation();
  }
  if (!done) return done.error();
  return json_text({{"generation", node.applied()}, {"plugins", plugins}});
}

Result<std::string> Dataplane::shadow(const std::string& text, std::vector<std::string> configs,
                                      const std::string& plugin, const std::string& limit_text) {
  const std::lock_guard<std::mutex> lock(impl_->transactions);
  if (!impl_->node) return Impl::stopped();
  const auto state = read_state(text, std::move(configs), impl_->node->state(), impl_->node->applied());
  if (!state) return state.error();
  const auto limits = read_limits(limit_text);
  if (!limits) return limits.error();
  WasmHost& wasm = impl_->node->wasm();
  auto candidate = impl_->node->prepare_pipeline(state.value());
  if (!candidate) return candidate.error();
  if (Status started = wasm.start_shadow(candidate.value(), limits.value()); !started) return started.error();
  auto report = wasm.shadow_report();
  while (report && report.value().state == ShadowReport::State::Running) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    report = wasm.shadow_report();
  }
  wasm.stop_shadow();
  if (!report) return report.error();
  return json_text(shadow_json(report.value(), plugin));
}

std::string Dataplane::status() {
  // The caller is JavaScript's only thread: it does not wait for a transaction's end.
  const std::unique_lock<std::mutex> parts(impl_->parts, std::try_to_lock);
  const std::lock_guard<std::mutex> text(impl_->status_text);
  if (parts.owns_lock() && impl_->node) {
    impl_->last_status = impl_->read_status();
  } else {
    impl_->last_status["messages"] = Json::array();  // each is told once
  }
  return json_text(impl_->last_status);
}

Json Dataplane::Impl::read_status() {
  node->look_after_ports();
  Json flows = {{"active", 0}, {"max", 0}, {"created", 0}, {"expired", 0}, {"evicted", 0}, {"refused", 0}};
  Json stages = Json::array();
  Json messages = Json::array();
  if (FlowTable* table = node->flows()) {
    const FlowCounters counters = table->counters();
    flows = {{"active", table->live()},      {"max", table->max_flows()},   {"created", counters.created},
             {"expired", counters.expired},  {"evicted", counters.evicted}, {"refused", counters.full_drops},
             {"restored", table->restored()}};
    stages = stages_json(node->wasm().status());
    for (const std::string& message : node->wasm().take_messages()) messages.push_back(message);
  }
  return {{"generation", node->applied()},
          {"uptimeMs", (read_clock(CLOCK_MONOTONIC) - started_ns) / 1'000'000},
          {"switchUs", node->switch_ns() / 1'000},
          {"tscHz", rte_get_tsc_hz()},
          {"hugepages", eal.hugepages},
          {"memoryMb", memory_mb},
          {"buffers", buffers_json(node->pools())},
          {"workers", workers_json(node->workers())},
          {"ports", ports_json(node->ports())},
          {"stages", stages},
          {"drops", drops_json(node->workers())},
          {"flows", flows},
          {"messages", messages}};
}

Result<uint32_t> Dataplane::inject(const std::string& name, const std::vector<std::vector<uint8_t>>& frames) {
  const std::lock_guard<std::mutex> parts(impl_->parts);
  if (!impl_->node) return Impl::stopped();
  InjectPort* port = InjectPort::of(impl_->node->ports().find(name));
  if (port == nullptr) return Error{"no-such-port", name, "no port of kind inject has this name"};
  uint32_t taken = 0;
  while (taken < frames.size() && port->inject({frames[taken], 0, 0})) taken++;
  for (const auto& worker : impl_->node->workers()) worker->wake();
  return taken;
}

Result<std::vector<std::vector<uint8_t>>> Dataplane::collect(const std::string& name, uint32_t most) {
  const std::lock_guard<std::mutex> parts(impl_->parts);
  if (!impl_->node) return Impl::stopped();
  InjectPort* port = InjectPort::of(impl_->node->ports().find(name));
  if (port == nullptr) return Error{"no-such-port", name, "no port of kind inject has this name"};
  std::vector<std::vector<uint8_t>> frames;
  for (InjectedFrame& frame : port->collect(most)) frames.push_back(std::move(frame.bytes));
  return frames;
}

Result<std::string> Dataplane::run_stage(const std::string& request) {
  const std::lock_guard<std::mutex> lock(impl_->transactions);
  if (!impl_->node) return Impl::stopped();
  return sluice::run_stage(*impl_->node, request);
}

/// For calls of JavaScript's thread, which do not wait for a transaction's end.
Result<std::shared_ptr<Observation>> Dataplane::Impl::observed() {
  const std::lock_guard<std::mutex> lock(observing);
  if (is_stopped) return stopped();
  if (observation == nullptr) return Error{"not-applied", "", "nothing runs yet; apply a state first"};
  return observation;
}

Result<uint32_t> Dataplane::start_trace(const std::string& options) {
  auto observation = impl_->observed();
  return observation ? sluice::start_trace(*observation.value(), options) : observation.error();
}

Result<std::string> Dataplane::read_trace(uint32_t id) {
  auto observation = impl_->observed();
  return observation ? sluice::read_trace(*observation.value(), id) : observation.error();
}

Result<uint32_t> Dataplane::start_capture(const std::string& options) {
  auto observation = impl_->observed();
  return observation ? sluice::start_capture(*observation.value(), options) : observation.error();
}

Result<CaptureRead> Dataplane::read_capture(uint32_t id, uint32_t max) {
  auto observation = impl_->observed();
  return observation ? observation.value()->read_capture(id, max) : observation.error();
}

Status Dataplane::stop_observing(uint32_t id) {
  auto observation = impl_->observed();
  return observation ? observation.value()->stop(id) : observation.error();
}

Result<std::string> Dataplane::drops() {
  auto observation = impl_->observed();
  return observation ? sluice::drops(*observation.value()) : Result<std::string>(observation.error());
}

Result<std::string> Dataplane::flows(const std::string& query) {
  auto observation = impl_->observed();
  return observation ? sluice::flows(*observation.value(), query) : observation.error();
}

Result<std::string> Dataplane::profile(const std::string& options) {
  auto observation = impl_->observed();
  return observation ? sluice::profile(*observation.value(), options) : observation.error();
}

void Dataplane::stop() {
  {
    const std::lock_guard<std::mutex> lock(impl_->observing);
    impl_->is_stopped = true;
    if (impl_->observation != nullptr) impl_->observation->close();
  }
  const std::lock_guard<std::mutex> lock(impl_->transactions);
  const std::lock_guard<std::mutex> parts(impl_->parts);
  impl_->node.reset();
}

}  // namespace sluice
