#pragma once

#include <cstdint>

#include "conntrack/timeouts.h"
#include "core/packet.h"

namespace sluice {

/// What a packet does to its flow.
struct Transition {
  enum Verdict : uint8_t {
    Accept,
    Invalid,  ///< impossible here: the flow stays as it was
    Reopen,   ///< a new connection between the ends of one that is over: the flow is replaced
  };
  Verdict verdict;
  FlowState next;
  uint16_t marks;  ///< all marks from now on
};

/// The TCP header's flags (RFC 9293 section 3.1) in the order of the byte.
namespace tcp_flag {
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16, kUrg = 32;
}

/// A segment that leaves an established connection as it is.
inline bool is_plain_ack(uint8_t flags) {
  using namespace tcp_flag;
  return (flags & (kFin | kSyn | kRst | kAck)) == kAck;
}

/// A TCP packet of a flow in `state` (None: it would begin one). A reset counts only if `reset_in_window`.
Transition tcp_transition(FlowState state, uint16_t marks, abi::CtDirection direction, uint8_t flags,
                          bool reset_in_window);

/// An SCTP packet, by its first chunk's type (RFC 9260 section 3.2).
Transition sctp_transition(FlowState state, uint16_t marks, abi::CtDirection direction, uint8_t chunk);

}  // namespace sluice
