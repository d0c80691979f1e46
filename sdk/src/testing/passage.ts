// Packets on their way through the hooks of a stage, tracked as in a node.

import { type HookName, hookNumber, type Manifest } from "../build/manifest.js";
import { Conntrack, type Tracked } from "./conntrack.js";
import { burstFacts } from "./node-stage.js";
import { isMalformed, parsePacket } from "./parse.js";
import type { CtStateName, PacketResult, PacketRow, SourceEnd } from "./rows.js";
import { bytesOf, hexOf, type Packet, type SendOptions, type SendResult } from "./send.js";
import type { StageSession } from "./session.js";

/** One packet. */
interface Travel {
  tracked: Tracked;
  result: SendResult;
  /** As the stage gets it next; undefined: dropped, or out of the pipeline. */
  next?: PacketRow;
}

const transitHooks: HookName[] = ["prerouting", "forward", "postrouting"];

/** The hooks that a packet meets which the node forwards, or the stage's first where it has none of these. */
export function usualHooks({ hooks }: Manifest): HookName[] {
  const transit = transitHooks.filter((name) => hooks.includes(name));
  return transit.length > 0 ? transit : hooks.slice(0, 1);
}

export class Passage {
  private readonly conntrack: Conntrack;
  private readonly names = new Set<string>();
  private bursts = 0;
  private taken = 0;

  /**
   * @param startWallNs Unix time in nanoseconds at the session's start
   * @param onBurst told of each burst: what the stage got, and what came of it
   */
  constructor(
    private readonly session: StageSession,
    private readonly startWallNs?: bigint,
    private readonly onBurst?: (rows: PacketRow[], results: PacketResult[]) => void,
  ) {
    this.conntrack = new Conntrack({ onEnd: (flow) => session.forget(flow) });
  }

  /** Takes a burst through hooks. `passedNs`: since the session's start. */
  run(passedNs: bigint, packets: [Packet, SendOptions][], hooks: HookName[]): SendResult[] {
    const travels = packets.map(([packet, options]) => this.begin(passedNs, packet, options));
    for (const hook of hooks) {
      const left = travels.filter(({ next }) => next);
      if (left.length > 0) this.runHook(passedNs, hook, left);
    }
    for (const { tracked, result } of travels) {
      if (result.packet && result.verdict !== "reply") this.conntrack.confirm(tracked, result.sent, result.packet);
    }
    this.conntrack.settle(travels.map(({ tracked }) => tracked));
    return travels.map(({ result }) => result);
  }

  private begin(passedNs: bigint, packet: Packet, options: SendOptions): Travel {
    const sent = bytesOf(packet);
    const tracked = this.track(passedNs, sent, options);
    const { table, mark, inPort, outPort, partial, gsoSize, link } = options;
    const given = { table, mark, inPort, outPort, partial, gsoSize, link: link && hexOf(link) };
    const next = {
      in: hexOf(packet),
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      ...tracked,
      traced: options.traced ?? true,
    } as PacketRow;
    const result: SendResult = {
      ...{ verdict: "pass", sent, table: 0, mark: 0, trace: {}, emitted: [], mirrored: [] },
      ...tracked,
    };
    return { tracked, result, next };
  }

  private track(passedNs: bigint, packet: Uint8Array, { flow, ctState, direction }: SendOptions): Tracked {
    const parsed = parsePacket(packet);
    const found: Tracked =
      flow === undefined && !isMalformed(parsed)
        ? this.conntrack.track(parsed, passedNs)
        : { ctState: "untracked", direction: "original", ...(flow ? this.named(flow) : {}) };
    return { ...found, ...(ctState ? { ctState } : {}), ...(direction ? { direction } : {}) };
  }

  private named(flow: string): { flow: string; ctState: CtStateName } {
    const ctState = this.names.has(flow) ? "established" : "new";
    this.names.add(flow);
    return { flow, ctState };
  }

  /** What is taken is kept with the row, for who runs it again. */
  private isSourceTaken(row: PacketRow, source: SourceEnd, nowNs: bigint): boolean {
    const isTaken = this.conntrack.isSourceTaken(row.flow, parsePacket(bytesOf(row.in)), source, nowNs);
    if (isTaken) row.takenSources = [...(row.takenSources ?? []), source];
    return isTaken;
  }

  private runHook(passedNs: bigint, hook: HookName, travels: Travel[]): void {
    const at = Number(passedNs / 1_000_000n);
    const rows = travels.map(({ next }): PacketRow => ({ ...(next as PacketRow), hook, at }));
    const { emitted, mirrored } = this.session;
    const [before, copied, first] = [emitted.length, mirrored.length, this.taken];
    const facts = burstFacts(hookNumber(hook), passedNs, this.bursts++, this.startWallNs);
    const results = this.session.burst(facts, rows, (row, source) => this.isSourceTaken(row, source, passedNs));
    this.taken += rows.length;
    this.onBurst?.(rows, results);
    const [sent, copies] = [emitted.slice(before).map(bytesOf), mirrored.slice(copied)];
    travels.forEach((travel, i) => {
      take(travel, rows[i] as PacketRow, results[i] as PacketResult);
      travel.result.emitted.push(...sent);
      for (const { packet, port, hex } of copies) {
        if (packet === first + i) travel.result.mirrored.push({ port, packet: bytesOf(hex) });
      }
    });
  }
}

/** Notes what one hook made of a packet. */
function take(travel: Travel, row: PacketRow, found: PacketResult): void {
  const { result } = travel;
  const { verdict, out, flowState, trace, outPort, nextHop, reason, table, mark } = found;
  Object.assign(result, { table, mark });
  if (verdict !== "pass") result.verdict = verdict;
  if (reason !== undefined) result.reason = reason;
  if (outPort !== undefined) result.outPort = outPort;
  if (nextHop !== undefined) result.nextHop = nextHop;
  if (flowState !== undefined) result.flowState = bytesOf(flowState);
  Object.assign(result.trace, trace);
  if (out === undefined) {
    delete result.packet;
    delete travel.next;
    return;
  }
  result.packet = bytesOf(out);
  const { expect: _expect, ...came } = row;
  if (verdict === "pass" || verdict === "redirect") {
    travel.next = { ...came, in: out, table, mark, ...(outPort === undefined ? {} : { outPort }) } as PacketRow;
  } else delete travel.next;
}
