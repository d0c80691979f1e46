import { addressText } from "./addresses.js";

type Fields = Map<string, string>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * What is different between two packets (hex, from the L3 header), one line a field: "tcp.destinationPort is 80, expected
 * 8080". Empty when they are equal.
 */
export function packetDiff(expected: string, found: string): string[] {
  if (expected === found) return [];
  const a = decode(Buffer.from(expected, "hex"));
  const b = decode(Buffer.from(found, "hex"));
  const names = new Set([...a.keys(), ...b.keys()]);
  return [...names]
    .filter((name) => a.get(name) !== b.get(name))
    .map((name) => {
      return `${name} is ${b.get(name) ?? "absent"}, expected ${a.get(name) ?? "absent"}`;
    });
}

/** A packet's fields by name, such as "ipv4.source"; bytes that no header claims are "payload". */
export function describePacket(packet: string): Record<string, string> {
  return Object.fromEntries(decode(Buffer.from(packet, "hex")));
}

function decode(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  decodeIp(bytes, "", fields);
  return fields;
}

/** Reads fields by name; what lies behind the bytes' end reads as absent. */
class Cursor {
  constructor(
    readonly bytes: Buffer,
    private readonly prefix: string,
    private readonly fields: Fields,
  ) {}
  number(name: string, at: number, size: 1 | 2 | 4, mask = 0xffffffff, shift = 0): void {
    if (at + size > this.bytes.length) return;
    const value = (this.bytes.readUIntBE(at, size) & mask) >>> shift;
    this.fields.set(this.prefix + name, String(value));
  }
  hex(name: string, at: number, size: number): void {
    if (size > 0 && at < this.bytes.length)
      this.fields.set(this.prefix + name, hex(this.bytes.subarray(at, at + size)));
  }
  address(name: string, at: number, size: 4 | 16): void {
    if (at + size <= this.bytes.length)
      this.fields.set(this.prefix + name, addressText(this.bytes.subarray(at, at + size)));
  }
}

function decodeIp(bytes: Buffer, prefix: string, fields: Fields): void {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4 && bytes.length >= 20) decodeIpv4(bytes, prefix, fields);
  else if (version === 6 && bytes.length >= 40) decodeIpv6(bytes, prefix, fields);
  else if (bytes.length > 0) fields.set(`${prefix}payload`, hex(bytes));
}

function decodeIpv4(bytes: Buffer, prefix: string, fields: Fields): void {
  const cursor = new Cursor(bytes, `${prefix}ipv4.`, fields);
  const header = (bytes.readUInt8(0) & 15) * 4;
  cursor.number("headerLength", 0, 1, 15);
  cursor.number("dscp", 1, 1, 0xfc, 2);
  cursor.number("ecn", 1, 1, 3);
  cursor.number("totalLength", 2, 2);
  cursor.number("identification", 4, 2);
  cursor.number("flags", 6, 2, 0xe000, 13);
  cursor.number("fragmentOffset", 6, 2, 0x1fff);
  cursor.number("ttl", 8, 1);
  cursor.number("protocol", 9, 1);
  cursor.hex("checksum", 10, 2);
  cursor.address("source", 12, 4);
  cursor.address("destination", 16, 4);
  cursor.hex("options", 20, header - 20);
  decodeNext(bytes.readUInt8(9), bytes.subarray(Math.max(header, 20)), prefix, fields);
}

function decodeIpv6(bytes: Buffer, prefix: string, fields: Fields): void {
  const cursor = new Cursor(bytes, `${prefix}ipv6.`, fields);
  cursor.number("dscp", 0, 2, 0x0fc0, 6);
  cursor.number("ecn", 0, 2, 0x30, 4);
  cursor.number("flowLabel", 0, 4, 0xfffff);
  cursor.number("payloadLength", 4, 2);
  cursor.number("nextHeader", 6, 1);
  cursor.number("hopLimit", 7, 1);
  cursor.address("source", 8, 16);
  cursor.address("destination", 24, 16);
  decodeNext(bytes.readUInt8(6), bytes.subarray(40), prefix, fields);
}

type Decoder = (bytes: Buffer, prefix: string, fields: Fields) => void;
const decodeInner: Decoder = (bytes, prefix, fields) => decodeIp(bytes, `${prefix}inner.`, fields);
/** By protocol number. */
const decoders: Record<number, Decoder> = {
  0: (...args) => decodeExtension("hopByHop", ...args),
  1: (...args) => decodeIcmp("icmp", ...args),
  4: decodeInner,
  6: (...args) => decodeTcp(...args),
  17: (...args) => decodePorts("udp", ...args),
  41: decodeInner,
  43: (...args) => decodeExtension("routing", ...args),
  58: (...args) => decodeIcmp("icmpv6", ...args),
  60: (...args) => decodeExtension("destinationOptions", ...args),
  132: (...args) => decodePorts("sctp", ...args),
};

function decodeNext(protocol: number, bytes: Buffer, prefix: string, fields: Fields): void {
  const decoder = decoders[protocol];
  if (decoder) decoder(bytes, prefix, fields);
  else new Cursor(bytes, prefix, fields).hex("payload", 0, bytes.length);
}

function decodeTcp(bytes: Buffer, prefix: string, fields: Fields): void {
  const cursor = new Cursor(bytes, `${prefix}tcp.`, fields);
  cursor.number("sourcePort", 0, 2);
  cursor.number("destinationPort", 2, 2);
  cursor.number("sequence", 4, 4);
  cursor.number("acknowledgment", 8, 4);
  cursor.number("headerLength", 12, 1, 0xf0, 2);
  cursor.number("flags", 13, 1);
  cursor.number("window", 14, 2);
  cursor.hex("checksum", 16, 2);
  cursor.number("urgent", 18, 2);
  const header = ((bytes[12] ?? 0x50) >> 4) * 4;
  cursor.hex("options", 20, header - 20);
  new Cursor(bytes, prefix, fields).hex("payload", Math.max(header, 20), bytes.length);
}

function decodePorts(name: "udp" | "sctp", bytes: Buffer, prefix: string, fields: Fields): void {
  const cursor = new Cursor(bytes, `${prefix}${name}.`, fields);
  cursor.number("sourcePort", 0, 2);
  cursor.number("destinationPort", 2, 2);
  if (name === "udp") cursor.number("length", 4, 2);
  else cursor.hex("verificationTag", 4, 4);
  cursor.hex("checksum", name === "udp" ? 6 : 8, name === "udp" ? 2 : 4);
  new Cursor(bytes, prefix, fields).hex("payload", name === "udp" ? 8 : 12, bytes.length);
}

function decodeIcmp(name: "icmp" | "icmpv6", bytes: Buffer, prefix: string, fields: Fields): void {
  const cursor = new Cursor(bytes, `${prefix}${name}.`, fields);
  cursor.number("type", 0, 1);
  cursor.number("code", 1, 1);
  cursor.hex("checksum", 2, 2);
  cursor.number("identifier", 4, 2);
  cursor.number("sequence", 6, 2);
  const type = bytes[0] ?? 0;
  const isError = name === "icmp" ? [3, 4, 5, 11, 12].includes(type) : type > 0 && type < 128;
  if (isError) decodeIp(bytes.subarray(8), `${prefix}quoted.`, fields);
  else new Cursor(bytes, prefix, fields).hex("payload", 8, bytes.length);
}

function decodeExtension(
  name: "hopByHop" | "routing" | "destinationOptions",
  bytes: Buffer,
  prefix: string,
  fields: Fields,
): void {
  const cursor = new Cursor(bytes, `${prefix}${name}.`, fields);
  const length = ((bytes[1] ?? 0) + 1) * 8;
  cursor.number("nextHeader", 0, 1);
  if (name === "routing") cursor.number("segmentsLeft", 3, 1);
  cursor.hex("bytes", 1, length - 1);
  if (bytes.length >= length) decodeNext(bytes.readUInt8(0), bytes.subarray(length), prefix, fields);
}
