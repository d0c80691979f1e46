// Connection tracking as native/src/conntrack does it, for packets of tests and captures: which flow a packet belongs to, its
// state and direction. Left out: SCTP's states (any packet may begin a flow), clashes of reply tuples, REPLY_CHANGED.

import { Flag } from "../generated/abi.js";
import { addressBytes } from "./addresses.js";
import { isMalformed, type Malformed, type Parsed, parsePacket, walkExtensions } from "./parse.js";
import type { CtStateName, SourceEnd } from "./rows.js";
import { type TcpMarks, type TcpState, tcpStep, tcpTimeouts } from "./tcp-state.js";

/** What conntrack says of a packet. */
export interface Tracked {
  /** Absent: it has none. */
  flow?: string;
  ctState: CtStateName;
  direction: "original" | "reply";
}

/** One direction of a flow. ICMP queries have identifier and request type as ports, their answers the two swapped. */
interface Key {
  family: 4 | 6;
  protocol: number;
  source: string;
  destination: string;
  ports: [number, number];
}
type KeyKind = "flow" | "answer" | "untracked" | "invalid";

interface Flow extends TcpMarks {
  name: string;
  /** Of the original direction and the reply direction. */
  keys: string[];
  original: Key;
  tcp: TcpState;
  isAnswered: boolean;
  isConfirmed: boolean;
  lastSeenNs: bigint;
}

const TCP = 6;
const PORT_PROTOCOLS = [TCP, 17, 132, 136];
const inverse = (key: Key): Key => ({
  ...key,
  source: key.destination,
  destination: key.source,
  ports: [key.ports[1], key.ports[0]],
});
const textOf = ({ family, protocol, source, destination, ports }: Key): string =>
  `${family} ${protocol} ${source} ${destination} ${ports.join(" ")}`;

export interface ConntrackOptions {
  /** When there are more, the one without packets for longest goes. Default 262144. */
  maxFlows?: number;
  /** Called with the name of a flow that is over. */
  onEnd: (flow: string) => void;
}

/** The flows of a stage under test. */
export class Conntrack {
  private readonly byKey = new Map<string, { flow: Flow; direction: 0 | 1 }>();
  /** Least recently used first. */
  private readonly flows = new Map<string, Flow>();
  private readonly maxFlows: number;
  private begun = 0;

  constructor(private readonly options: ConntrackOptions) {
    this.maxFlows = options.maxFlows ?? 262_144;
  }

  /** Finds or begins the packet's flow. */
  track(parsed: Parsed, nowNs: bigint): Tracked {
    const key = keyOf(parsed);
    if (typeof key === "string") return { ctState: key, direction: "original" };
    const found = this.find(textOf(key.key), nowNs);
    if (key.kind === "error") {
      if (!found) return invalid;
      return { flow: found.flow.name, ctState: "related", direction: directions[found.direction] };
    }
    if (found) return this.follow(found, parsed, key.key, nowNs);
    return key.kind === "answer" ? invalid : this.begin(parsed, key.key, nowNs);
  }

  /** A packet of this flow left the stage: the flow is there to stay, and its replies are those to the packet as it is now. */
  confirm(tracked: Tracked, before: Uint8Array, after: Uint8Array): void {
    const flow = tracked.flow === undefined ? undefined : this.flows.get(tracked.flow);
    if (!flow || flow.isConfirmed) return;
    flow.isConfirmed = true;
    const parsed = parsePacket(after);
    // A packet within pushed headers, or out of popped ones, says nothing of the replies.
    const key = isMalformed(parsed) || before.length !== after.length ? "invalid" : keyOf(parsed);
    const reply = textOf(inverse(typeof key === "string" ? flow.original : key.key));
    if (this.byKey.has(reply)) return;
    flow.keys.push(reply);
    this.byKey.set(reply, { flow, direction: 1 });
  }

  /** Another flow owns the replies that this flow would get if the packet left with this source. */
  isSourceTaken(name: string | undefined, packet: Parsed | Malformed, source: SourceEnd, nowNs: bigint): boolean {
    const flow = name === undefined ? undefined : this.flows.get(name);
    const found = isMalformed(packet) ? "invalid" : keyOf(packet);
    if (!flow || typeof found === "string" || found.kind !== "flow") return false;
    const { key } = found;
    key.source = Buffer.from(addressBytes(source.address)).toString("hex");
    key.ports[0] = source.port;
    const owner = this.find(textOf(inverse(key)), nowNs);
    return owner !== undefined && owner.flow !== flow;
  }

  /** At the end of a burst: a flow of which no packet left is none. */
  settle(burst: Tracked[]): void {
    for (const { flow: name } of burst) {
      const flow = name === undefined ? undefined : this.flows.get(name);
      if (flow && !flow.isConfirmed) this.end(flow);
    }
  }

  private find(key: string, nowNs: bigint): { flow: Flow; direction: 0 | 1 } | undefined {
    const found = this.byKey.get(key);
    if (!found) return undefined;
    const { flow } = found;
    if (nowNs - flow.lastSeenNs < BigInt(timeoutOf(flow)) * 1_000_000_000n) return found;
    this.end(flow);
    return undefined;
  }

  private follow(found: { flow: Flow; direction: 0 | 1 }, parsed: Parsed, key: Key, nowNs: bigint): Tracked {
    const { flow, direction } = found;
    if (parsed.protocol === TCP) {
      const step = tcpStep(flow.tcp, flow, direction, parsed.bytes.subarray(parsed.l4Offset));
      if (step === "invalid") return invalid;
      if (step === "reopen") {
        this.end(flow);
        return this.begin(parsed, key, nowNs);
      }
      flow.tcp = step;
    }
    if (direction === 1) flow.isAnswered = true;
    flow.lastSeenNs = nowNs;
    this.flows.delete(flow.name);
    this.flows.set(flow.name, flow);
    return { flow: flow.name, ctState: flow.isAnswered ? "established" : "new", direction: directions[direction] };
  }

  private begin(parsed: Parsed, key: Key, nowNs: bigint): Tracked {
    const flow: Flow = {
      name: `#${++this.begun}`,
      keys: [textOf(key)],
      original: key,
      tcp: "none",
      isAnswered: false,
      isConfirmed: false,
      lastSeenNs: nowNs,
      fin: [false, false],
      lastFin: 0,
      acknowledged: [undefined, undefined],
    };
    if (parsed.protocol === TCP) {
      const step = tcpStep("none", flow, 0, parsed.bytes.subarray(parsed.l4Offset));
      if (step === "invalid" || step === "reopen") return invalid;
      flow.tcp = step;
    }
    const [oldest] = this.flows.values();
    if (oldest && this.flows.size >= this.maxFlows) this.end(oldest);
    this.flows.set(flow.name, flow);
    this.byKey.set(textOf(key), { flow, direction: 0 });
    return { flow: flow.name, ctState: "new", direction: "original" };
  }

  private end(flow: Flow): void {
    for (const key of flow.keys) this.byKey.delete(key);
    this.flows.delete(flow.name);
    this.options.onEnd(flow.name);
  }
}

const directions = ["original", "reply"] as const;
const invalid: Tracked = { ctState: "invalid", direction: "original" };

/** Seconds. */
function timeoutOf({ original, tcp, isAnswered }: Flow): number {
  if (original.protocol === TCP) return tcpTimeouts[tcp];
  if (original.protocol === 17 || original.protocol === 136) return isAnswered ? 120 : 30;
  if (original.protocol === 132) return 210;
  return original.protocol === 1 || original.protocol === 58 ? 30 : 600;
}

/** A packet's key and what it may do with it, or the state of one without. */
function keyOf(parsed: Parsed): { kind: "flow" | "answer" | "error"; key: Key } | "untracked" | "invalid" {
  const { bytes, family, protocol } = parsed;
  if ((parsed.flags & Flag.FRAGMENT) !== 0) return "untracked";
  if ((parsed.flags & Flag.ICMP_ERROR) !== 0) return errorKey(parsed);
  const key = addressKey(bytes, family, protocol);
  const group = Buffer.from(key.destination, "hex");
  const isGroup = family === 6 ? group[0] === 0xff : ((group[0] ?? 0) & 0xf0) === 224 || key.destination === "ffffffff";
  if (isGroup) return "untracked";
  const kind = readPorts(parsed.l4Offset === 0 ? undefined : bytes.subarray(parsed.l4Offset), key);
  if (kind === "untracked" || kind === "invalid") return kind;
  return { kind, key };
}

/** Of an ICMP error: the inverse of the quoted packet's, the direction that the error travels in. */
function errorKey({ bytes, family, innerL3Offset, innerL4Offset }: Parsed): ReturnType<typeof keyOf> {
  if (innerL4Offset === 0) return "invalid";
  const quoted = bytes.subarray(innerL3Offset);
  const protocol = family === 4 ? quoted.readUInt8(9) : (walkExtensions(quoted)?.protocol ?? 0);
  const key = addressKey(quoted, family, protocol);
  const kind = readPorts(bytes.subarray(innerL4Offset), key);
  return kind === "flow" || kind === "answer" ? { kind: "error", key: inverse(key) } : "invalid";
}

function addressKey(ip: Buffer, family: 4 | 6, protocol: number): Key {
  const [at, size] = family === 4 ? [12, 4] : [8, 16];
  const source = ip.toString("hex", at, at + size);
  return { family, protocol, source, destination: ip.toString("hex", at + size, at + 2 * size), ports: [0, 0] };
}

/** Sets the key's ports, or what stands for them, from the L4 header. */
function readPorts(l4: Buffer | undefined, key: Key): KeyKind {
  if (PORT_PROTOCOLS.includes(key.protocol)) {
    if (!l4 || l4.length < 4) return "invalid";
    key.ports = [l4.readUInt16BE(0), l4.readUInt16BE(2)];
    return "flow";
  }
  if (key.protocol !== 1 && key.protocol !== 58) return "flow";
  if ((key.protocol === 1) !== (key.family === 4) || !l4 || l4.length < 4) return "invalid";
  return key.family === 4 ? readIcmp(l4, key) : readIcmpv6(l4, key);
}

function readQuery(l4: Buffer, request: number, isAnswer: boolean, key: Key): KeyKind {
  if (l4.length < 8) return "invalid";
  const identifier = l4.readUInt16BE(4);
  key.ports = isAnswer ? [request, identifier] : [identifier, request];
  return isAnswer ? "answer" : "flow";
}

/** Echo, timestamp and address mask; router advertisement and solicitation belong to a link. */
function readIcmp(l4: Buffer, key: Key): KeyKind {
  const type = l4.readUInt8(0);
  if (type === 9 || type === 10) return "untracked";
  if (type === 0) return readQuery(l4, 8, true, key);
  if (type === 14 || type === 18) return readQuery(l4, type - 1, true, key);
  return [8, 13, 17].includes(type) ? readQuery(l4, type, false, key) : "invalid";
}

/** Multicast listener and neighbour discovery messages (RFC 2710, 3810, 4286, 4861) belong to a link. */
function readIcmpv6(l4: Buffer, key: Key): KeyKind {
  const type = l4.readUInt8(0);
  if (type === 128 || type === 129) return readQuery(l4, 128, type === 129, key);
  const isLink = (type >= 130 && type <= 137) || type === 143 || (type >= 148 && type <= 153);
  return isLink ? "untracked" : "invalid";
}
