// How a packet comes to a stage under test, and what came of it.

import type { HookName } from "../build/manifest.js";
import type { CtStateName, VerdictName } from "./rows.js";

/** A packet from its L3 header on: bytes, or hex. */
export type Packet = Uint8Array | string;

/** How a stage is started. */
/** How a packet comes to the stage. */
export interface SendOptions {
  /**
   * Where it meets the stage: one hook, or several one after the other as on its way through a node. Default: those of
   * prerouting, forward and postrouting that the stage has; else its first.
   */
  hook?: HookName | HookName[];
  /** Milliseconds since the stage was loaded; not before the packet before. Default: now. */
  at?: number;
  /**
   * Default: the flow that conntrack finds, with its state and direction, as in a node. A name: packets with the same name
   * share a flow. False: no flow (untracked).
   */
  flow?: string | false;
  /** Instead of what conntrack says. */
  ctState?: CtStateName;
  /** Instead of what conntrack says. */
  direction?: "original" | "reply";
  /** Default 0. */
  inPort?: number;
  /** The port that it was routed to; default: not routed yet. */
  outPort?: number;
  /** Routing table; default 0. */
  table?: number;
  /** Default 0. */
  mark?: number;
  /** The link header it came with. */
  link?: Packet;
  /** The L4 checksum field holds the pseudo-header's sum only. */
  partial?: boolean;
  /** A super-frame, with segments of so many payload bytes. */
  gsoSize?: number;
  /** Collect the values that the stage notes of it; default true. */
  traced?: boolean;
}

/** What came of one packet. */
export interface SendResult {
  /** "redirect" and "reply" as the last hook said; "drop" as the first did. */
  verdict: VerdictName;
  /** Of a drop: a well-known reason's name, or one of the stage's own. */
  reason?: string;
  /** As it was sent. */
  sent: Uint8Array;
  /** As it left the stage; absent for a drop. */
  packet?: Uint8Array;
  table: number;
  mark: number;
  /** Of a redirect. */
  outPort?: number;
  /** Of a redirect: the neighbour's address, or "" for the packet's destination. */
  nextHop?: string;
  /** The conntrack state it came with. */
  ctState: CtStateName;
  direction: "original" | "reply";
  /** The name of its flow. */
  flow?: string;
  /** The stage's state in the flow, after the call. */
  flowState?: Uint8Array;
  /** What the stage noted of it, by name. */
  trace: Record<string, number>;
  /** Packets that the stage sent by itself in the calls that this packet was in, from their L3 header on. */
  emitted: Uint8Array[];
  /** Copies of this packet that it had sent out by a port. */
  mirrored: { port: number; packet: Uint8Array }[];
  /** Why the stage failed, if it did with this packet or has before. */
  trap?: string;
}

export const bytesOf = (packet: Packet): Uint8Array =>
  typeof packet === "string" ? Buffer.from(packet, "hex") : packet;
export const hexOf = (packet: Packet): string =>
  typeof packet === "string" ? packet.toLowerCase() : Buffer.from(packet).toString("hex");
