#include "worker/worker.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "core/clock.h"

namespace sluice {

namespace {

constexpr uint64_t kTickNs = 50'000'000;

bool pin(int core) {
  if (core < 0) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

}  // namespace

Worker::Worker(uint16_t id, int core, WorkerShared& shared)
    : core_(core),
      shared_(shared),
      graph_(context_, shared.reassembler),
      outboxes_(new WorkerContext::Outbox[kMaxPorts]) {
  context_.id = id;
  context_.pool = shared.pools.packets;
  context_.outboxes = outboxes_.get();
  context_.flows = shared.flows;
  context_.neighbours = shared.neighbours;
}

Worker::~Worker() {
  stop();
}

Status Worker::start() {
  thread_ = std::thread([this] { loop(); });
  while (started_.load(std::memory_order_acquire) == 0) std::this_thread::yield();
  if (started_.load() > 0) return {};
  thread_.join();
  return Error{"worker-failed", "/workers",
               "worker " + std::to_string(context_.id) + " could not start on CPU " + std::to_string(core_) +
                   "; name a CPU that this process may use"};
}

void Worker::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
  if (thread_.joinable()) thread_.join();
}

void Worker::run(const std::function<void(WorkerContext&)>& task) {
  task_.store(&task, std::memory_order_release);
  wake();
  while (task_.load(std::memory_order_acquire) != nullptr) std::this_thread::yield();
}

void Worker::loop() {
  // Registered with EAL for a mempool cache of its own.
  thread_id_ = gettid();
  const bool ready = pin(core_) && rte_thread_register() == 0;
  if (ready) {
    rte_rcu_qsbr_thread_register(shared_.rcu, context_.id);
    rte_rcu_qsbr_thread_online(shared_.rcu, context_.id);
  }
  started_.store(ready ? 1 : -1, std::memory_order_release);
  if (!ready) return;
  Clock clock;
  while (!stopping_.load(std::memory_order_acquire)) {
    const NodeSnapshot* snapshot = shared_.snapshot.load(std::memory_order_acquire);
    context_.tracer = tracer_.load(std::memory_order_acquire);
    context_.now_ns = clock.now();
    context_.wall_ns = clock.wall(context_.now_ns);
    uint32_t received = 0;
    if (snapshot != nullptr) {
      adopt(*snapshot);
      received = queues_.poll(context_.now_ns, [&](const PollTarget& target) { return receive(*snapshot, target); });
      tick(*snapshot);
    }
    take_task();
    context_.flush_all();
    rte_rcu_qsbr_quiescent(shared_.rcu, context_.id);
    bump(context_.counters.polls);
    if (received == 0 && !shared_.busy_poll && queues_.idle(context_.now_ns)) rest();
  }
  context_.tracer = nullptr;
  context_.flush_all();
  rte_rcu_qsbr_thread_offline(shared_.rcu, context_.id);
  rte_rcu_qsbr_thread_unregister(shared_.rcu, context_.id);
  rte_thread_unregister();
}

void Worker::adopt(const NodeSnapshot& snapshot) {
  context_.ports = &snapshot.ports;
  context_.routing = snapshot.routing.get();
  if (adopted_ == snapshot.generation) return;
  adopted_ = snapshot.generation;
  queues_.watch(snapshot.polls[context_.id]);
}

uint16_t Worker::receive(const NodeSnapshot& snapshot, const PollTarget& target) {
  rte_mbuf* frames[kMaxBurst];
  const uint16_t count = target.port->receive(target.queue, frames, kMaxBurst);
  if (count == 0) return 0;
  const uint64_t start = rte_rdtsc();
  graph_.receive(snapshot, *target.port, frames, count);
  context_.flush_all();
  bump(context_.counters.busy_cycles, rte_rdtsc() - start);
  bump(context_.counters.bursts);
  bump(context_.counters.received, count);
  return count;
}

void Worker::tick(const NodeSnapshot& snapshot) {
  const bool early = context_.now_ns < next_tick_;
  if (early && next_tick_ - context_.now_ns <= kTickNs) return;  // else the clock went back
  next_tick_ = context_.now_ns + kTickNs;
  graph_.tick(snapshot);
}

void Worker::take_task() {
  const auto* task = task_.load(std::memory_order_acquire);
  if (task == nullptr) return;
  (*task)(context_);
  task_.store(nullptr, std::memory_order_release);
}

void Worker::rest() {
  rte_rcu_qsbr_thread_offline(shared_.rcu, context_.id);
  queues_.sleep();
  rte_rcu_qsbr_thread_online(shared_.rcu, context_.id);
  bump(context_.counters.sleeps);
}

}  // namespace sluice
