#include "core/worker_context.h"

#include <rte_branch_prediction.h>

#include <algorithm>

#include "core/tracer.h"
#include "port/port.h"

namespace sluice {

void WorkerContext::drop(rte_mbuf* packet, abi::DropReason reason) {
  const auto number = static_cast<uint16_t>(reason);
  drop(packet, reason, {number, abi::kDropReasonNames[number]});
}

void WorkerContext::drop(rte_mbuf* packet, abi::DropReason reason, const DropCause& cause) {
  PacketMeta& meta = *meta_of(packet);
  meta.reason = cause.reason;
  bump(counters.drops[static_cast<size_t>(reason)]);
  const Port* in = ports != nullptr ? ports->at(meta.in_port) : nullptr;
  drop_log->count(cause, packet, now_ns, wall_ns, in != nullptr ? std::string_view(in->name) : std::string_view());
  if (unlikely(tracer != nullptr)) tracer->dropped(*this, packet, cause);
  rte_pktmbuf_free(packet);
}

/// A frame with its link header in place is dropped as what it was before: an L3 packet.
void WorkerContext::drop_frame(rte_mbuf* frame, abi::DropReason reason) {
  rte_pktmbuf_adj(frame, meta_of(frame)->l2_length);
  drop(frame, reason);
}

/// The port's first frame since the last flush, or one that its outbox has no room for.
void WorkerContext::transmit_anew(PortId port, rte_mbuf* frame) {
  if (ports->at(port) == nullptr) return drop_frame(frame, abi::DropReason::PortDown);
  Outbox& outbox = outboxes[port];
  if (outbox.count == kMaxBurst) flush(port);
  if (!outbox.touched) {
    outbox.touched = true;
    touched[touched_count++] = port;
  }
  outbox.packets[outbox.count++] = frame;
}

void WorkerContext::flush(PortId port) {
  Outbox& outbox = outboxes[port];
  Port* out = ports->at(port);
  if (unlikely(tracer != nullptr)) tracer->sending(*this, port, outbox.packets, outbox.count);
  const uint16_t sent = out != nullptr ? out->transmit(id, outbox.packets, outbox.count) : 0;
  if (unlikely(tracer != nullptr)) tracer->sent(*this, sent);
  bump(counters.transmitted, sent);
  const auto reason = out != nullptr && out->up() ? abi::DropReason::TxQueueFull : abi::DropReason::PortDown;
  for (uint16_t i = sent; i < outbox.count; i++) drop_frame(outbox.packets[i], reason);
  outbox.count = 0;
}

void WorkerContext::flush_all() {
  for (uint16_t i = 0; i < touched_count; i++) {
    outboxes[touched[i]].touched = false;
    flush(touched[i]);
  }
  touched_count = 0;
}

void WorkerContext::originate(rte_mbuf* packet) {
  if (originated.count == kMaxBurst) return drop(packet, abi::DropReason::NoBuffer);
  PacketMeta& meta = *meta_of(packet);
  meta.passes = std::max(meta.passes, own_passes);
  originated.packets[originated.count++] = packet;
}

}  // namespace sluice
