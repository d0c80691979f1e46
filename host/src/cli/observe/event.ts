import type { FlowRecord } from "@sluice/native";
import type { CapturedPacket, DropRecord } from "../../dataplane/protocol.js";
import type { Names, Owner } from "../cluster/names.js";
import { type InnerPacket, innerPacket, innerPacketOfFrame } from "../inner.js";
import { PROTOCOL_NAMES, protocolNumber, translation } from "../views/flows.js";

export type Verdict = "forwarded" | "dropped";
export const VERDICTS: readonly Verdict[] = ["forwarded", "dropped"];

/** One end of a packet's way. */
export interface End {
  readonly address: string;
  readonly port?: number;
  readonly kind?: Owner["kind"];
  readonly name?: string;
}

/** A packet that left a node or was dropped there, or a connection that a node tracks. */
export interface PacketEvent {
  /** Unix time, ms. */
  readonly at: number;
  readonly node: string;
  readonly verdict: Verdict;
  readonly source: End;
  readonly destination: End;
  readonly protocol: string;
  /** TCP flags, ICMP type, or a connection's state. */
  readonly detail: string;
  /** Of the packet; absent of a connection. */
  readonly length?: number;
  /** Where it leaves, of a drop where it came in. */
  readonly port?: string;
  /** It goes to another node inside another packet. */
  readonly carried?: boolean;
  readonly reason?: string;
  readonly stage?: string;
}

type NamesOf = Pick<Names, "of">;

/** undefined: no IP packet. */
export function capturedEvent(node: string, packet: CapturedPacket, names: NamesOf): PacketEvent | undefined {
  const inner = innerPacketOfFrame(packet.bytes);
  if (inner === undefined) return undefined;
  const { seconds, nanoseconds, point, port, length, reason, stage } = packet;
  return {
    at: 1000 * seconds + nanoseconds / 1e6,
    node,
    verdict: point === "drop" ? "dropped" : "forwarded",
    ...endsOf(inner, names),
    length,
    port,
    carried: inner.isCarried,
    ...(reason === undefined ? {} : { reason }),
    ...(stage === undefined ? {} : { stage }),
  };
}

/** Of a drop reason's last packet; undefined: there is none, or it was no IP packet. */
export function droppedEvent(
  node: string,
  { reason, stage, last }: DropRecord,
  names: NamesOf,
): PacketEvent | undefined {
  const inner = last === null ? undefined : innerPacket(last.packetHex);
  if (last === null || inner === undefined) return undefined;
  return {
    at: last.at,
    node,
    verdict: "dropped",
    ...endsOf(inner, names),
    length: last.length,
    port: last.inPort,
    carried: inner.isCarried,
    reason,
    ...(stage === "" ? {} : { stage }),
  };
}

/** Of a tracked connection, as its packets leave. */
export function flowEvent(node: string, flow: FlowRecord, names: NamesOf, now: number): PacketEvent {
  const tuple = translation(flow) ?? flow.original;
  const name = PROTOCOL_NAMES.find((each) => protocolNumber(each) === flow.protocol);
  const hasPorts = flow.protocol !== protocolNumber("icmp") && flow.protocol !== protocolNumber("icmpv6");
  return {
    at: now - flow.idleMs,
    node,
    verdict: "forwarded",
    source: endOf(tuple.source, hasPorts ? tuple.sourcePort : undefined, names),
    destination: endOf(tuple.destination, hasPorts ? tuple.destinationPort : undefined, names),
    protocol: (name ?? String(flow.protocol)).toUpperCase(),
    detail: flow.state,
  };
}

function endsOf(
  inner: InnerPacket,
  names: NamesOf,
): Pick<PacketEvent, "source" | "destination" | "protocol" | "detail"> {
  const { source, destination, sourcePort, destinationPort, protocol, detail } = inner;
  return {
    source: endOf(source, sourcePort, names),
    destination: endOf(destination, destinationPort, names),
    protocol,
    detail,
  };
}

function endOf(address: string, port: number | undefined, names: NamesOf): End {
  return { address, ...(port === undefined ? {} : { port }), ...names.of(address) };
}
