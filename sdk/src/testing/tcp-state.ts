// A TCP connection as native/src/conntrack/tcp_state.cc follows it.

export type TcpState =
  | "none"
  | "syn-sent"
  | "syn-sent2"
  | "syn-recv"
  | "established"
  | "unacknowledged"
  | "fin-wait"
  | "close-wait"
  | "last-ack"
  | "time-wait"
  | "close";

/** What is known of a connection beside its state. By direction: 0 original, 1 reply. */
export interface TcpMarks {
  fin: [boolean, boolean];
  /** Whose FIN came last. */
  lastFin: 0 | 1;
  /** The highest acknowledgment number. */
  acknowledged: [number | undefined, number | undefined];
}

/** The state after a packet; "invalid": impossible, nothing changes; "reopen": a new connection takes the place of this one. */
export type TcpStep = TcpState | "invalid" | "reopen";

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
const URG = 32;

/** Seconds that a connection in this state is kept without a packet. */
export const tcpTimeouts: Record<TcpState, number> = {
  none: 10,
  "syn-sent": 120,
  "syn-sent2": 120,
  "syn-recv": 60,
  established: 432_000,
  unacknowledged: 300,
  "fin-wait": 120,
  "close-wait": 60,
  "last-ack": 30,
  "time-wait": 120,
  close: 10,
};

/** Sequence numbers wrap around (RFC 9293, section 3.4). */
const isBefore = (a: number, b: number): boolean => ((a - b) | 0) < 0;

/** What a TCP packet (its header on) in this direction does to the connection; `marks` are brought up to date. */
export function tcpStep(state: TcpState, marks: TcpMarks, direction: 0 | 1, tcp: Buffer): TcpStep {
  const flags = tcp.readUInt8(13);
  const step = stepOf(state, marks, direction, flags, tcp.readUInt32BE(4));
  if (step === "invalid" || step === "reopen") return step;
  if ((flags & (ACK | RST)) === ACK) {
    const number = tcp.readUInt32BE(8);
    const known = marks.acknowledged[direction];
    if (known === undefined || isBefore(known, number)) marks.acknowledged[direction] = number;
  }
  return step;
}

/** Combinations that no TCP sends are scans. */
function stepOf(state: TcpState, marks: TcpMarks, direction: 0 | 1, flags: number, sequence: number): TcpStep {
  switch (flags & (FIN | SYN | RST | ACK | URG)) {
    case SYN:
    case SYN | URG:
      return onSyn(state, direction);
    case SYN | ACK:
      return onSynAck(state, direction);
    case FIN | ACK:
    case FIN | ACK | URG:
      return onFin(state, marks, direction);
    case ACK:
    case ACK | URG:
      return onAck(state, marks, direction);
    case RST:
    case RST | ACK:
      return onReset(state, marks, direction, sequence);
    default:
      return "invalid";
  }
}

/** A reset must not lie before what its receiver has acknowledged (RFC 5961, section 3). */
function onReset(state: TcpState, marks: TcpMarks, direction: 0 | 1, sequence: number): TcpStep {
  const known = marks.acknowledged[direction === 0 ? 1 : 0];
  const isInWindow = known === undefined || !isBefore(sequence, known);
  return state === "none" || !isInWindow ? "invalid" : "close";
}

/** A SYN within a live connection passes without effect (RFC 5961, section 4). */
function onSyn(state: TcpState, direction: 0 | 1): TcpStep {
  if (state === "none") return "syn-sent";
  if (state === "syn-sent") return direction === 1 ? "syn-sent2" : "syn-sent";
  return state === "time-wait" || state === "close" ? "reopen" : state;
}

function onSynAck(state: TcpState, direction: 0 | 1): TcpStep {
  if (state === "syn-sent") return direction === 1 ? "syn-recv" : "invalid";
  if (state === "syn-sent2") return "syn-recv";
  return state === "none" || state === "unacknowledged" ? "invalid" : state;
}

function onFin(state: TcpState, marks: TcpMarks, direction: 0 | 1): TcpStep {
  if (state === "none" || state === "syn-sent" || state === "syn-sent2") return "invalid";
  if (state === "time-wait" || state === "close" || marks.fin[direction]) return state;
  marks.fin[direction] = true;
  marks.lastFin = direction;
  return marks.fin[direction === 0 ? 1 : 0] ? "last-ack" : "fin-wait";
}

function onAck(state: TcpState, marks: TcpMarks, direction: 0 | 1): TcpStep {
  const isLastFinOthers = marks.lastFin !== direction;
  switch (state) {
    case "none":
      return "unacknowledged";
    case "unacknowledged":
      return direction === 1 ? "established" : state;
    case "syn-sent":
      return direction === 1 ? state : "invalid";
    case "syn-recv":
      return direction === 0 ? "established" : state;
    case "fin-wait":
      return isLastFinOthers ? "close-wait" : state;
    case "last-ack":
      return isLastFinOthers ? "time-wait" : state;
    default:
      return state;
  }
}
