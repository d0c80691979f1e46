import { describeFrame, describePacket, fieldDifferences } from "@sluice/sdk/testing";

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
  const differences = fieldDifferences(before, after);
  return differences.map(({ field, expected, found }) => ({ field, before: expected ?? null, after: found ?? null }));
}

/** In one line: "10.0.0.1:1234 > 10.0.0.2:80 TCP". @param packet hex, from the L3 header @param otherwise of no IP packet */
export function packetSummary(packet: string, otherwise = "no IP packet"): string {
  return summaryOf(describePacket(packet)) ?? otherwise;
}

/** The same of an Ethernet frame. */
export function frameSummary(frame: Uint8Array): string {
  const fields = describeFrame(frame);
  const others = ["arp", "vlan"].find((each) => Object.keys(fields).some((field) => field.startsWith(`${each}.`)));
  return summaryOf(fields) ?? others?.toUpperCase() ?? `ethertype 0x${fields["ethernet.etherType"]}`;
}

type Fields = Readonly<Record<string, string>>;

function summaryOf(fields: Fields): string | undefined {
  const family = ["ipv4", "ipv6"].find((each) => fields[`${each}.source`] !== undefined);
  if (family === undefined) return undefined;
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

function plainProtocol(fields: Fields, family: string): string {
  const icmp = ["icmp", "icmpv6"].find((each) => fields[`${each}.type`] !== undefined);
  if (icmp !== undefined) return `${icmp.toUpperCase()} type ${fields[`${icmp}.type`]} code ${fields[`${icmp}.code`]}`;
  return `protocol ${fields[family === "ipv4" ? "ipv4.protocol" : "ipv6.nextHeader"]}`;
}

/** Sixteen bytes a line with their offsets. */
export function hexDump(hex: string, indent: number): string[] {
  const lines = hex.match(/.{1,32}/g) ?? [];
  return lines.map((line, index) => {
    const words = line.match(/.{1,4}/g) ?? [];
    return `${" ".repeat(indent)}${(16 * index).toString(16).padStart(4, "0")}  ${words.join(" ")}`;
  });
}
