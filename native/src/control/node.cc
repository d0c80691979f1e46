#include "control/node.h"

#include <algorithm>

#include "core/clock.h"
#include "parse/parse.h"
#include "wasm/plugin.h"

namespace sluice {

namespace {

constexpr auto kHousekeepingPause = std::chrono::milliseconds(100);
constexpr uint32_t kSweepsPerRound = 50;  ///< pauses in which the whole flow table is looked at

}  // namespace

void before_move(rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  if (!meta.reframed) freeze_reply_tuple(packet);
}

FlowSlots flow_slots_of(FlowTable& flows, uint32_t slot_bytes) {
  FlowSlots slots;
  slots.slots = flows.slots(0);
  slots.marks = reinterpret_cast<uint8_t*>(&flows.slot_marks(0));
  slots.slot_stride = slots.marks_stride = static_cast<uint32_t>(flows.slots(1) - flows.slots(0));
  slots.flows = flows.numbers();
  slots.bytes_per_flow = static_cast<uint16_t>(slot_bytes);
  return slots;
}

Result<std::unique_ptr<Node>> Node::start(const StartOptions& options) {
  std::unique_ptr<Node> node(new Node(options));
  if (Status status = node->start_parts(); !status) return status.error();
  return node;
}

Status Node::start_parts() {
  auto pools = make_buffer_pools(options_.eal.name, options_.buffers, options_.jumbos);
  if (!pools) return pools.error();
  shared_.pools = pools.value();
  rcu_.reset(
      static_cast<rte_rcu_qsbr*>(rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(options_.workers), RTE_CACHE_LINE_SIZE)));
  if (rcu_ == nullptr || rte_rcu_qsbr_init(rcu_.get(), options_.workers) != 0) {
    return Error{"out-of-memory", "/memory", "no memory for the workers' quiescence; give the node more memory"};
  }
  shared_.rcu = rcu_.get();
  shared_.busy_poll = options_.busy_poll;
  auto neighbours = Neighbours::create();
  if (!neighbours) return neighbours.error();
  neighbours_ = std::move(neighbours.value());
  shared_.neighbours = neighbours_.get();
  ports_ = std::make_unique<PortSet>(shared_.pools, options_.workers);
  WasmHostOptions wasm;
  wasm.workers = options_.workers;
  wasm.cache_dir = options_.cache_dir;
  wasm.reparse = parse_packet;
  wasm.before_move = before_move;
  wasm.synchronize = [this] { rte_rcu_qsbr_synchronize(rcu_.get(), RTE_QSBR_THRID_INVALID); };
  auto host = WasmHost::create(std::move(wasm));
  if (!host) return host.error();
  wasm_ = std::move(host.value());
  return {};
}

Node::~Node() {
  stopping_ = true;
  if (housekeeper_.joinable()) housekeeper_.join();
  if (observation_) observation_->close();
  if (wasm_) wasm_->stop_shadow();
  workers_.clear();
  snapshot_.reset();
  wasm_.reset();
  if (ports_) ports_->close_all(options_.keep_taps);
  neighbours_.reset();
  flows_.reset();
  free_buffer_pools(shared_.pools);
}

/// The first apply brings the flow table's size; what depends on it starts then.
Status Node::begin(const ConntrackConfig& conntrack) {
  FlowTableConfig config;
  config.max_flows = conntrack.max_flows;
  config.file = conntrack.file;
  config.workers = options_.workers;
  auto flows = FlowTable::open(config, rcu_.get(), read_clock(CLOCK_MONOTONIC));
  if (!flows) return flows.error();
  flows_ = std::move(flows.value());
  wasm_->set_flow_slots(flow_slots_of(*flows_, config.slot_bytes));
  wasm_->set_settled_flows(*flows_);
  wasm_->set_reply_tuples(*flows_);
  shared_.flows = flows_.get();
  load_slot_registry();
  flow_message_ = flows_->reset_reason().empty() ? std::to_string(flows_->restored()) + " flows found again"
                                                 : "flows of an earlier run were not kept: " + flows_->reset_reason();
  if (Status started = start_workers(); !started) return started;
  open_observation();
  housekeeper_ = std::thread([this] { keep_house(); });
  return {};
}

void Node::open_observation() {
  ObservedNode observed;
  for (const auto& worker : workers_) {
    const auto watch = [worker = worker.get()](Tracer* tracer) { worker->watch(tracer); };
    observed.workers.push_back({watch, worker->thread(), worker->context().drop_log.get()});
  }
  observed.synchronize = [this] { rte_rcu_qsbr_synchronize(rcu_.get(), RTE_QSBR_THRID_INVALID); };
  observed.flows = flows_.get();
  observed.slots = [this] { return wasm_->slot_registry(); };
  observed.module = [this](const std::string& plugin) -> std::shared_ptr<const WasmModule> {
    const auto pipeline = wasm_->current();
    if (pipeline == nullptr) return nullptr;
    for (const Chain& chain : pipeline->chains()) {
      for (const auto& stage : chain.stages) {
        if (stage->config.name == plugin) return stage->plugin->module();
      }
    }
    return nullptr;
  };
  observation_ = std::make_shared<Observation>(std::move(observed));
}

/// The names that observers may ask for.
void Node::name_observed() {
  std::set<std::string> ports, stages;
  for (const auto& [name, entry] : ports_->entries()) ports.insert(name);
  for (const PluginConfig& plugin : state_.plugins) stages.insert(plugin.name);
  observation_->set_names(std::move(ports), std::move(stages));
}

Status Node::start_workers() {
  for (uint16_t id = 0; id < options_.workers; id++) {
    const int core = id < options_.worker_cores.size() ? options_.worker_cores[id] : -1;
    workers_.push_back(std::make_unique<Worker>(id, core, shared_));
    if (Status started = workers_.back()->start(); !started) {
      workers_.pop_back();
      workers_.clear();
      return started;
    }
  }
  return {};
}

Status Node::check_conntrack(const ConntrackConfig& wanted) const {
  if (wanted.max_flows != state_.conntrack.max_flows) {
    return Error{"needs-restart", "/conntrack/maxFlows",
                 "is " + std::to_string(state_.conntrack.max_flows) + " while the node runs; restart it to have " +
                     std::to_string(wanted.max_flows)};
  }
  if (wanted.file != state_.conntrack.file) {
    return Error{"needs-restart", "/conntrack/file", "can't change while the node runs; restart it"};
  }
  return {};
}

Status Node::apply(DesiredState state) {
  const auto timeouts = make_timeouts(state.conntrack.timeouts);
  if (!timeouts) return timeouts.error();
  if (flows_ != nullptr) {
    if (Status same = check_conntrack(state.conntrack); !same) return same;
  } else if (Status begun = begin(state.conntrack); !begun) {
    return begun;
  }
  state_.conntrack = state.conntrack;
  auto prepared = ports_->prepare(state.ports, [this](const auto& names) { release(names); });
  Status done = prepared ? apply_to(state, prepared.value()) : Status(prepared.error());
  if (!done) {
    restore_ports();
    return done;
  }
  flows_->set_timeouts(timeouts.value());
  state_ = std::move(state);
  applied_++;
  name_observed();
  save_slot_registry();
  return {};
}

/// What is in force serves on where it would be made of the same.
Result<std::shared_ptr<const RoutingSnapshot>> Node::routing_for(const DesiredState& state,
                                                                 const PortSet::Entries& entries) const {
  const auto same_port = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.port == b.second.port;
  };
  const auto& open = ports_->entries();
  const bool same = snapshot_ != nullptr && same_routing(state_, state) &&
                    std::equal(entries.begin(), entries.end(), open.begin(), open.end(), same_port);
  if (same) return snapshot_->routing;
  const auto resolve = [&](const std::string& name) -> std::optional<PortIdentity> {
    const auto found = entries.find(name);
    if (found == entries.end()) return std::nullopt;
    const Port& port = *found->second.port;
    return PortIdentity{port.id, port.mac, port.mtu, port.peer_mac};
  };
  auto built = build_routing(state, resolve, spare_fib_);
  if (!built) return built.error();
  return std::shared_ptr<const RoutingSnapshot>(std::move(built.value()));
}

Status Node::apply_to(const DesiredState& state, PortSet::Prepared& prepared) {
  auto routing = routing_for(state, prepared.entries);
  if (!routing) {
    ports_->abandon(prepared);
    return routing.error();
  }
  PortTable table;
  for (const auto& [name, entry] : prepared.entries) table.set(entry.port->id, entry.port.get());
  auto pipeline = wasm_->prepare(state.plugins, state.pipeline, table);
  if (!pipeline) {
    ports_->abandon(prepared);
    return pipeline.error();
  }
  for (const std::string& name : prepared.returned) neighbours_->forget_port(prepared.entries.at(name).port->id);
  neighbours_->set_static(routing.value()->static_neighbours);
  publish(make_snapshot(prepared.entries, {}, routing.value(), pipeline.value()));
  wasm_->committed(pipeline.value());
  for (const auto& [name, entry] : ports_->entries()) {
    if (prepared.entries.count(name) == 0) neighbours_->forget_port(entry.port->id);
  }
  ports_->commit(std::move(prepared));
  return {};
}

Result<std::shared_ptr<Pipeline>> Node::prepare_pipeline(const DesiredState& state) {
  if (snapshot_ == nullptr) return Error{"not-applied", "", "nothing runs yet; apply a state first"};
  return wasm_->prepare(state.plugins, state.pipeline, snapshot_->ports, /*for_shadow=*/true);
}

std::unique_ptr<NodeSnapshot> Node::make_snapshot(const PortSet::Entries& entries,
                                                  const std::vector<std::string>& without,
                                                  std::shared_ptr<const RoutingSnapshot> routing,
                                                  std::shared_ptr<Pipeline> pipeline) const {
  auto snapshot = std::make_unique<NodeSnapshot>();
  snapshot->routing = std::move(routing);
  snapshot->pipeline = std::move(pipeline);
  snapshot->polls.resize(options_.workers);
  size_t turn = 0;
  for (const auto& [name, entry] : entries) {
    if (std::find(without.begin(), without.end(), name) != without.end()) continue;
    Port* port = entry.port.get();
    snapshot->ports.set(port->id, port);
    for (uint16_t queue = 0; queue < port->queues() && !port->gone(); queue++) {
      snapshot->polls[turn++ % options_.workers].push_back({port, queue});
    }
  }
  return snapshot;
}

/// After a refused state: ports that were opened anew for it are open as before, but are other objects than workers
/// know.
void Node::restore_ports() {
  const auto& entries = ports_->entries();
  const bool same = std::all_of(entries.begin(), entries.end(), [this](const auto& entry) {
    return snapshot_ == nullptr || snapshot_->ports.at(entry.second.port->id) == entry.second.port.get();
  });
  if (!same) publish(make_snapshot(entries, {}, snapshot_->routing, snapshot_->pipeline));
}

void Node::release(const std::vector<std::string>& names) {
  if (snapshot_) publish(make_snapshot(ports_->entries(), names, snapshot_->routing, snapshot_->pipeline));
}

void Node::publish(std::unique_ptr<NodeSnapshot> next) {
  next->generation = ++generation_;
  const uint64_t start = read_clock(CLOCK_MONOTONIC);
  shared_.snapshot.store(next.get(), std::memory_order_release);
  for (const auto& worker : workers_) worker->wake();
  rte_rcu_qsbr_synchronize(rcu_.get(), RTE_QSBR_THRID_INVALID);
  switch_ns_ = read_clock(CLOCK_MONOTONIC) - start;
  snapshot_ = std::move(next);
}

void Node::load_slot_registry() {
  if (flows_->restored() == 0) return;
  auto registry = SlotRegistry::parse(flows_->slot_registry(), FlowTableConfig{}.slot_bytes);
  // Without it plugins get new slots, which begin empty: their flows are as new to them.
  if (registry) wasm_->set_slot_registry(std::move(registry.value()));
}

void Node::save_slot_registry() {
  // A registry that the next run can't read would give it other plugins' slots for its own.
  if (!flows_->keep_slot_registry(wasm_->slot_registry().serialize())) flows_->keep_slot_registry("");
}

void Node::keep_house() {
  const size_t share = std::max<size_t>(1024, flows_->max_flows() / kSweepsPerRound);
  while (!stopping_) {
    flows_->age(read_clock(CLOCK_MONOTONIC), share);
    std::this_thread::sleep_for(kHousekeepingPause);
  }
}

}  // namespace sluice
