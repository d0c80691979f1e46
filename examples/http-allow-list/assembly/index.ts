import {
  Batch, Counter, definePlugin, dropReason, emitReset, FlowKey, Gauge, LruTable, Packet, Protocol
} from "@sluice/sdk";
import { options, Options, ports } from "./config";
import { Head, readByte, Reading } from "./head";
export { build } from "./config";

definePlugin({ name: "http-allow-list", version: "1.0.0", headerBytes: 128 });

const hostDenied = dropReason("host-denied", "A request for a host that is not on the list");
const hostMissing = dropReason("host-missing", "A request without a Host line");
const hostRepeated = dropReason("host-repeated", "A request with two Host lines");
const noPath = dropReason("http-no-path", "A request to a proxy: its target is no path");
const malformed = dropReason("http-malformed", "No plain HTTP/1.0 or HTTP/1.1 request");
const tooLong = dropReason("http-too-long", "A request's head larger than allowed");
const afterRefusal = dropReason("http-refused", "More of a connection that was refused");
const outOfOrder = dropReason("http-out-of-order", "Behind a gap in a request's head; it comes again");
const unknown = dropReason("http-unknown", "Of a connection whose beginning was not seen, or is no longer known");
const hidden = dropReason("http-hidden", "In fragments, or behind more headers than the stage sees, or with a SYN");

const allowed = new Counter("allowed_connections", "Connections whose first request was for a host on the list");
const refused = new Counter("refused_connections", "Connections that were refused");
const resets = new Counter("resets", "TCP resets sent to clients");
const reading = new Gauge("open_heads", "Heads that are read in part, by worker; 16384 at most");

enum State {
  /** The server has not answered the SYN. */
  None,
  Begun,
  /** Part of the head was let through. */
  Reading,
  Allowed,
  Refused,
}

@unmanaged
@flowState(1)
class Connection {
  /** Sequence number of the client's first byte, as the server acknowledged it. */
  first: u32;
  /** A State. */
  state: u32;
}

const heads = new LruTable<FlowKey, Head>(16384);
/**
 * State << 32 | first sequence number of connections that were decided just now: packets of the burst in which that was
 * have the flow state of before. A burst has 256 packets at most.
 */
const decided = new LruTable<FlowKey, u64>(256);
const key = new FlowKey();
const URG: u32 = 32;

@hook("forward")
export function guard(batch: Batch): void {
  if (!options.isSet) return;
  const it = options.value;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.protocol != Protocol.Tcp) continue;
    if (!packet.isTcp) hide(packet);
    else if (ports.has(packet.destinationPort)) judge(packet, it);
    else if (packet.isReply && packet.tcp.syn && packet.tcp.hasAck && ports.has(packet.sourcePort)) begin(packet);
  }
  reading.set(heads.size);
}

/** Later fragments are nothing without the first, which has the ports; if it has not, it shall not be put together. */
function hide(packet: Packet): void {
  const fragment = packet.extension(Protocol.Fragment);
  const isLater = packet.isIpv4 ? packet.ipv4.fragmentOffset != 0 : fragment.isPresent && fragment.isLaterFragment;
  if (!isLater) packet.drop(hidden);
}

/** The server alone says where the client's bytes begin: it knows which of several SYNs it took. */
function begin(answer: Packet): void {
  const first = answer.tcp.acknowledgment;
  const before = answer.flow<Connection>();
  if (before.state != State.None && before.first == first) return;
  const connection = answer.updateFlow<Connection>();
  connection.first = first;
  connection.state = State.Begun;
}

function judge(packet: Packet, it: Options): void {
  if (packet.isFragment || packet.payloadOffset == 0) return packet.drop(hidden);
  const length = packet.length - packet.payloadOffset;
  if (length == 0) return;
  if (packet.tcp.syn) return packet.drop(hidden);
  const connection = packet.flow<Connection>();
  const state = currentState(packet, connection);
  if (state == State.Allowed) return;
  if (state == State.Refused) return refuse(packet, it, afterRefusal);
  if (!packet.hasFlow || packet.isReply || state == State.None) return refuse(packet, it, unknown);
  const head = headAt(packet, connection, state);
  if (head != null) read(packet, head, length, it);
}

/** The flow's state, or what became of it in this burst. */
function currentState(packet: Packet, connection: Connection): State {
  const state = <State>connection.state;
  if (state != State.Begun && state != State.Reading) return state;
  key.read(packet);
  const since = decided.get(key, 0);
  return <u32>since == connection.first && since != 0 ? <State>(since >>> 32) : state;
}

/** The head that this segment goes on with; null when the segment was dropped. */
function headAt(packet: Packet, connection: Connection, state: State): Head | null {
  const known = heads.find(key);
  if (known != null && known.first == connection.first) return known;
  if (state == State.Reading) {
    decide(packet, connection.first, State.Refused);
    refuse(packet, options.value, unknown);
    return null;
  }
  // Only a first byte makes an entry.
  if (packet.tcp.sequence != connection.first) {
    packet.drop(outOfOrder);
    return null;
  }
  heads.remove(key);
  const head = heads.add(key);
  head.first = connection.first;
  head.next = connection.first;
  return head;
}

/** Reads what is new of a segment's `length` bytes. */
function read(packet: Packet, head: Head, length: u32, it: Options): void {
  const from = head.next - packet.tcp.sequence;
  if (<i32>from < 0) return packet.drop(outOfOrder);
  // A repetition.
  if (from >= length) return;
  if ((packet.tcp.flags & URG) != 0) return stop(packet, head, it, malformed);
  const before = head.next - head.first;
  // The configuration may have changed since.
  const room = before < it.maxHeadBytes ? it.maxHeadBytes - before : 0;
  const bytes = packet.readPayload(from, min(length - from, room));
  for (let i: u32 = 0, n = bytes.length; i < n; i++) {
    const found = readByte(head, bytes.u8(i));
    if (found == Reading.GoesOn) continue;
    if (found != Reading.Allowed) return stop(packet, head, it, reasonOf(found));
    allowed.add();
    return decide(packet, head.first, State.Allowed);
  }
  if (length - from >= room) return stop(packet, head, it, tooLong);
  head.next += length - from;
  if (packet.flow<Connection>().state == State.Begun) packet.updateFlow<Connection>().state = State.Reading;
}

function reasonOf(found: Reading): i32 {
  switch (found) {
    case Reading.HostDenied: return hostDenied;
    case Reading.HostMissing: return hostMissing;
    case Reading.HostRepeated: return hostRepeated;
    case Reading.NoPath: return noPath;
    default: return malformed;
  }
}

function stop(packet: Packet, head: Head, it: Options, reason: i32): void {
  decide(packet, head.first, State.Refused);
  refuse(packet, it, reason);
}

function decide(packet: Packet, first: u32, state: State): void {
  packet.updateFlow<Connection>().state = state;
  decided.set(key, <u64>state << 32 | first);
  heads.remove(key);
  if (state == State.Refused) refused.add();
}

function refuse(packet: Packet, it: Options, reason: i32): void {
  if (it.reset && emitReset(packet)) resets.add();
  packet.drop(reason);
}
