// What the matchers compare, and the texts of their failures.

import { describePacket } from "./describe.js";
import { fieldDifferences, hexRegion } from "./diff.js";
import type { HistogramValue } from "./metrics.js";
import type { VerdictName } from "./rows.js";
import { hexOf, type Packet, type SendResult } from "./send.js";
import { Stage } from "./stage.js";

export interface RedirectExpectation {
  port?: number;
  /** The neighbour's address, or "" for the packet's destination. */
  nextHop?: string;
}
export type HistogramExpectation = Partial<HistogramValue>;

interface MatcherResult {
  pass: boolean;
  message: () => string;
}

const indented = (lines: string[]): string[] => lines.map((line) => line && `  ${line}`);

/** `problems` empty: as expected. `opposite`: what to say when that is wrong. */
const verdictOf = (title: string, problems: string[], opposite: string): MatcherResult => ({
  pass: problems.length === 0,
  message: () => (problems.length === 0 ? opposite : [title, ...indented(problems)].join("\n")),
});

/** How two packets differ: field by field, then the bytes. */
export function packetProblems(expected: Packet, found: Uint8Array | undefined): string[] {
  if (!found) return ["there is no packet after the stage"];
  const [a, b] = [hexOf(expected), hexOf(found)];
  if (a === b) return [];
  const fields = fieldDifferences(a, b).map(
    (each) => `${each.field}: ${each.found ?? "absent"} → expected ${each.expected ?? "absent"}`,
  );
  return [...fields, "", ...hexRegion(Buffer.from(a, "hex"), found)];
}

function fieldProblems(expected: Record<string, string | number>, found: Uint8Array | undefined): string[] {
  if (!found) return ["there is no packet after the stage"];
  const fields = describePacket(hexOf(found));
  return Object.entries(expected)
    .filter(([field, value]) => fields[field] !== String(value))
    .map(
      ([field, value]) =>
        `${field}: ${fields[field] ?? `absent (there are ${Object.keys(fields).join(", ")})`} → expected ${value}`,
    );
}

/** What came of the packet, in one line. */
function outcome({ verdict, reason, outPort, nextHop }: SendResult): string {
  if (verdict === "drop") return `dropped: ${reason}`;
  if (verdict !== "redirect") return said[verdict];
  return `redirected to port ${outPort}${nextHop ? ` and next hop ${nextHop}` : ""}`;
}
const said: Record<VerdictName, string> = {
  pass: "passed",
  drop: "dropped",
  redirect: "redirected",
  reinput: "handed back to be received again",
  reply: "turned into a reply",
};

/** Why a result is not of this verdict. */
function verdictProblems(result: SendResult, verdict: VerdictName): string[] {
  if (result.verdict === verdict) return [];
  return [`it was ${outcome(result)}`, ...(result.trap ? [`the stage failed: ${result.trap}`] : [])];
}

function leaves(result: unknown, verdict: VerdictName, packet: Packet | undefined): MatcherResult {
  const found = resultOf(result);
  const problems = verdictProblems(found, verdict);
  if (problems.length === 0 && packet !== undefined) problems.push(...packetProblems(packet, found.packet));
  const as = packet === undefined ? "" : " as this packet";
  return verdictOf(`the packet was to be ${said[verdict]}${as}`, problems, `the packet was ${said[verdict]}${as}`);
}

/** Wrong use is an error of its own, not a failed expectation. */
function resultOf(value: unknown): SendResult {
  if (typeof value === "object" && value !== null && "verdict" in value && "sent" in value) return value as SendResult;
  throw new TypeError("this matcher is for what stage.send() returns");
}
function stageOf(value: unknown): Stage {
  if (value instanceof Stage) return value;
  throw new TypeError("this matcher is for a stage, from loadPlugin()");
}

const same = (what: string, found: unknown, expected: unknown): string[] =>
  JSON.stringify(found) === JSON.stringify(expected)
    ? []
    : [`${what}: ${JSON.stringify(found) ?? "absent"} → expected ${JSON.stringify(expected)}`];

function metric(kind: string, values: Record<string, number>, name: string, expected: number): MatcherResult {
  const found = values[name];
  const missing = `the stage has no ${kind} '${name}'; it has ${Object.keys(values).join(", ") || "none"}`;
  const problems = found === undefined ? [missing] : same(name, found, expected);
  return verdictOf(`${kind} ${name} is not as expected`, problems, `${kind} ${name} is ${expected}`);
}

function emittedBy(value: unknown): Uint8Array[] {
  return value instanceof Stage ? value.emitted : resultOf(value).emitted;
}

/** For vitest's expect.extend. */
export const matchers = {
  toPass: (result: unknown, packet?: Packet) => leaves(result, "pass", packet),
  toReply: (result: unknown, packet?: Packet) => leaves(result, "reply", packet),
  toReinput: (result: unknown, packet?: Packet) => leaves(result, "reinput", packet),

  toDrop(result: unknown, reason?: string): MatcherResult {
    const found = resultOf(result);
    const problems = verdictProblems(found, "drop");
    if (problems.length === 0 && reason !== undefined && found.reason !== reason) {
      problems.push(
        `reason: ${found.reason} → expected ${reason}`,
        ...(found.trap ? [`the stage failed: ${found.trap}`] : []),
      );
    }
    const why = reason === undefined ? "" : ` for '${reason}'`;
    return verdictOf(`the packet was to be dropped${why}`, problems, `the packet was dropped${why}`);
  },

  toRedirect(result: unknown, to: RedirectExpectation = {}): MatcherResult {
    const found = resultOf(result);
    const problems = verdictProblems(found, "redirect");
    if (problems.length === 0) {
      if (to.port !== undefined) problems.push(...same("port", found.outPort, to.port));
      if (to.nextHop !== undefined) problems.push(...same("next hop", found.nextHop, to.nextHop));
    }
    return verdictOf("the packet was to be redirected", problems, `the packet was ${outcome(found)}`);
  },

  toLeaveAs(result: unknown, packet: Packet | Record<string, string | number>): MatcherResult {
    const found = resultOf(result);
    const isPacket = typeof packet === "string" || packet instanceof Uint8Array;
    const problems = found.packet ? [] : verdictProblems(found, "pass");
    if (problems.length === 0)
      problems.push(...(isPacket ? packetProblems(packet, found.packet) : fieldProblems(packet, found.packet)));
    return verdictOf(
      "the packet leaves the stage otherwise than expected",
      problems,
      "the packet leaves the stage like that",
    );
  },

  toLeaveUnchanged(result: unknown): MatcherResult {
    const found = resultOf(result);
    const problems = found.packet ? packetProblems(found.sent, found.packet) : verdictProblems(found, "pass");
    return verdictOf("the packet was to leave as it came", problems, "the packet leaves as it came");
  },

  toHaveTraced(result: unknown, values: Record<string, number>): MatcherResult {
    const { trace } = resultOf(result);
    const problems = Object.entries(values).flatMap(([name, value]) => same(name, trace[name], value));
    return verdictOf("the stage was to note other values", problems, `the stage noted ${JSON.stringify(values)}`);
  },

  toHaveEmitted(of: unknown, ...packets: Packet[]): MatcherResult {
    const found = emittedBy(of);
    const problems = same("number of packets", found.length, packets.length);
    packets.slice(0, found.length).forEach((packet, i) => {
      const different = packetProblems(packet, found[i]);
      if (different.length > 0) problems.push(`packet ${i}:`, ...indented(different));
    });
    return verdictOf("the stage was to send other packets", problems, "the stage sent these packets");
  },

  toHaveMirrored(result: unknown, port: number, packet?: Packet): MatcherResult {
    const copies = resultOf(result).mirrored;
    const copy = copies.find((each) => each.port === port);
    const others = copies.map((each) => each.port).join(", ");
    const problems = copy
      ? packet === undefined
        ? []
        : packetProblems(packet, copy.packet)
      : [others ? `there are copies to port ${others}` : "there is no copy"];
    return verdictOf(
      `the packet was to be mirrored to port ${port}`,
      problems,
      `the packet was mirrored to port ${port}`,
    );
  },

  toHaveCounter: (stage: unknown, name: string, value: number) =>
    metric("counter", stageOf(stage).counters, name, value),
  toHaveGauge: (stage: unknown, name: string, value: number) => metric("gauge", stageOf(stage).gauges, name, value),

  toHaveHistogram(stage: unknown, name: string, expected: HistogramExpectation): MatcherResult {
    const { histograms } = stageOf(stage);
    const found = histograms[name];
    const problems = found
      ? Object.entries(expected).flatMap(([part, value]) => same(part, found[part as keyof HistogramValue], value))
      : [`the stage has no histogram '${name}'; it has ${Object.keys(histograms).join(", ") || "none"}`];
    return verdictOf(`histogram ${name} is not as expected`, problems, `histogram ${name} is like that`);
  },

  toHaveTrapped(stage: unknown, message?: string | RegExp): MatcherResult {
    const { trap } = stageOf(stage);
    const isLike = (text: string) =>
      message === undefined || (typeof message === "string" ? text.includes(message) : message.test(text));
    const problems = !trap ? ["it did not"] : isLike(trap.message) ? [] : [`it failed with: ${trap.message}`];
    return verdictOf(
      `the stage was to fail${message ? ` with ${message}` : ""}`,
      problems,
      `the stage failed: ${trap?.message}`,
    );
  },
};
