#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "core/packet.h"

namespace sluice {

constexpr uint16_t kMaxSettlers = 16;  ///< stages of a pipeline that may settle flows

/// What a packet's flow must have settled for the packet to pass all hooks of its way through a node.
struct Passage {
  uint32_t epoch = 0;   ///< of the pipeline
  uint16_t stages = 0;  ///< bits; none: the hooks have no stages
};

/// Flows that stages have settled: "the rest of this flow in this direction goes like this packet". Their packets pass
/// a hook without its stages, and get the same rewriting of addresses and ports there. What was settled holds for one
/// epoch, that of the pipeline whose stages said so.
class SettledFlows {
 public:
  virtual ~SettledFlows() = default;

  /// Sets `passed` for the packets of a burst whose flow all `stages` (bits) of the hook have settled, and does to them
  /// what the stages would do.
  virtual void pass(abi::Hook hook, uint32_t epoch, uint16_t stages, rte_mbuf* const* packets, uint16_t count,
                    bool* passed) = 0;

  /// A stage (one bit) settles the flow of `packet`, whose first bytes it got as `before` and leaves as `after`. It
  /// does not count when the flow is not established, or when what the stage changed is not what the flow's two tuples
  /// say.
  virtual void settle(abi::Hook hook, uint32_t epoch, uint16_t stage, const rte_mbuf* packet, const uint8_t* before,
                      const uint8_t* after, uint16_t length) = 0;
};

/// Where a pipeline's stages settle flows.
struct SettledIn {
  SettledFlows* flows = nullptr;  ///< null: nowhere
  uint32_t epoch = 0;
};

}  // namespace sluice
