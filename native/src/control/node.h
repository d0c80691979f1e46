#pragma once

#include <rte_malloc.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "conntrack/flow_table.h"
#include "control/dataplane.h"
#include "control/port_set.h"
#include "l3/neighbours.h"
#include "observe/observation.h"
#include "wasm/host.h"
#include "worker/worker.h"

namespace sluice {

/// A stage is about to push or pop: the flow's tuple is still where it is known to be. For
/// WasmHostOptions::before_move.
void before_move(rte_mbuf* packet);

/// The flow table's records as stages' state lies in them.
FlowSlots flow_slots_of(FlowTable& flows, uint32_t slot_bytes);

/// The parts of a running node, in the order that they depend on each other. Not thread-safe: Dataplane takes its calls
/// one at a time.
class Node {
 public:
  static Result<std::unique_ptr<Node>> start(const StartOptions& options);
  ~Node();

  /// Makes the node what `state` says, or changes nothing.
  Status apply(DesiredState state);
  /// Notes which ports are lost: as PortSet::look_after().
  void look_after_ports() { ports_->look_after(); }
  /// The instances for a state's plugins, beside what runs.
  Result<std::shared_ptr<Pipeline>> prepare_pipeline(const DesiredState& state);

  WasmHost& wasm() { return *wasm_; }
  const PortSet& ports() const { return *ports_; }
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  const BufferPools& pools() const { return shared_.pools; }
  FlowTable* flows() { return flows_.get(); }  ///< null before the first apply()
  /// Null before the first apply(). Who shares it may use it after the node's end, too: it is closed then.
  const std::shared_ptr<Observation>& observation() const { return observation_; }
  const NodeSnapshot* snapshot() const { return snapshot_.get(); }
  const DesiredState& state() const { return state_; }
  uint64_t applied() const { return applied_; }
  /// From the last snapshot's publication until every worker ran with it and none with the one before.
  uint64_t switch_ns() const { return switch_ns_; }
  const std::string& flow_message() const { return flow_message_; }

 private:
  explicit Node(const StartOptions& options) : options_(options) {}

  Status start_parts();
  Status begin(const ConntrackConfig& conntrack);
  Status start_workers();
  void open_observation();
  void name_observed();
  Status check_conntrack(const ConntrackConfig& wanted) const;
  Status apply_to(const DesiredState& state, PortSet::Prepared& prepared);
  Result<std::shared_ptr<const RoutingSnapshot>> routing_for(const DesiredState& state,
                                                             const PortSet::Entries& entries) const;
  std::unique_ptr<NodeSnapshot> make_snapshot(const PortSet::Entries& entries, const std::vector<std::string>& without,
                                              std::shared_ptr<const RoutingSnapshot> routing,
                                              std::shared_ptr<Pipeline> pipeline) const;
  void release(const std::vector<std::string>& names);
  void restore_ports();
  void publish(std::unique_ptr<NodeSnapshot> next);
  void load_slot_registry();
  void save_slot_registry();
  void keep_house();

  StartOptions options_;
  std::unique_ptr<rte_rcu_qsbr, void (*)(rte_rcu_qsbr*)> rcu_{nullptr, [](rte_rcu_qsbr* rcu) { rte_free(rcu); }};
  WorkerShared shared_;
  std::unique_ptr<FlowTable> flows_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<WasmHost> wasm_;
  std::unique_ptr<PortSet> ports_;
  std::shared_ptr<SpareFib> spare_fib_ = std::make_shared<SpareFib>();
  std::unique_ptr<NodeSnapshot> snapshot_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<Observation> observation_;
  DesiredState state_;
  uint64_t generation_ = 0;  ///< of snapshots
  uint64_t applied_ = 0;     ///< successful apply() calls
  uint64_t switch_ns_ = 0;
  std::string flow_message_;  ///< what became of the flows of an earlier run
  std::atomic<bool> stopping_{false};
  std::thread housekeeper_;
};

}  // namespace sluice
