// A packet's fields by name, for people: what each header says, layer by layer.

import { addressText } from "./addresses.js";

export type Fields = Map<string, string>;

/** A packet's fields by name, such as "ipv4.source"; bytes that no header claims are "payload". Hex, from the L3 header on. */
export function describePacket(packet: string): Record<string, string> {
  return Object.fromEntries(fieldsOf(Buffer.from(packet, "hex")));
}

/** The same of a frame with its Ethernet header. */
export function describeFrame(frame: Uint8Array): Record<string, string> {
  const fields: Fields = new Map();
  decodeEthernet(Buffer.from(frame), "", fields);
  return Object.fromEntries(fields);
}

export function fieldsOf(bytes: Buffer): Fields {
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
  number(name: string, at: number, size: 1 | 2 | 3 | 4, mask = 0xffffffff, shift = 0): void {
    if (at + size > this.bytes.length) return;
    const value = (this.bytes.readUIntBE(at, size) & mask) >>> shift;
    this.fields.set(this.prefix + name, String(value));
  }
  hex(name: string, at: number, size: number): void {
    if (size > 0 && at < this.bytes.length)
      this.fields.set(this.prefix + name, this.bytes.subarray(at, at + size).toString("hex"));
  }
  address(name: string, at: number, size: 4 | 16): void {
    if (at + size <= this.bytes.length)
      this.fields.set(this.prefix + name, addressText(this.bytes.subarray(at, at + size)));
  }
  mac(name: string, at: number): void {
    if (at + 6 <= this.bytes.length) this.text(name, [...this.bytes.subarray(at, at + 6)].map(twoDigits).join(":"));
  }
  text(name: string, value: string): void {
    this.fields.set(this.prefix + name, value);
  }
}

const twoDigits = (byte: number): string => byte.toString(16).padStart(2, "0");

type Decoder = (bytes: Buffer, prefix: string, fields: Fields) => void;

const decodeRest: Decoder = (bytes, prefix, fields) =>
  new Cursor(bytes, prefix, fields).hex("payload", 0, bytes.length);

const decodeEthernet: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}ethernet.`, fields);
  cursor.mac("destination", 0);
  cursor.mac("source", 6);
  cursor.hex("etherType", 12, 2);
  if (bytes.length >= 14) decodeEtherType(bytes.readUInt16BE(12), bytes.subarray(14), prefix, fields);
};

function decodeEtherType(type: number, bytes: Buffer, prefix: string, fields: Fields): void {
  if (type === 0x0800 || type === 0x86dd) decodeIp(bytes, prefix, fields);
  else if (type === 0x8100 || type === 0x88a8) decodeVlan(bytes, prefix, fields);
  else if (type === 0x0806) decodeArp(bytes, prefix, fields);
  else decodeRest(bytes, prefix, fields);
}

const decodeVlan: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}vlan.`, fields);
  cursor.number("priority", 0, 2, 0xe000, 13);
  cursor.number("dropEligible", 0, 2, 0x1000, 12);
  cursor.number("id", 0, 2, 0x0fff);
  cursor.hex("etherType", 2, 2);
  if (bytes.length >= 4) decodeEtherType(bytes.readUInt16BE(2), bytes.subarray(4), prefix, fields);
};

/** Of Ethernet and IPv4 (RFC 826). */
const decodeArp: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}arp.`, fields);
  cursor.number("operation", 6, 2);
  cursor.mac("senderMac", 8);
  cursor.address("senderAddress", 14, 4);
  cursor.mac("targetMac", 18);
  cursor.address("targetAddress", 24, 4);
};

const decodeIp: Decoder = (bytes, prefix, fields) => {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4 && bytes.length >= 20) decodeIpv4(bytes, prefix, fields);
  else if (version === 6 && bytes.length >= 40) decodeIpv6(bytes, prefix, fields);
  else if (bytes.length > 0) decodeRest(bytes, prefix, fields);
};

const decodeIpv4: Decoder = (bytes, prefix, fields) => {
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
  const isLater = (bytes.readUInt16BE(6) & 0x1fff) !== 0;
  const rest = bytes.subarray(Math.max(header, 20));
  if (isLater) decodeRest(rest, prefix, fields);
  else decodeNext(bytes.readUInt8(9), rest, prefix, fields);
};

const decodeIpv6: Decoder = (bytes, prefix, fields) => {
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
};

const decodeInner: Decoder = (bytes, prefix, fields) => decodeIp(bytes, `${prefix}inner.`, fields);
/** By protocol number. */
const decoders: Record<number, Decoder> = {
  0: (...args) => decodeExtension("hopByHop", ...args),
  1: (...args) => decodeIcmp("icmp", ...args),
  4: decodeInner,
  6: (...args) => decodeTcp(...args),
  17: (...args) => decodeUdp(...args),
  41: decodeInner,
  43: (...args) => decodeExtension("routing", ...args),
  44: (...args) => decodeFragment(...args),
  51: (...args) => decodeAuthentication(...args),
  58: (...args) => decodeIcmp("icmpv6", ...args),
  60: (...args) => decodeExtension("destinationOptions", ...args),
  132: (...args) => decodeSctp(...args),
  143: (bytes, prefix, fields) => decodeEthernet(bytes, `${prefix}inner.`, fields),
};

function decodeNext(protocol: number, bytes: Buffer, prefix: string, fields: Fields): void {
  (decoders[protocol] ?? decodeRest)(bytes, prefix, fields);
}

const decodeTcp: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}tcp.`, fields);
  cursor.number("sourcePort", 0, 2);
  cursor.number("destinationPort", 2, 2);
  cursor.number("sequence", 4, 4);
  cursor.number("acknowledgment", 8, 4);
  cursor.number("headerLength", 12, 1, 0xf0, 2);
  if (bytes.length > 13) cursor.text("flags", flagLetters(bytes.readUInt8(13)));
  cursor.number("window", 14, 2);
  cursor.hex("checksum", 16, 2);
  cursor.number("urgent", 18, 2);
  const header = Math.max(20, ((bytes[12] ?? 0x50) >> 4) * 4);
  decodeTcpOptions(bytes.subarray(20, header), cursor);
  decodeRest(bytes.subarray(header), prefix, fields);
};

const flagLetters = (flags: number): string =>
  [..."FSRPAUEC"].filter((_letter, bit) => flags & (1 << bit)).join("") || "none";

/** RFC 9293, section 3.2: those that have a name of their own, the rest in hex. */
function decodeTcpOptions(bytes: Buffer, cursor: Cursor): void {
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes.readUInt8(at);
    if (kind === 0) return;
    const length = kind === 1 ? 1 : (bytes[at + 1] ?? 0);
    if (length < (kind === 1 ? 1 : 2) || at + length > bytes.length) {
      cursor.text("options", bytes.toString("hex", at));
      return;
    }
    const option = bytes.subarray(at, at + length);
    if (kind === 2 && length === 4) cursor.text("options.mss", String(option.readUInt16BE(2)));
    else if (kind === 3 && length === 3) cursor.text("options.windowScale", String(option.readUInt8(2)));
    else if (kind === 4 && length === 2) cursor.text("options.sackPermitted", "true");
    else if (kind === 8 && length === 10)
      cursor.text("options.timestamps", `${option.readUInt32BE(2)} ${option.readUInt32BE(6)}`);
    else if (kind !== 1) cursor.text(`options.${kind}`, option.toString("hex", 2));
    at += length;
  }
}

const VXLAN_PORT = 4789;

const decodeUdp: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}udp.`, fields);
  cursor.number("sourcePort", 0, 2);
  cursor.number("destinationPort", 2, 2);
  cursor.number("length", 4, 2);
  cursor.hex("checksum", 6, 2);
  const isVxlan = bytes.length >= 16 && bytes.readUInt16BE(2) === VXLAN_PORT;
  (isVxlan ? decodeVxlan : decodeRest)(bytes.subarray(8), prefix, fields);
};

/** RFC 7348, section 5. */
const decodeVxlan: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}vxlan.`, fields);
  cursor.hex("flags", 0, 1);
  cursor.number("vni", 4, 3);
  decodeEthernet(bytes.subarray(8), `${prefix}inner.`, fields);
};

const decodeSctp: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}sctp.`, fields);
  cursor.number("sourcePort", 0, 2);
  cursor.number("destinationPort", 2, 2);
  cursor.hex("verificationTag", 4, 4);
  cursor.hex("checksum", 8, 4);
  decodeRest(bytes.subarray(12), prefix, fields);
};

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
  else decodeRest(bytes.subarray(8), prefix, fields);
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
  if (name === "routing") decodeRouting(bytes.subarray(0, length), cursor);
  else cursor.hex("options", 2, length - 2);
  if (bytes.length >= length) decodeNext(bytes.readUInt8(0), bytes.subarray(length), prefix, fields);
}

/** A segment routing header (RFC 8754, section 2) by its fields. */
function decodeRouting(bytes: Buffer, cursor: Cursor): void {
  cursor.number("type", 2, 1);
  cursor.number("segmentsLeft", 3, 1);
  if (bytes[2] !== 4) {
    cursor.hex("data", 4, bytes.length - 4);
    return;
  }
  cursor.number("lastEntry", 4, 1);
  cursor.hex("flags", 5, 1);
  cursor.number("tag", 6, 2);
  const entries = Math.min((bytes[4] ?? 0) + 1, Math.floor((bytes.length - 8) / 16));
  for (let i = 0; i < entries; i++) cursor.address(`segments[${i}]`, 8 + 16 * i, 16);
  cursor.hex("tlvs", 8 + 16 * entries, bytes.length - 8 - 16 * entries);
}

const decodeFragment: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}fragment.`, fields);
  cursor.number("nextHeader", 0, 1);
  cursor.number("offset", 2, 2, 0xfff8);
  cursor.number("more", 2, 2, 1);
  cursor.number("identification", 4, 4);
  if (bytes.length < 8) return;
  const isLater = (bytes.readUInt16BE(2) & 0xfff8) !== 0;
  if (isLater) decodeRest(bytes.subarray(8), prefix, fields);
  else decodeNext(bytes.readUInt8(0), bytes.subarray(8), prefix, fields);
};

/** RFC 4302, section 2. */
const decodeAuthentication: Decoder = (bytes, prefix, fields) => {
  const cursor = new Cursor(bytes, `${prefix}authentication.`, fields);
  const length = ((bytes[1] ?? 0) + 2) * 4;
  cursor.number("nextHeader", 0, 1);
  cursor.hex("spi", 4, 4);
  cursor.number("sequence", 8, 4);
  cursor.hex("value", 12, length - 12);
  if (bytes.length >= length) decodeNext(bytes.readUInt8(0), bytes.subarray(length), prefix, fields);
};
