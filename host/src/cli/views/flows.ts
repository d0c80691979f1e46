import type { FlowRecord } from "@sluice/native";
import { duration, NARROW_WIDTH } from "../output.js";
import { endpoint } from "../packets.js";

type Tuple = FlowRecord["original"];

/** IP protocol numbers that have a name here. */
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 };

/** "tcp" or "6"; undefined: neither a name nor a number up to 255. */
export function protocolNumber(text: string): number | undefined {
  const value = PROTOCOLS[text.toLowerCase()] ?? (/^\d+$/.test(text) ? Number(text) : undefined);
  return value !== undefined && value <= 255 ? value : undefined;
}

export const PROTOCOL_NAMES = Object.keys(PROTOCOLS);

function protocolName(number: number): string {
  return PROTOCOL_NAMES.find((name) => PROTOCOLS[name] === number) ?? String(number);
}

/** What the flow's packets look like as they leave, where that is not as they came in; from the replies, the other way round. */
export function translation({ original, reply }: FlowRecord): Tuple | undefined {
  const left = {
    source: reply.destination,
    sourcePort: reply.destinationPort,
    destination: reply.source,
    destinationPort: reply.sourcePort,
  };
  const isSame = Object.entries(left).every(([key, value]) => original[key as keyof Tuple] === value);
  return isSame ? undefined : left;
}

/** A line a flow, a second one for its translation or where the first is full. @param isVerbose with plugins' slots */
export function flowsText(flows: readonly FlowRecord[], isVerbose: boolean): string {
  if (flows.length === 0) return "no flows";
  const head = `${row("PROTO", "STATE", "IDLE", "EXPIRES")}FLOW`;
  return [head, ...flows.flatMap((flow) => flowLines(flow, isVerbose))].join("\n");
}

function row(protocol: string, state: string, idle: string, expires: string): string {
  return `${protocol.padEnd(6)}  ${state.padEnd(12)}  ${idle.padStart(6)}  ${expires.padStart(7)}  `;
}

function flowLines(flow: FlowRecord, isVerbose: boolean): string[] {
  const { protocol, state, idleMs, expiresInMs, original, slots } = flow;
  const first = row(protocolName(protocol), state, duration(idleMs), duration(expiresInMs));
  const way = tupleText(original, protocol);
  const fits = first.length + way.length <= NARROW_WIDTH;
  const left = translation(flow);
  return [
    ...(fits ? [first + way] : [first.trimEnd(), `  ${way}`]),
    ...(left === undefined ? [] : [`  leaves as ${tupleText(left, protocol)}`]),
    ...(isVerbose ? Object.entries(slots).flatMap(([plugin, hex]) => slotLines(plugin, hex)) : []),
  ];
}

function slotLines(plugin: string, hex: string): string[] {
  const lines = hex.match(/.{1,64}/g) ?? [];
  return lines.map((line, index) => `  ${index === 0 ? `${plugin}: ` : " ".repeat(plugin.length + 2)}${line}`);
}

/** The echo identifier stands where others have ports. */
function tupleText({ source, sourcePort, destination, destinationPort }: Tuple, protocol: number): string {
  if (protocol === PROTOCOLS.icmp || protocol === PROTOCOLS.icmpv6)
    return `${source} > ${destination} id ${sourcePort}`;
  const hasPorts = sourcePort !== 0 || destinationPort !== 0;
  if (!hasPorts) return `${source} > ${destination}`;
  return `${endpoint(source, sourcePort)} > ${endpoint(destination, destinationPort)}`;
}
