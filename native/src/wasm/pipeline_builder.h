#pragma once

#include <map>

#include "wasm/host.h"
#include "wasm/plugin.h"

namespace sluice {

/// One WasmHost::prepare(): desired plugins in, pipeline out. The host's lock is held.
class PipelineBuilder {
 public:
  PipelineBuilder(WasmHost& host, const PortTable& ports, bool for_shadow)
      : host_(host), ports_(ports), for_shadow_(for_shadow), pipeline_(std::make_shared<Pipeline>()) {}

  Result<std::shared_ptr<Pipeline>> build(const std::vector<PluginConfig>& plugins,
                                          const std::array<std::vector<std::string>, kHooks>& hooks);

 private:
  Status add_plugin(const PluginConfig& config, const std::string& path);
  Status load(Stage& stage, const Stage* old, std::shared_ptr<const WasmModule> module);
  Status configure(Stage& stage, const Stage* old);
  void note_change(const Stage& stage, const Stage* old);
  Status set_scope(Stage& stage);
  Status assign_flow_slot(Stage& stage);
  Status check_schemas(const Stage& stage, uint8_t index);
  bool is_live(const Stage& stage) const;
  Status add_chain(abi::Hook hook, const std::vector<std::string>& names);
  void number_settlers(Chain& chain);
  const Stage* current_stage(const std::string& name) const;

  WasmHost& host_;
  const PortTable& ports_;
  const bool for_shadow_;
  std::shared_ptr<Pipeline> pipeline_;
  std::map<std::string, std::shared_ptr<const Stage>> by_name_;
  uint16_t settlers_ = 0;    ///< stages of the chains made so far
  std::string path_;         ///< of the plugin in work
  bool fresh_slot_ = false;  ///< its flow slot's place is new: no flow has state there
};

}  // namespace sluice
