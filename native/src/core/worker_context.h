#pragma once

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "core/drop_log.h"
#include "core/packet.h"

namespace sluice {

class FlowTable;
struct RoutingSnapshot;
class PortTable;
class Neighbours;
class Tracer;

constexpr size_t kDropReasons = 64;  ///< native reasons; stages' own reasons are counted by their stage

/// A worker's counters. One writer; the control thread reads them with relaxed loads at any time.
struct alignas(64) WorkerCounters {
  std::array<std::atomic<uint64_t>, kDropReasons> drops{};
  std::atomic<uint64_t> received{}, transmitted{}, bursts{}, busy_cycles{}, polls{}, sleeps{};
};

inline void bump(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

/// What the steps of the packet path are given. Owned by one worker thread; never shared.
/// The snapshot pointers are loaded once a burst and stay valid until the worker's next quiescent state.
struct WorkerContext {
  uint16_t id = 0;
  uint64_t now_ns = 0;          ///< CLOCK_MONOTONIC, one reading a burst
  uint64_t wall_ns = 0;         ///< Unix time
  rte_mempool* pool = nullptr;  ///< ordinary buffers (2 KiB)
  const PortTable* ports = nullptr;
  const RoutingSnapshot* routing = nullptr;
  Neighbours* neighbours = nullptr;
  FlowTable* flows = nullptr;
  Tracer* tracer = nullptr;  ///< null when nobody watches packets; loaded once a burst
  WorkerCounters counters;
  std::unique_ptr<DropLog> drop_log = std::make_unique<DropLog>();

  /// Frees a packet and counts it. Also sets meta.reason.
  void drop(rte_mbuf* packet, abi::DropReason reason);
  /// The same for a stage, which may have a reason of its own; it is counted as `reason` in `counters`.
  void drop(rte_mbuf* packet, abi::DropReason reason, const DropCause& cause);
  /// Queues a complete frame (link header included) for a port. Takes ownership.
  void transmit(PortId port, rte_mbuf* frame) {
    Outbox& outbox = outboxes[port];
    if (unlikely(!outbox.touched || outbox.count == kMaxBurst)) return transmit_anew(port, frame);
    outbox.packets[outbox.count++] = frame;
  }
  /// Queues an L3 packet made by the node itself (an ICMP error, an echo reply) for routing in this same burst or the
  /// next. The packet's meta.table is used; it takes no hooks but OUTPUT and POSTROUTING. What comes of packets of the
  /// node's own counts its passes on from theirs, so that no answer to an answer goes on for ever. Takes ownership.
  void originate(rte_mbuf* packet);

  /// Hands what transmit() queued to the ports; what a port does not take is dropped and counted.
  void flush_all();

  struct Outbox {
    rte_mbuf* packets[kMaxBurst];
    uint16_t count = 0;
    bool touched = false;  ///< its port stands in `touched` below
  };
  Outbox* outboxes = nullptr;  ///< indexed by PortId, kMaxPorts of them; owned by the worker
  Outbox originated;           ///< drained by the worker
  uint8_t own_passes = 0;      ///< most passes of the node's own packets in work; 0 when others are
  PortId touched[kMaxPorts];   ///< ports that were given frames since the last flush_all
  uint16_t touched_count = 0;

  uint64_t icmp_refilled_ns = 0;  ///< when icmp_tokens grew last
  uint32_t icmp_tokens = 0;       ///< ICMP errors that may be sent now, see l3/icmp.h
  uint32_t next_packet_id = 0;    ///< identification of packets that the node makes or fragments

 private:
  void transmit_anew(PortId port, rte_mbuf* frame);
  void flush(PortId port);
  void drop_frame(rte_mbuf* frame, abi::DropReason reason);
};

}  // namespace sluice
