import { describePacket } from "@sluice/sdk/testing";

/** A header field that is not what it was; null: the packet has no such field. */
export interface FieldChange {
  field: string;
  before: string | null;
  after: string | null;
}

/** Bytes that changed, by offset; of different lengths where headers were pushed or popped. */
export interface Rewrite {
  offset: number;
  before: string;
  after: string;
}

/** A packet's bytes (hex) after rewrites, each of which says what it found. */
export function rewritten(packet: string, rewrites: readonly Rewrite[]): string {
  return rewrites.reduce((bytes, { offset, before, after }) => {
    const start = 2 * offset;
    return bytes.slice(0, start) + after + bytes.slice(start + before.length);
  }, packet);
}

/** Fields by name ("ipv4.destination") that differ between two packets (hex, from the L3 header). */
export function changedFields(before: string, after: string): FieldChange[] {
  if (before === after) return [];
  const old = describePacket(before);
  const now = describePacket(after);
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((field) => old[field] !== now[field])
    .map((field) => ({ field, before: old[field] ?? null, after: now[field] ?? null }));
}

/** In one line: "10.0.0.1:1234 > 10.0.0.2:80 TCP". @param packet hex, from the L3 header @param otherwise of no IP packet */
export function packetSummary(packet: string, otherwise = "no IP packet"): string {
  const fields = describePacket(packet);
  const family = ["ipv4", "ipv6"].find((each) => fields[`${each}.source`] !== undefined);
  if (family === undefined) return otherwise;
  const protocol = ["tcp", "udp", "sctp"].find((each) => fields[`${each}.sourcePort`] !== undefined);
  const end = (side: "source" | "destination") => {
    const address = fields[`${family}.${side}`] ?? "";
    return protocol === undefined ? address : endpoint(address, Number(fields[`${protocol}.${side}Port`]));
  };
  return `${end("source")} > ${end("destination")} ${protocol?.toUpperCase() ?? plainProtocol(fields, family)}`;
}

/** "10.0.0.1:80", "[fd00::1]:80". */
export function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function plainProtocol(fields: Readonly<Record<string, string>>, family: string): string {
  const icmp = ["icmp", "icmpv6"].find((each) => fields[`${each}.type`] !== undefined);
  if (icmp !== undefined) return `${icmp.toUpperCase()} type ${fields[`${icmp}.type`]} code ${fields[`${icmp}.code`]}`;
  return `protocol ${fields[family === "ipv4" ? "ipv4.protocol" : "ipv6.nextHeader"]}`;
}

const ETHERTYPES: Readonly<Record<string, string>> = { "0806": "ARP", "8100": "VLAN", "88a8": "VLAN" };

/** The same of an Ethernet frame. */
export function frameSummary(frame: Uint8Array): string {
  const hex = Buffer.from(frame).toString("hex");
  const ethertype = hex.slice(24, 28);
  if (ethertype === "0800" || ethertype === "86dd") return packetSummary(hex.slice(28));
  return ETHERTYPES[ethertype] ?? `ethertype 0x${ethertype}`;
}

/** Sixteen bytes a line with their offsets. */
export function hexDump(hex: string, indent: number): string[] {
  const lines = hex.match(/.{1,32}/g) ?? [];
  return lines.map((line, index) => {
    const words = line.match(/.{1,4}/g) ?? [];
    return `${" ".repeat(indent)}${(16 * index).toString(16).padStart(4, "0")}  ${words.join(" ")}`;
  });
}
