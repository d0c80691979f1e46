import type { DropRecord } from "../../dataplane/protocol.js";
import { clock, count, NARROW_WIDTH, rate, shorten, wrap } from "../output.js";
import { hexDump, packetSummary } from "../packets.js";

/** `rate`: packets a second since the reading before; absent: there was none. */
export type RatedDrop = DropRecord & { rate?: number };

/** Packets a second of each reason and stage between two readings; a count that went down was started anew. */
export function ratedDrops(
  before: readonly DropRecord[] | undefined,
  after: readonly DropRecord[],
  elapsedMs: number,
): RatedDrop[] {
  if (before === undefined || elapsedMs <= 0) return [...after];
  return after.map((record) => {
    const old = before.find(({ reason, stage }) => reason === record.reason && stage === record.stage)?.packets ?? 0;
    const packets = record.packets < old ? record.packets : record.packets - old;
    return { ...record, rate: (1000 * packets) / elapsedMs };
  });
}

/** Most packets first, each with what it means and its last packet. @param isVerbose with that packet's bytes */
export function dropsText(drops: readonly RatedDrop[], isVerbose: boolean): string {
  if (drops.length === 0) return "no drops";
  const sorted = [...drops].sort((a, b) => b.packets - a.packets);
  const isRated = sorted.some((drop) => drop.rate !== undefined);
  const head = `${"PACKETS".padStart(8)}  ${isRated ? `${"RATE/S".padStart(8)}  ` : ""}REASON`;
  return [head, ...sorted.flatMap((drop) => dropLines(drop, isRated, isVerbose))].join("\n");
}

function dropLines(drop: RatedDrop, isRated: boolean, isVerbose: boolean): string[] {
  const { reason, stage, packets, meaning, last } = drop;
  const by = stage === "" ? "" : ` by stage ${stage}`;
  const perSecond = isRated ? `${(drop.rate === undefined ? "-" : rate(drop.rate)).padStart(8)}  ` : "";
  const figures = `${count(packets).padStart(8)}  ${perSecond}`;
  const indent = 10;
  const lines = [shorten(`${figures}${reason}${by}`, NARROW_WIDTH)];
  if (meaning !== "") lines.push(wrap(`${" ".repeat(indent)}${meaning}`, indent));
  if (last !== null) {
    const from = last.inPort === "" ? "" : ` in by ${last.inPort}`;
    const what = packetSummary(last.packetHex, last.summary);
    lines.push(wrap(`${" ".repeat(indent)}last ${clock(last.at)}${from}: ${what}  ${last.length} bytes`, indent + 2));
    if (isVerbose) lines.push(...hexDump(last.packetHex, indent + 2));
  }
  return lines;
}
