#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace sluice {

struct Stage;

/// Takes what stages note about packets that an operator traces: those with abi::Flag::TRACED in PacketMeta::flags.
/// A WorkerContext's own; called on its thread, in the middle of a stage's call.
class Tracer {
 public:
  virtual ~Tracer() = default;

  /// `stage` gave `value` the name of this index in its manifest's list (Manifest::trace_values); the index is checked.
  /// The packet is as it was before the stage's call. Also called for a call that traps afterwards.
  virtual void trace_value(const rte_mbuf* packet, const Stage& stage, uint16_t name, int64_t value) = 0;
};

}  // namespace sluice
