#include "conntrack/transitions.h"

#include "conntrack/flow_record.h"

namespace sluice {
namespace {

using State = FlowState;

enum class Kind { Syn, SynAck, Fin, Ack, Rst, Nonsense };

/// Combinations that no TCP sends (no ACK, SYN with FIN, and so on) are scans.
Kind kind_of(uint8_t flags) {
  using namespace tcp_flag;
  switch (flags & (kFin | kSyn | kRst | kAck | kUrg)) {
    case kSyn:
    case kSyn | kUrg:
      return Kind::Syn;
    case kSyn | kAck:
      return Kind::SynAck;
    case kFin | kAck:
    case kFin | kAck | kUrg:
      return Kind::Fin;
    case kAck:
    case kAck | kUrg:
      return Kind::Ack;
    case kRst:
    case kRst | kAck:
      return Kind::Rst;
    default:
      return Kind::Nonsense;
  }
}

/// A SYN within a live connection passes without effect: the receiver answers with a challenge ACK (RFC 5961 section
/// 4).
Transition on_syn(State state, uint16_t marks, bool reply) {
  switch (state) {
    case State::None:
      return {Transition::Accept, State::TcpSynSent, marks};
    case State::TcpSynSent:
      return {Transition::Accept, reply ? State::TcpSynSent2 : State::TcpSynSent, marks};
    case State::TcpTimeWait:
    case State::TcpClose:
      return {Transition::Reopen, state, marks};
    default:
      return {Transition::Accept, state, marks};
  }
}

Transition on_syn_ack(State state, uint16_t marks, bool reply) {
  switch (state) {
    case State::TcpSynSent:
      return {reply ? Transition::Accept : Transition::Invalid, reply ? State::TcpSynRecv : state, marks};
    case State::TcpSynSent2:
      return {Transition::Accept, State::TcpSynRecv, marks};
    case State::None:
    case State::TcpUnacknowledged:
      return {Transition::Invalid, state, marks};
    default:
      return {Transition::Accept, state, marks};
  }
}

Transition on_fin(State state, uint16_t marks, bool reply) {
  using namespace flow_mark;
  const uint16_t own = reply ? kFinReply : kFinOriginal, other = reply ? kFinOriginal : kFinReply;
  switch (state) {
    case State::None:
    case State::TcpSynSent:
    case State::TcpSynSent2:
      return {Transition::Invalid, state, marks};
    case State::TcpTimeWait:
    case State::TcpClose:
      return {Transition::Accept, state, marks};
    default:
      break;
  }
  if ((marks & own) != 0) return {Transition::Accept, state, marks};
  const auto seen = static_cast<uint16_t>((marks & ~kLastFinReply) | own | (reply ? kLastFinReply : 0));
  return {Transition::Accept, (marks & other) != 0 ? State::TcpLastAck : State::TcpFinWait, seen};
}

Transition on_ack(State state, uint16_t marks, bool reply) {
  const bool last_fin_is_others = ((marks & flow_mark::kLastFinReply) != 0) != reply;
  switch (state) {
    case State::None:
      return {Transition::Accept, State::TcpUnacknowledged, marks};
    case State::TcpUnacknowledged:
      return {Transition::Accept, reply ? State::TcpEstablished : state, marks};
    case State::TcpSynSent:
      // A reply is the other end's challenge to a half-open connection (RFC 9293 section 3.5.1).
      return {reply ? Transition::Accept : Transition::Invalid, state, marks};
    case State::TcpSynRecv:
      return {Transition::Accept, reply ? state : State::TcpEstablished, marks};
    case State::TcpFinWait:
      return {Transition::Accept, last_fin_is_others ? State::TcpCloseWait : state, marks};
    case State::TcpLastAck:
      return {Transition::Accept, last_fin_is_others ? State::TcpTimeWait : state, marks};
    default:
      return {Transition::Accept, state, marks};
  }
}

}  // namespace

Transition tcp_transition(FlowState state, uint16_t marks, abi::CtDirection direction, uint8_t flags,
                          bool reset_in_window) {
  const bool reply = direction == abi::CtDirection::REPLY;
  switch (kind_of(flags)) {
    case Kind::Syn:
      return on_syn(state, marks, reply);
    case Kind::SynAck:
      return on_syn_ack(state, marks, reply);
    case Kind::Fin:
      return on_fin(state, marks, reply);
    case Kind::Ack:
      return on_ack(state, marks, reply);
    case Kind::Rst:
      if (state == State::None || !reset_in_window) return {Transition::Invalid, state, marks};
      return {Transition::Accept, State::TcpClose, marks};
    case Kind::Nonsense:
      break;
  }
  return {Transition::Invalid, state, marks};
}

}  // namespace sluice
