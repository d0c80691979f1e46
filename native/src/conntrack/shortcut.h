#pragma once

#include <cstdint>

#include "core/settled_flows.h"

namespace sluice {

/// The next hop of a flow's packets in one direction, as FlowRecord::way keeps it. It holds for packets that are routed
/// in `table`, while the node's configuration has this generation.
struct Way {
  uint32_t generation = 0;  ///< of the node's snapshot, its lower 28 bits; 0: not known
  uint16_t table = 0;
  uint32_t next_hop = 0;  ///< index in the snapshot's next hops

  static constexpr unsigned kNextHopBits = 20, kTableBits = 16;
  static constexpr uint32_t kMaxNextHop = (1u << kNextHopBits) - 1, kGenerationMask = 0x0fffffff;

  uint64_t word() const {
    return uint64_t{generation} << (kNextHopBits + kTableBits) | uint64_t{table} << kNextHopBits | next_hop;
  }
  static Way of(uint64_t word) {
    return {static_cast<uint32_t>(word >> (kNextHopBits + kTableBits)), static_cast<uint16_t>(word >> kNextHopBits),
            static_cast<uint32_t>(word) & kMaxNextHop};
  }
};

/// What a packet that needs no stage on its way through the node goes by.
struct Shortcut {
  bool found = false;
  bool moves_source = false, moves_destination = false;  ///< as the flow's tuples say
  uint64_t settled = 0;                                  ///< FlowRecord::settled when it was found
  Way way;
};

}  // namespace sluice
