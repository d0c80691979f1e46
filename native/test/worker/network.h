#pragma once

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <memory>

#include "conntrack/flow_table.h"
#include "l3/node.h"
#include "wasm/host.h"
#include "wasm/modules.h"
#include "worker/graph.h"

namespace sluice::testing {

/// A node's packet path with stages, on the test's thread: frames go into a port, and frames come out of ports.
class Path {
 public:
  explicit Path(const DesiredState& desired, bool offloads = false, uint32_t max_flows = 1024)
      : node(desired, offloads) {
    rcu_.reset(static_cast<rte_rcu_qsbr*>(rte_zmalloc(nullptr, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE)));
    rte_rcu_qsbr_init(rcu_.get(), 1);
    rte_rcu_qsbr_thread_register(rcu_.get(), 0);
    rte_rcu_qsbr_thread_online(rcu_.get(), 0);
    FlowTableConfig config;
    config.max_flows = max_flows;
    flows = std::move(FlowTable::open(config, rcu_.get(), node.worker().now_ns).value());
    node.worker().flows = flows.get();
    WasmHostOptions options;
    options.reparse = parse_packet;
    options.before_move = [](rte_mbuf* packet) {
      if (!meta_of(packet)->reframed) freeze_reply_tuple(packet);
    };
    const auto stride = static_cast<uint32_t>(flows->slots(1) - flows->slots(0));
    options.flow_slots = {flows->slots(0), stride,           reinterpret_cast<uint8_t*>(&flows->slot_marks(0)),
                          stride,          flows->numbers(), static_cast<uint16_t>(config.slot_bytes)};
    options.settled = flows.get();
    options.reply_tuples = flows.get();
    host = std::move(WasmHost::create(options).value());
    snapshot.generation = 1;
    snapshot.ports = node.context.ports;
    snapshot.routing = {node.routing.get(), [](const RoutingSnapshot*) {}};
    stages({});
  }

  struct Placed {
    abi::Hook hook;
    StageText stage;
  };
  /// Stages named "0", "1", ..., each at its hook.
  void stages(const std::vector<Placed>& placed) {
    std::vector<Plugin> plugins;
    for (const Placed& each : placed) {
      StageText stage = each.stage;
      stage.imports = kAllImports;
      nlohmann::json manifest = {{"writes", true},
                                 {"settles", true},
                                 {"headerBytes", 128},
                                 {"hooks", {"prerouting", "forward", "postrouting", "input", "output"}}};
      if (!stage.manifest.is_null()) manifest.merge_patch(stage.manifest);
      stage.manifest = manifest;
      plugins.push_back({std::to_string(plugins.size()), stage.build(), "", {each.hook}});
    }
    run(plugins);
  }

  struct Plugin {
    std::string name;
    std::vector<uint8_t> module;
    std::string config;
    std::vector<abi::Hook> hooks;
  };
  void run(const std::vector<Plugin>& plugins) {
    std::vector<PluginConfig> configs;
    std::array<std::vector<std::string>, kHooks> hooks;
    for (const Plugin& plugin : plugins) {
      PluginConfig config;
      config.name = plugin.name;
      config.digest = digest_of(plugin.module);
      config.config = plugin.config;
      const auto added = host->add_module(config.digest, plugin.module.data(), plugin.module.size());
      if (!added) throw std::invalid_argument(added.error().message);
      for (const abi::Hook hook : plugin.hooks) hooks[static_cast<size_t>(hook)].push_back(plugin.name);
      configs.push_back(config);
    }
    auto prepared = host->prepare(configs, hooks, node.context.ports);
    if (!prepared) throw std::invalid_argument(prepared.error().path + ": " + prepared.error().message);
    snapshot.pipeline = prepared.value();
    host->committed(prepared.value());
  }

  /// A burst of frames through the path.
  void receive(std::vector<rte_mbuf*> frames, PortId port = 0) {
    graph_.receive(snapshot, *node.captures[port], frames.data(), static_cast<uint16_t>(frames.size()));
    end_burst();
  }
  void receive(const Bytes& packet, PortId port = 0) { receive({frame(packet, port)}, port); }
  rte_mbuf* frame(const Bytes& packet, PortId port = 0) {
    return node.context.packet(ethernet(port_mac(port), "0a:00:00:00:00:99", packet), port);
  }
  void tick() {
    graph_.tick(snapshot);
    end_burst();
  }

  Node node;
  std::unique_ptr<FlowTable> flows;
  std::unique_ptr<WasmHost> host;
  NodeSnapshot snapshot;

 private:
  struct Free {
    void operator()(rte_rcu_qsbr* rcu) const { rte_free(rcu); }
  };
  void end_burst() { rte_rcu_qsbr_quiescent(rcu_.get(), 0); }

  std::unique_ptr<rte_rcu_qsbr, Free> rcu_;
  Graph graph_{node.worker(), node.reassembler};
};

}  // namespace sluice::testing
