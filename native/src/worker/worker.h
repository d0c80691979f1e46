#pragma once

#include <rte_rcu_qsbr.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "core/worker_context.h"
#include "worker/graph.h"
#include "worker/node_snapshot.h"
#include "worker/poll_set.h"

namespace sluice {

/// What all workers of a node share. Outlives them.
struct WorkerShared {
  std::atomic<NodeSnapshot*> snapshot{nullptr};
  rte_rcu_qsbr* rcu = nullptr;  ///< a worker's thread number there is its id
  BufferPools pools;
  FlowTable* flows = nullptr;
  Neighbours* neighbours = nullptr;
  Reassembler reassembler;
  bool busy_poll = false;
};

/// A packet thread. It runs bursts to completion through the graph, and sleeps when its queues are empty.
class Worker {
 public:
  /// `core`: the CPU to pin to, -1 for none.
  Worker(uint16_t id, int core, WorkerShared& shared);
  ~Worker();

  Status start();
  /// Lets the burst in work end, then joins the thread.
  void stop();
  void wake() { queues_.wake(); }

  /// Runs a task on the packet thread between two bursts and waits for its end. From one control thread at a time.
  void run(const std::function<void(WorkerContext&)>& task);

  /// What watches the worker's packets from its next burst on; null for nothing. The one before may be in use until the
  /// worker has passed a quiescent state.
  void watch(Tracer* tracer) { tracer_.store(tracer, std::memory_order_release); }
  /// The kernel's number of the thread, once started.
  pid_t thread() const { return thread_id_; }

  const WorkerContext& context() const { return context_; }
  int core() const { return core_; }

 private:
  void loop();
  uint16_t receive(const NodeSnapshot& snapshot, const PollTarget& target);
  void adopt(const NodeSnapshot& snapshot);
  void take_task();
  void tick(const NodeSnapshot& snapshot);
  void rest();

  const int core_;
  WorkerShared& shared_;
  WorkerContext context_;
  Graph graph_;
  PollSet queues_;
  std::unique_ptr<WorkerContext::Outbox[]> outboxes_;
  uint64_t adopted_ = 0;  ///< generation of the snapshot whose queues are polled
  uint64_t next_tick_ = 0;
  std::atomic<const std::function<void(WorkerContext&)>*> task_{nullptr};
  std::atomic<Tracer*> tracer_{nullptr};
  std::atomic<bool> stopping_{false};
  std::atomic<int> started_{0};  ///< 1 running, -1 failed
  pid_t thread_id_ = 0;          ///< written before started_
  std::thread thread_;
};

}  // namespace sluice
