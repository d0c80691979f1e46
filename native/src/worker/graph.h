#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "core/worker_context.h"
#include "l3/reassembly.h"
#include "worker/node_snapshot.h"

namespace sluice {

/// The order in which the steps of the packet path see a burst (docs/architecture.md, "The path of a packet"). One a
/// worker.
class Graph {
 public:
  /// `reassembler` is shared by all workers.
  Graph(WorkerContext& ctx, Reassembler& reassembler) : ctx_(ctx), reassembler_(reassembler) {}

  /// Takes frames that came in by `port` to where they go. Takes ownership.
  void receive(const NodeSnapshot& snapshot, const Port& port, rte_mbuf** frames, uint16_t count);

  /// Timers: neighbours, fragments. About every 50 ms.
  void tick(const NodeSnapshot& snapshot);

 private:
  /// Packets on their way between two steps, in the order of arrival.
  struct Burst {
    rte_mbuf* packets[kMaxBurst];
    uint16_t count = 0;
    void add(rte_mbuf* packet) { packets[count++] = packet; }
  };

  void enter(const NodeSnapshot& snapshot, Burst& burst);
  void sort(const NodeSnapshot& snapshot, Burst& burst, Burst& inner);
  void route(const NodeSnapshot& snapshot, Burst& burst);
  void forward(const NodeSnapshot& snapshot, Burst& burst);
  void deliver(const NodeSnapshot& snapshot, Burst& burst);
  void leave(const NodeSnapshot& snapshot, Burst& burst);
  void send_originated(const NodeSnapshot& snapshot);
  void finish(const NodeSnapshot& snapshot);

  void run_hook(const NodeSnapshot& snapshot, abi::Hook hook, Burst& burst, Burst& redirected);
  void enter_again(const NodeSnapshot& snapshot, rte_mbuf** packets, uint16_t count);
  void join_trains(Burst& burst);
  void reroute_changed(Burst& burst);
  void answer(rte_mbuf* packet);
  void parse_originated(Burst& burst, Burst& answers);

  WorkerContext& ctx_;
  Reassembler& reassembler_;
};

}  // namespace sluice
