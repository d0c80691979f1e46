#include "bench_node.h"

#include <rte_malloc.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "control/node.h"
#include "core/clock.h"
#include "parse/parse.h"
#include "wasm/sha256.h"

namespace sluice::bench {

namespace {

int nodes_made = 0;  ///< names their buffer pools

template <typename T>
T need(Result<T> result, const std::string& what) {
  if (!result) throw std::runtime_error(what + ": " + result.error().path + " " + result.error().message);
  return std::move(result.value());
}

IpAddress address4(uint32_t address) {
  IpAddress made;
  made.family = 4;
  for (int i = 0; i < 4; i++) made.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(address >> (24 - 8 * i));
  return made;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

BenchNode::BenchNode(const Setup& setup)
    : modules_(setup.modules),
      pools_(need(make_buffer_pools("bench" + std::to_string(nodes_made++), setup.buffers, 64), "buffers")),
      rcu_(static_cast<rte_rcu_qsbr*>(rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(setup.workers), RTE_CACHE_LINE_SIZE)),
           [](rte_rcu_qsbr* rcu) { rte_free(rcu); }) {
  if (rcu_ == nullptr || rte_rcu_qsbr_init(rcu_.get(), setup.workers) != 0)
    throw std::runtime_error("no memory for RCU");
  FlowTableConfig flows;
  flows.max_flows = setup.max_flows;
  flows.workers = setup.workers;
  flows_ = need(FlowTable::open(flows, rcu_.get(), read_clock(CLOCK_MONOTONIC)), "flow table");
  neighbours_ = need(Neighbours::create(), "neighbours");
  WasmHostOptions wasm;
  wasm.workers = setup.workers;
  wasm.perfmap = getenv("SLUICE_PERFMAP") != nullptr;
  wasm.reparse = parse_packet;
  wasm.before_move = before_move;
  wasm.synchronize = [this] { rte_rcu_qsbr_synchronize(rcu_.get(), RTE_QSBR_THRID_INVALID); };
  wasm_ = need(WasmHost::create(std::move(wasm)), "Wasm host");
  wasm_->set_flow_slots(flow_slots_of(*flows_, flows.slot_bytes));
  wasm_->set_settled_flows(*flows_);
  wasm_->set_reply_tuples(*flows_);
  spent_.resize(setup.workers * size_t{16});  // apart by two cache lines
  for (uint16_t id = 0; id < 2 * setup.workers; id++) {
    ports_.push_back(make_port(id, setup));
  }
  const DesiredState desired = state(setup.workers);
  const auto resolve = [this](const std::string& name) -> std::optional<PortIdentity> {
    for (const auto& port : ports_) {
      if (port->name == name) return PortIdentity{port->id, port->mac, port->mtu};
    }
    return std::nullopt;
  };
  routing_ = need(build_routing(desired, resolve), "routing");
  neighbours_->set_static(routing_->static_neighbours);
  shared_.rcu = rcu_.get();
  shared_.pools = pools_;
  shared_.flows = flows_.get();
  shared_.neighbours = neighbours_.get();
  for (uint16_t id = 0; id < setup.workers; id++) {
    workers_.push_back(std::make_unique<Worker>(id, id < setup.cores.size() ? setup.cores[id] : -1, shared_));
    if (Status started = workers_.back()->start(); !started) throw std::runtime_error(started.error().message);
  }
  use({});
}

BenchNode::~BenchNode() {
  workers_.clear();
  ports_.clear();  // devices hold buffers
  snapshot_.reset();
  wasm_.reset();
  neighbours_.reset();
  flows_.reset();
  free_buffer_pools(pools_);
}

std::unique_ptr<Port> BenchNode::make_port(uint16_t id, const Setup& setup) {
  if (!setup.devices.empty()) {
    PortConfig config;
    config.name = "port" + std::to_string(id);
    config.kind = PortKind::Dpdk;
    config.devargs = setup.devices.at(id);
    config.mac = port_mac(id);
    return need(open_port(config, id, pools_, setup.workers), config.devargs);
  }
  auto port = std::make_unique<GeneratorPort>(pools_.packets, spent_[id / 2 * size_t{16}]);
  port->id = id;
  port->name = "port" + std::to_string(id);
  port->mac = port_mac(id);
  return port;
}

/// Each port has a gateway with a known MAC, and all clients or servers are behind it.
DesiredState BenchNode::state(uint16_t workers) const {
  DesiredState desired;
  for (uint16_t id = 0; id < 2 * workers; id++) {
    PortConfig port;
    port.name = "port" + std::to_string(id);
    port.kind = PortKind::Inject;
    const uint32_t network = 0xc0a80000u + (uint32_t{id} << 8);
    port.addresses = {{address4(network + 1), 24}};
    desired.ports.push_back(port);
    desired.neighbours.push_back({port.name, address4(network + 2), peer_mac(id)});
    RouteConfig route;
    route.prefix = id % 2 == 0 ? IpPrefix{address4(0x0a000000u + (uint32_t{id} << 21)), 11}
                               : IpPrefix{address4(0x0a800000u + (uint32_t{id} << 16)), 16};
    NextHopConfig hop;
    hop.port = port.name;
    hop.gateway = address4(network + 2);
    route.next_hops = {hop};
    desired.routes.push_back(route);
  }
  return desired;
}

const std::string& BenchNode::digest_of(const std::string& module) {
  const auto known = digests_.find(module);
  if (known != digests_.end()) return known->second;
  const std::string bytes = read_file(modules_ + "/" + module + ".wasm");
  const std::string digest = sha256_hex(bytes.data(), bytes.size());
  need(wasm_->add_module(digest, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), module);
  return digests_[module] = digest;
}

void BenchNode::use(const std::vector<StageUse>& stages) {
  std::vector<PluginConfig> plugins;
  std::array<std::vector<std::string>, kHooks> hooks;
  digests_.clear();  // the host lets go of modules that the last pipeline did not use
  for (const StageUse& stage : stages) {
    PluginConfig plugin;
    plugin.name = stage.name;
    plugin.digest = digest_of(stage.name);
    plugin.config = stage.config;
    plugins.push_back(plugin);
    for (const abi::Hook hook : stage.hooks) hooks[static_cast<size_t>(hook)].push_back(stage.name);
  }
  PortTable ports;
  for (const auto& port : ports_) ports.set(port->id, port.get());
  publish(need(wasm_->prepare(plugins, hooks, ports), "pipeline"));
}

void BenchNode::publish(std::shared_ptr<Pipeline> pipeline) {
  auto next = std::make_unique<NodeSnapshot>();
  next->generation = ++generation_;
  next->routing = routing_;
  next->pipeline = pipeline;
  next->polls.resize(workers_.size());
  for (const auto& port : ports_) {
    next->ports.set(port->id, port.get());
    next->polls[port->id / 2].push_back({port.get(), 0});
  }
  shared_.snapshot.store(next.get(), std::memory_order_release);
  rte_rcu_qsbr_synchronize(rcu_.get(), RTE_QSBR_THRID_INVALID);
  snapshot_ = std::move(next);
  wasm_->committed(std::move(pipeline));
}

void BenchNode::check_drops() const {
  for (const auto& worker : workers_) {
    for (size_t reason = 0; reason < abi::kDropReasonCount; reason++) {
      const uint64_t dropped = worker->context().counters.drops[reason].load(std::memory_order_relaxed);
      if (dropped == 0) continue;
      throw std::runtime_error(std::to_string(dropped) + " packets were dropped: " + abi::kDropReasonNames[reason]);
    }
  }
}

}  // namespace sluice::bench
