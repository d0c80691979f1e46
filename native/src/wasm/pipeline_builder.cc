#include "wasm/pipeline_builder.h"

#include <algorithm>

namespace sluice {

namespace {

Error at(const std::string& path, Error error) {
  error.path = path + (error.path.empty() || error.path[0] == '/' ? "" : "/") + error.path;
  return error;
}

bool same_configuration(const PluginConfig& a, const PluginConfig& b) {
  return a.digest == b.digest && a.config == b.config;
}

}  // namespace

Result<std::shared_ptr<Pipeline>> PipelineBuilder::build(const std::vector<PluginConfig>& plugins,
                                                         const std::array<std::vector<std::string>, kHooks>& hooks) {
  pipeline_->registry_ = host_.registry_;
  pipeline_->flow_slots_ = host_.options_.flow_slots;
  pipeline_->workers_ = host_.workers_;
  pipeline_->reparse_ = host_.options_.reparse;
  pipeline_->before_move_ = host_.options_.before_move;
  pipeline_->settled_ = {host_.options_.settled, ++host_.epoch_};
  for (size_t i = 0; i < plugins.size(); i++) {
    if (Status added = add_plugin(plugins[i], "/plugins/" + std::to_string(i)); !added) return added.error();
  }
  for (size_t hook = 0; hook < kHooks; hook++) {
    if (Status added = add_chain(static_cast<abi::Hook>(hook), hooks[hook]); !added) return added.error();
  }
  return pipeline_;
}

const Stage* PipelineBuilder::current_stage(const std::string& name) const {
  if (host_.current_ == nullptr) return nullptr;
  for (const auto& stage : host_.current_->stages_) {
    if (stage->config.name == name) return stage.get();
  }
  return nullptr;
}

Status PipelineBuilder::add_plugin(const PluginConfig& config, const std::string& path) {
  path_ = path;
  if (by_name_.count(config.name) > 0) {
    return Error{"plugin-twice", path + "/name", "plugin '" + config.name + "' is in the list twice"};
  }
  const auto module = std::find_if(host_.modules_.begin(), host_.modules_.end(),
                                   [&](const auto& known) { return known->digest == config.digest; });
  if (module == host_.modules_.end()) {
    return Error{"module-unknown", path + "/digest", "no module with digest '" + config.digest + "' was added"};
  }
  if (config.budget_us == 0 || config.budget_us > kMaxBudgetUs) {
    return Error{
        "budget-invalid", path + "/budget_us",
        std::to_string(config.budget_us) + " is not from 1 to " + std::to_string(kMaxBudgetUs) + " microseconds"};
  }
  auto stage = std::make_shared<Stage>();
  stage->config = config;
  stage->drop_key = drop_key(config.name);
  stage->failure = config.failure;
  stage->budget_ticks = ticks_of(config.budget_us);
  stage->scoped = !config.scope.empty();
  const Stage* old = current_stage(config.name);
  if (Status done = set_scope(*stage); !done) return done;
  if (Status done = load(*stage, old, *module); !done) return at(path, done.error());
  if (Status done = assign_flow_slot(*stage); !done) return at(path, done.error());
  if (Status done = configure(*stage, old); !done) return at(path, done.error());
  note_change(*stage, old);
  by_name_[config.name] = stage;
  pipeline_->stages_.push_back(std::move(stage));
  return {};
}

void PipelineBuilder::note_change(const Stage& stage, const Stage* old) {
  using Action = PluginChange::Action;
  using FlowState = PluginChange::FlowState;
  PluginChange change{stage.config.name, Action::Added, FlowState::None};
  if (old != nullptr) {
    const bool same = old->plugin == stage.plugin;
    change.action = !same ? Action::Swapped : old->generation == stage.generation ? Action::Kept : Action::Configured;
  }
  const uint8_t schema = stage.plugin->manifest().flow_schema;
  const uint8_t old_schema = old != nullptr ? old->plugin->manifest().flow_schema : schema;
  if (schema != 0) {
    const bool migrates = old_schema != 0 && old_schema != schema && stage.migrates[old_schema];
    const bool reset = fresh_slot_ ? old_schema != 0 && old != nullptr : old_schema != schema && !migrates;
    change.flow_state = reset ? FlowState::Reset : migrates ? FlowState::Migrated : FlowState::Kept;
  }
  pipeline_->changes_.push_back(std::move(change));
}

Status PipelineBuilder::set_scope(Stage& stage) {
  for (size_t i = 0; i < stage.config.scope.size(); i++) {
    const std::string& name = stage.config.scope[i];
    PortId id = 0;
    while (id < kMaxPorts && (ports_.at(id) == nullptr || ports_.at(id)->name != name)) id++;
    if (id == kMaxPorts) {
      return Error{"port-unknown", path_ + "/scope/" + std::to_string(i), "there is no port '" + name + "'"};
    }
    stage.scope.set(id);
  }
  return {};
}

Status PipelineBuilder::load(Stage& stage, const Stage* old, std::shared_ptr<const WasmModule> module) {
  // A plugin that has failed gets new instances with any change of the pipeline: that is how an operator revives it.
  const bool same = old != nullptr && old->config.digest == stage.config.digest && old->scoped == stage.scoped &&
                    old->plugin->running() && (!for_shadow_ || same_configuration(old->config, stage.config));
  if (same) {
    stage.plugin = old->plugin;
    return {};
  }
  std::vector<Window*> windows;
  for (const auto& worker : host_.workers_) windows.push_back(&worker->window);
  auto& ledger = host_.ledgers_[stage.config.name];
  if (ledger == nullptr) ledger = std::make_shared<PluginLedger>(host_.options_.workers);
  auto plugin =
      LoadedPlugin::create(std::move(module), ledger, windows, stage.scoped, [&host = host_] { host.wake(); });
  if (!plugin) return plugin.error();
  stage.plugin = std::move(plugin.value());
  return {};
}

Status PipelineBuilder::configure(Stage& stage, const Stage* old) {
  if (old != nullptr && old->plugin == stage.plugin && old->config.config == stage.config.config) {
    stage.segment = old->segment;
    stage.generation = old->generation;
    return {};
  }
  stage.generation = ++host_.generation_;
  if (stage.config.config.empty()) return {};
  auto lease = stage.plugin->configure(stage.config.config.text(), stage.generation);
  if (!lease) return lease.error();
  stage.segment = std::move(lease.value());
  return {};
}

Status PipelineBuilder::assign_flow_slot(Stage& stage) {
  const Manifest& manifest = stage.plugin->manifest();
  fresh_slot_ = false;
  if (manifest.flow_size == 0) return {};
  const FlowSlots& slots = host_.options_.flow_slots;
  if (slots.slots == nullptr)
    return Error{"flow-state-unavailable", "", "the node's flow table has no room for plugins"};
  const bool had_slot = pipeline_->registry_.find(stage.config.name) != nullptr;
  auto slot = pipeline_->registry_.assign(stage.config.name, manifest.flow_size, manifest.flow_schema, fresh_slot_);
  if (!slot) return slot.error();
  pipeline_->registry_.mark_in_use(stage.config.name, true);
  stage.flow = slot.value();
  stage.flow.size = manifest.flow_size;
  for (const uint8_t schema : manifest.migrates_from) stage.migrates.set(schema);
  if (fresh_slot_) {
    if (had_slot && !stage.config.reset_flow_state) {
      return Error{
          "flow-state-incompatible", "",
          "the new version's flow slot is larger than the old one's place; set reset_flow_state to drop the old state"};
    }
    for (uint32_t flow = 0; flow < slots.flows; flow++) slots.clear(flow, stage.flow.index);
    return {};
  }
  return stage.config.reset_flow_state || is_live(stage) ? Status() : check_schemas(stage, stage.flow.index);
}

/// True when the flows' state was checked as the same module came, which alone has written its slot since: to look at
/// every flow takes a millisecond, and most transactions change no module.
bool PipelineBuilder::is_live(const Stage& stage) const {
  const Stage* live = current_stage(stage.config.name);
  return live != nullptr && live->config.digest == stage.config.digest && live->flow.index == stage.flow.index &&
         !live->config.reset_flow_state;
}

Status PipelineBuilder::check_schemas(const Stage& stage, uint8_t index) {
  std::bitset<256> present;
  const FlowSlots& slots = host_.options_.flow_slots;
  for (uint32_t flow = 0; flow < slots.flows; flow++) present.set(slots.schema(flow, index));
  // What runs now goes on writing its own until the switch.
  const Stage* old = current_stage(stage.config.name);
  if (old != nullptr) present.set(old->plugin->manifest().flow_schema);
  present.reset(0);
  present.reset(stage.plugin->manifest().flow_schema);
  present &= ~stage.migrates;
  if (present.none()) return {};
  std::string versions;
  for (size_t schema = 1; schema < present.size(); schema++) {
    if (present[schema]) versions += (versions.empty() ? "" : ", ") + std::to_string(schema);
  }
  return Error{"flow-state-incompatible", "",
               "flows hold state of schema " + versions + "; version " + stage.plugin->manifest().version +
                   " has schema " + std::to_string(stage.plugin->manifest().flow_schema) +
                   " and does not migrate from there; set reset_flow_state to drop the old state"};
}

Status PipelineBuilder::add_chain(abi::Hook hook, const std::vector<std::string>& names) {
  Chain& chain = pipeline_->chains_[static_cast<size_t>(hook)];
  for (size_t i = 0; i < names.size(); i++) {
    const std::string path = std::string("/pipeline/") + hook_name(hook) + "/" + std::to_string(i);
    const auto found = by_name_.find(names[i]);
    if (found == by_name_.end()) return Error{"plugin-unknown", path, "there is no plugin '" + names[i] + "'"};
    const auto& stage = found->second;
    if (std::find(chain.stages.begin(), chain.stages.end(), stage) != chain.stages.end()) {
      return Error{"plugin-twice", path, "plugin '" + names[i] + "' is at this hook twice"};
    }
    const Manifest& manifest = stage->plugin->manifest();
    if (!manifest.has_hook(hook)) {
      return Error{
          "hook-not-supported", path,
          "plugin '" + names[i] + "' does not run at " + hook_name(hook) + ", only at the hooks in its manifest"};
    }
    chain.header_bytes = std::max(chain.header_bytes, manifest.header_bytes);
    chain.shared_window = chain.shared_window || !stage->scoped;
    chain.stages.push_back(stage);
  }
  chain.header_bytes = static_cast<uint16_t>((chain.header_bytes + 63) / 64 * 64);
  number_settlers(chain);
  return {};
}

void PipelineBuilder::number_settlers(Chain& chain) {
  const size_t count = chain.stages.size();
  chain.first_settler = settlers_;
  const bool all = std::all_of(chain.stages.begin(), chain.stages.end(),
                               [](const auto& stage) { return stage->plugin->manifest().settles; });
  if (count == 0 || !all || host_.options_.settled == nullptr || settlers_ + count > kMaxSettlers) return;
  chain.settlers = static_cast<uint16_t>(((1u << count) - 1) << settlers_);
  settlers_ = static_cast<uint16_t>(settlers_ + count);
}

}  // namespace sluice
