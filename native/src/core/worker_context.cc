#include "core/worker_context.h"

#include "port/port.h"

namespace sluice {

void WorkerContext::drop(rte_mbuf* packet, abi::DropReason reason, uint16_t own_reason) {
  meta_of(packet)->reason = own_reason;
  bump(counters.drops[static_cast<size_t>(reason)]);
  rte_pktmbuf_free(packet);
}

void WorkerContext::transmit(PortId port, rte_mbuf* frame) {
  if (ports->at(port) == nullptr) return drop(frame, abi::DropReason::PortDown);
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
  const uint16_t sent = out != nullptr ? out->transmit(id, outbox.packets, outbox.count) : 0;
  bump(counters.transmitted, sent);
  const auto reason = out != nullptr && out->up() ? abi::DropReason::TxQueueFull : abi::DropReason::PortDown;
  for (uint16_t i = sent; i < outbox.count; i++) drop(outbox.packets[i], reason);
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
  originated.packets[originated.count++] = packet;
}

}  // namespace sluice
