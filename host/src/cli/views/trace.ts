import type { TracedPacket, TraceStep } from "@sluice/native";
import { clock, NARROW_WIDTH, shorten, wrap } from "../output.js";
import { changedFields, type FieldChange, hexDump, packetSummary, rewritten } from "../packets.js";

/** A step with what it rewrote as fields of headers. */
export type NamedStep = TraceStep & { fields: FieldChange[] };
export type NamedPacket = Omit<TracedPacket, "steps"> & { steps: NamedStep[] };

/** Follows the packet's bytes through its steps. */
export function withFields(packet: TracedPacket): NamedPacket {
  let bytes = packet.packetHex;
  const steps = packet.steps.map((step) => {
    const before = bytes;
    bytes = rewritten(bytes, step.rewrites ?? []);
    return { ...step, fields: changedFields(before, bytes) };
  });
  return { ...packet, steps };
}

/** Where a step's own words begin. */
const INDENT = 26;

/** A traced packet and its way, a line or more a step. @param isVerbose with checksums and the packet's bytes */
export function traceText(packet: NamedPacket, isVerbose: boolean): string {
  const { number, summary, worker, at, packetHex, length, steps } = packet;
  const what = packetSummary(packetHex, summary);
  return [
    wrap(`packet ${number}  ${clock(at)}  worker ${worker}  ${what}  ${length} bytes`, 2),
    ...(isVerbose ? hexDump(packetHex, 2) : []),
    ...steps.flatMap((step) => stepLines(step, isVerbose)),
  ].join("\n");
}

function stepLines(step: NamedStep, isVerbose: boolean): string[] {
  const time = `${(step.afterNs / 1000).toFixed(1)} us`.padStart(11);
  const place = step.stage === undefined ? step.kind : (step.hook ?? step.kind);
  const margin = " ".repeat(INDENT);
  const more = [
    ...shownFields(step.fields, isVerbose).map(fieldText),
    ...(step.values ?? []).map(({ name, value }) => `${name} = ${value}`),
  ];
  return [
    wrap(`${time}  ${place.padEnd(INDENT - 15)}  ${headline(step)}`, INDENT),
    ...more.map((text) => margin + shorten(text, NARROW_WIDTH - INDENT)),
  ];
}

function headline({ kind, stage, verdict, reason, detail, cycles }: TraceStep): string {
  if (kind === "drop") return `${reason}${stage === undefined ? "" : ` by stage ${stage}`}`;
  const parts = [stage, verdict, reason, detail === reason ? "" : detail, cycles && `${cycles.toFixed(0)} cycles/pkt`];
  return parts.filter(Boolean).join("  ");
}

/** Checksums follow from the rest, and lengths from pushes and pops, which their own fields tell of. */
function shownFields(fields: readonly FieldChange[], isVerbose: boolean): readonly FieldChange[] {
  const telling = fields.filter(({ field }) => !/(^|\.)(checksum|payload)$/.test(field));
  return isVerbose || telling.length === 0 ? fields : telling;
}

function fieldText({ field, before, after }: FieldChange): string {
  if (before === null) return `${field} added: ${after}`;
  return after === null ? `${field} ${before} removed` : `${field} ${before} -> ${after}`;
}
