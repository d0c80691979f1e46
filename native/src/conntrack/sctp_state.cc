#include "conntrack/transitions.h"

namespace sluice {
namespace {

using State = FlowState;

enum Chunk : uint8_t {
  kInit = 1,
  kInitAck = 2,
  kHeartbeat = 4,
  kHeartbeatAck = 5,
  kAbort = 6,
  kShutdown = 7,
  kShutdownAck = 8,
  kCookieEcho = 10,
  kCookieAck = 11,
  kShutdownComplete = 14,
};

State next_of(State state, bool reply, uint8_t chunk) {
  switch (chunk) {
    case kInit:
      return state == State::SctpHeartbeatSent ? State::SctpCookieWait : state;
    case kCookieEcho:
      return state == State::SctpCookieWait && !reply ? State::SctpCookieEchoed : state;
    case kCookieAck:
      return state == State::SctpCookieEchoed && reply ? State::SctpEstablished : state;
    case kHeartbeatAck:
      return state == State::SctpHeartbeatSent && reply ? State::SctpEstablished : state;
    case kShutdown:
      if (state != State::SctpEstablished) return state;
      return reply ? State::SctpShutdownRecd : State::SctpShutdownSent;
    case kShutdownAck:
      return state == State::SctpShutdownSent || state == State::SctpShutdownRecd ? State::SctpShutdownAckSent : state;
    case kShutdownComplete:
      return state == State::SctpShutdownAckSent ? State::SctpClosed : state;
    case kAbort:
      return State::SctpClosed;
    default:
      return state;
  }
}

/// Before the cookie is echoed there is only the handshake; data may be bundled behind the echo.
bool fits_handshake(uint8_t chunk) {
  return chunk == kInit || chunk == kInitAck || chunk == kCookieEcho || chunk == kAbort || chunk == kHeartbeat ||
         chunk == kHeartbeatAck;
}

}  // namespace

Transition sctp_transition(FlowState state, uint16_t marks, abi::CtDirection direction, uint8_t chunk) {
  switch (state) {
    case State::None:
      // HEARTBEAT begins the secondary path of a multihomed association (RFC 9260 section 8.3).
      if (chunk == kInit) return {Transition::Accept, State::SctpCookieWait, marks};
      if (chunk == kHeartbeat) return {Transition::Accept, State::SctpHeartbeatSent, marks};
      return {Transition::Invalid, state, marks};
    case State::SctpClosed:
      if (chunk == kInit) return {Transition::Reopen, state, marks};
      break;
    case State::SctpCookieWait:
      if (!fits_handshake(chunk)) return {Transition::Invalid, state, marks};
      break;
    default:
      break;
  }
  return {Transition::Accept, next_of(state, direction == abi::CtDirection::REPLY, chunk), marks};
}

}  // namespace sluice
