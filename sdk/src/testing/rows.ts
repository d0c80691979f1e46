// The row format: plain JSON, run by any StageExecutor (Node's WebAssembly here, a packet thread through the native addon).

import { isDeepStrictEqual } from "node:util";
import type { HookName, Json } from "../build/manifest.js";
import { packetDiff } from "./diff.js";
import type { HistogramValue, Metrics } from "./metrics.js";
import { trapText } from "./trap.js";

/** A verdict, as rows name it. */
export type VerdictName = "pass" | "drop" | "redirect" | "reinput" | "reply";
/** A conntrack state, as rows name it. */
export type CtStateName = "untracked" | "new" | "established" | "related" | "invalid";

/** A source that a packet may leave with. */
export interface SourceEnd {
  /** Such as "10.0.0.1" or "fd00::1", in the form of RFC 5952. */
  address: string;
  /** Or the identifier of an ICMP query. */
  port: number;
}

/** A packet that a stage is given, and what must come of it. */
export interface PacketRow {
  /** Hex, from the L3 header on. */
  in: string;
  /** The row's hook unless said otherwise. */
  hook?: HookName;
  /** Milliseconds since the row's start, default the packet's before it; packets at one time and hook make a burst. */
  at?: number;
  /** Packets with the same name share a flow, and so the stage's flow state. */
  flow?: string;
  /** Hex: the state in the flow that an earlier packet, of before the row, left there. */
  flowState?: string;
  /** Default "new" for a flow's first packet, then "established"; "untracked" without a flow. */
  ctState?: CtStateName;
  direction?: "original" | "reply";
  /** Sources with which the packet's replies would be another flow's; default none. */
  takenSources?: SourceEnd[];
  /** Default 0. */
  inPort?: number;
  /** Default: not routed yet. */
  outPort?: number;
  table?: number;
  mark?: number;
  /** Hex of the link header it came with, at most 128 bytes; default none. */
  link?: string;
  /** An operator traces it: what the stage notes of it is in the result. */
  traced?: boolean;
  /** The L4 checksum field holds the pseudo-header's sum only. */
  partial?: boolean;
  /** A super-frame, with segments of so many payload bytes. */
  gsoSize?: number;
  expect: Expectation;
}

/** Only the fields that are there are compared. */
export interface Expectation {
  verdict: VerdictName;
  /** Of a drop: a well-known reason's name, or one of the stage's own. */
  reason?: string;
  /** Hex of the packet after the stage; "same" for unchanged. Not of a drop. */
  out?: string;
  table?: number;
  mark?: number;
  /** Of a redirect. */
  outPort?: number;
  /** Of a redirect: the neighbour's address, or "" for the packet's destination. */
  nextHop?: string;
  /** Hex of the stage's state in the packet's flow, after the call. */
  flowState?: string;
  /** What the stage noted of a traced packet: the last value of each name. */
  trace?: Record<string, number>;
}

/** A copy of a packet that the stage had sent out by a port. */
export interface MirroredPacket {
  /** Index of the packet in the row. */
  packet: number;
  port: number;
  /** From its L3 header on. */
  hex: string;
}

/** Packets to a stage with its configuration, in their order, and what must come of them. */
export interface Row {
  name: string;
  /** Given to the stage's configure as JSON; without it configure is not called. */
  config?: Json;
  hook: HookName;
  /** Ports that there are, for redirects; default 0 to 15. */
  ports?: number[];
  packets: PacketRow[];
  /** By name: what the counters must be after all packets. */
  counters?: Record<string, number>;
  /** By name: what the gauges must be after all packets. */
  gauges?: Record<string, number>;
  /** By name: what the histograms must hold after all packets; `bounds` are compared when they are there. */
  histograms?: Record<string, Omit<HistogramValue, "bounds"> & { bounds?: number[] }>;
  /** Hex of each packet that the stage must have sent by itself, from its L3 header on, in order. */
  emitted?: string[];
  /** The copies that it must have had sent out by ports, in order. */
  mirrored?: MirroredPacket[];
}

/** What came of one packet. Same keys as Expectation. */
export interface PacketResult {
  verdict: VerdictName;
  reason?: string;
  /** Hex; absent for a drop. */
  out?: string;
  table: number;
  mark: number;
  outPort?: number;
  nextHop?: string;
  /** Absent without a flow or a declared flow state. */
  flowState?: string;
  /** Absent when the stage noted nothing, or the packet is not traced. */
  trace?: Record<string, number>;
}
/** What came of a row's packets. */
export interface RowResult extends Metrics {
  packets: PacketResult[];
  /** Hex of each packet that the stage sent by itself, from its L3 header on, in order. */
  emitted: string[];
  mirrored: MirroredPacket[];
  trap?: Trap;
}

/** A stage failed. */
export interface Trap {
  /** The engine's words. */
  message: string;
  /** Index of the packet that it was at. */
  packet: number;
  /** "assembly/index.ts:12:5", of a module with a source map. */
  source?: string;
  /** The packet in one line. */
  about?: string;
}

/** Runs one stage. Each row starts from a fresh instance, without flows. */
export interface StageExecutor {
  readonly name: string;
  /** Rejects with ConfigureError when the stage refuses the row's configuration. */
  run(row: Row): Promise<RowResult>;
}

/** The stage's configure refused the configuration. */
export class ConfigureError extends Error {
  override readonly name = "ConfigureError";
}

/** How a row went. */
export interface RowReport {
  row: string;
  result: RowResult;
  /** Empty: all as expected. */
  failures: string[];
}

/** Runs rows and says what was not as expected. */
export async function runRows(executor: StageExecutor, rows: Row[]): Promise<RowReport[]> {
  const reports: RowReport[] = [];
  for (const row of rows) {
    const result = await executor.run(row);
    reports.push({ row: row.name, result, failures: compareRow(row, result) });
  }
  return reports;
}

/** What is not as the row expects, one line each; empty when all is. */
export function compareRow(row: Row, result: RowResult): string[] {
  const failures = row.packets.flatMap((packet, index) => {
    const found = result.packets[index];
    return (found ? comparePacket(packet, found) : ["no result"]).map((failure) => `packet ${index}: ${failure}`);
  });
  failures.push(...compareMetrics(row, result), ...compareSent(row, result));
  if (result.trap && failures.length > 0)
    failures.push(`the stage trapped: ${trapText(result.trap)} (packet ${result.trap.packet})`);
  return failures;
}

function compareMetrics(row: Row, result: RowResult): string[] {
  const compare = (what: string, found: object, expected: object) =>
    Object.entries(expected).flatMap(([name, value]) =>
      compareField(`${what} ${name}`, (found as Record<string, unknown>)[name], value),
    );
  const histograms = Object.entries(row.histograms ?? {}).flatMap(([name, expected]) =>
    compare(`histogram ${name}`, result.histograms[name] ?? {}, expected),
  );
  return [
    ...compare("counter", result.counters, row.counters ?? {}),
    ...compare("gauge", result.gauges, row.gauges ?? {}),
    ...histograms,
  ];
}

function compareSent(row: Row, result: RowResult): string[] {
  const failures: string[] = [];
  if (row.emitted) {
    failures.push(...compareField("number of emitted packets", result.emitted.length, row.emitted.length));
    failures.push(...row.emitted.flatMap((hex, i) => comparePackets(`emitted packet ${i}`, result.emitted[i], hex)));
  }
  if (row.mirrored) {
    failures.push(...compareField("number of mirrored packets", result.mirrored.length, row.mirrored.length));
    row.mirrored.forEach(({ packet, port, hex }, i) => {
      const found = result.mirrored[i];
      failures.push(...compareField(`mirrored packet ${i}: packet`, found?.packet, packet));
      failures.push(...compareField(`mirrored packet ${i}: port`, found?.port, port));
      failures.push(...comparePackets(`mirrored packet ${i}`, found?.hex, hex));
    });
  }
  return failures;
}

const comparePackets = (what: string, found: string | undefined, expected: string): string[] =>
  found === undefined ? [] : packetDiff(expected, found).map((failure) => `${what}: ${failure}`);

/** Numbers, texts, and flat lists and records of them. */
function compareField(what: string, found: unknown, expected: unknown): string[] {
  return isDeepStrictEqual(found, expected)
    ? []
    : [`${what} is ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`];
}

function comparePacket(row: PacketRow, found: PacketResult): string[] {
  const { out, trace, ...plain } = row.expect;
  const failures = Object.entries(plain).flatMap(([field, expected]) =>
    compareField(field, found[field as keyof PacketResult], expected),
  );
  if (trace !== undefined) failures.push(...compareField("trace", found.trace ?? {}, trace));
  if (out === undefined) return failures;
  if (found.out === undefined) return [...failures, "there is no packet after the stage"];
  return [...failures, ...packetDiff(out === "same" ? row.in : out, found.out)];
}
