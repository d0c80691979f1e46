#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "core/packet.h"

namespace sluice {

struct WorkerContext;
struct DropCause;
struct Stage;

/// Watches packets on their way for an operator. A WorkerContext's own, and null there when nobody watches, so that the
/// packet path asks once a burst where it can. All calls are made on the worker's thread between two quiescent states;
/// they take no lock, allocate nothing, make no system call and change no packet but for its mark.
///
/// Packets that a trace follows have abi::Flag::TRACED in PacketMeta::flags until they have left their last hook, and
/// for their whole life a PacketMeta::traced that is not 0. Whoever makes a further packet out of a traced one, and
/// does not say so by split(), sets `traced` to 0 there.
class Tracer {
 public:
  virtual ~Tracer() = default;

  /// `stage` gave `value` the name of this index in its manifest's list (Manifest::trace_values); the index is checked.
  /// The packet is as it was before the stage's call. Also called for a call that traps afterwards.
  virtual void trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) = 0;

  /// Frames as a port gave them, link header first. Traces begin here.
  virtual void received(WorkerContext&, PortId, rte_mbuf* const*, uint16_t) {}
  /// Packets at the start of a hook's chain.
  virtual void entered(WorkerContext&, abi::Hook, rte_mbuf* const*, uint16_t) {}
  /// Packets as a stage left them with this verdict, which is not DROP. `cycles`: a packet of the call.
  virtual void left_stage(WorkerContext&, const Stage&, abi::Hook, abi::Verdict, uint32_t /*cycles*/, rte_mbuf* const*,
                          uint16_t) {}
  /// A copy of a packet, its data at the L3 header, that a stage has sent out by a port.
  virtual void mirrored(WorkerContext&, PortId, const rte_mbuf* /*copy*/) {}
  /// A packet that a stage drops, or loses for what it did; dropped() follows.
  virtual void refused_by_stage(WorkerContext&, const Stage&, abi::Hook, uint32_t /*cycles*/, const rte_mbuf*) {}
  /// A packet that is about to be freed, with its data at the L3 header unless it was not parsed.
  virtual void dropped(WorkerContext&, const rte_mbuf*, const DropCause&) {}
  /// Frames on their way into a port, and then how many of them it took. dropped() follows for the others.
  virtual void sending(WorkerContext&, PortId, rte_mbuf* const*, uint16_t) {}
  virtual void sent(WorkerContext&, uint16_t) {}

  /// A step of a traced packet in words, as for printf; of other packets nothing is noted. `kind` is a literal.
  virtual void note(WorkerContext&, const rte_mbuf*, const char* /*kind*/, const char* /*format*/, ...)
      __attribute__((format(printf, 5, 6))) {}
  /// The same for a packet's last step but for those that sent() and dropped() tell: it was taken in, or became a part
  /// of another one. Its data may begin anywhere.
  virtual void end(WorkerContext&, const rte_mbuf*, const char* /*kind*/, const char* /*format*/, ...)
      __attribute__((format(printf, 5, 6))) {}
  /// A traced packet goes on as so many, all marked like it.
  virtual void split(WorkerContext&, const rte_mbuf*, const char* /*kind*/, uint16_t /*pieces*/) {}
};

}  // namespace sluice
