// Packets for tests, from their L3 header on, with right checksums:
//   packet(ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }), tcp({ sourcePort: 1000, destinationPort: 80 }), "text")

import { addressBytes } from "./addresses.js";
import { checksum, crc32c, onesSum, pseudoHeader } from "./checksums.js";
import { optionBytes, type TcpOptions } from "./tcp-options.js";

/** What an L4 header's checksum depends on: the innermost IP header around it. */
export interface Enclosing {
  source: Uint8Array;
  /** With a routing header: the last segment. */
  destination: Uint8Array;
}
/** A header, to be given to `packet`. `build` gets what follows it. */
export interface Layer {
  /** Its number in the IP header before it. */
  protocol: number;
  /** Its number in the Ethernet or VLAN header before it. */
  etherType?: number;
  build(rest: Part[], outer: Enclosing | undefined): Uint8Array;
}
/** A header, or bytes (as they are, or a text in UTF-8). */
export type Part = Layer | Uint8Array | string;

export const isLayer = (part: Part | undefined): part is Layer => typeof part === "object" && "build" in part;

/** Joins headers and payload into one packet. */
export function packet(...parts: Part[]): Uint8Array {
  return new Uint8Array(assemble(parts, undefined));
}

/** The same as hex, as rows have it. */
export const packetHex = (...parts: Part[]): string => Buffer.from(packet(...parts)).toString("hex");

/** The bytes of headers and payload within an IP header, or within none. */
export function assemble([first, ...rest]: Part[], outer: Enclosing | undefined): Uint8Array {
  if (first === undefined) return new Uint8Array();
  if (isLayer(first)) return first.build(rest, outer);
  const bytes = typeof first === "string" ? Buffer.from(first, "utf8") : first;
  return Buffer.concat([bytes, assemble(rest, outer)]);
}

const NO_NEXT_HEADER = 59;
/** IANA's "for experimentation" number: a payload without a header. */
const EXPERIMENT = 253;
const protocolOf = (part: Part | undefined): number =>
  part === undefined ? NO_NEXT_HEADER : isLayer(part) ? part.protocol : EXPERIMENT;

/** RFC 791. What is left out is what a plain packet has. */
export interface Ipv4Fields {
  source: string;
  destination: string;
  ttl?: number;
  dscp?: number;
  ecn?: number;
  identification?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** Bytes; a multiple of 8. */
  fragmentOffset?: number;
  /** As they are; filled up with zeroes to a multiple of 4 bytes, at most 40. */
  options?: Uint8Array;
  protocol?: number;
  /** Instead of the right one. */
  checksum?: number;
  totalLength?: number;
}
/** An IPv4 header; length, protocol and checksum are those of what follows it. */
export function ipv4(fields: Ipv4Fields): Layer {
  return {
    protocol: 4,
    etherType: 0x0800,
    build(rest) {
      const source = addressBytes(fields.source);
      const destination = addressBytes(fields.destination);
      const payload = assemble(rest, { source, destination });
      const options = padded("IPv4", fields.options ?? new Uint8Array());
      const header = Buffer.alloc(20 + options.length);
      header[0] = 0x40 | (header.length / 4);
      header[1] = ((fields.dscp ?? 0) << 2) | (fields.ecn ?? 0);
      header.writeUInt16BE(fields.totalLength ?? header.length + payload.length, 2);
      header.writeUInt16BE(fields.identification ?? 0, 4);
      const bits = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
      header.writeUInt16BE(bits | ((fields.fragmentOffset ?? 0) / 8), 6);
      header[8] = fields.ttl ?? 64;
      header[9] = fields.protocol ?? protocolOf(rest[0]);
      header.set(source, 12);
      header.set(destination, 16);
      header.set(options, 20);
      header.writeUInt16BE(fields.checksum ?? checksum(header), 10);
      return Buffer.concat([header, payload]);
    },
  };
}

/** RFC 8200. What is left out is what a plain packet has. */
export interface Ipv6Fields {
  source: string;
  destination: string;
  hopLimit?: number;
  dscp?: number;
  ecn?: number;
  flowLabel?: number;
  nextHeader?: number;
  payloadLength?: number;
}
/** An IPv6 header; payload length and next header are those of what follows it. */
export function ipv6(fields: Ipv6Fields): Layer {
  return {
    protocol: 41,
    etherType: 0x86dd,
    build(rest) {
      const source = addressBytes(fields.source);
      const destination = addressBytes(fields.destination);
      const payload = assemble(rest, { source, destination });
      const header = Buffer.alloc(40);
      const trafficClass = ((fields.dscp ?? 0) << 2) | (fields.ecn ?? 0);
      header.writeUInt32BE((0x60000000 | (trafficClass << 20) | (fields.flowLabel ?? 0)) >>> 0, 0);
      header.writeUInt16BE(fields.payloadLength ?? payload.length, 4);
      header[6] = fields.nextHeader ?? protocolOf(rest[0]);
      header[7] = fields.hopLimit ?? 64;
      header.set(source, 8);
      header.set(destination, 24);
      return Buffer.concat([header, payload]);
    },
  };
}

function extension(
  protocol: number,
  body: (rest: Part[], outer: Enclosing | undefined) => [Uint8Array, Enclosing | undefined],
): Layer {
  return {
    protocol,
    build(rest, outer) {
      const [bytes, inner] = body(rest, outer);
      bytes[0] = protocolOf(rest[0]);
      return Buffer.concat([bytes, assemble(rest, inner)]);
    },
  };
}

/** Hop-by-hop options (0) or destination options (60) of `length` bytes, a multiple of 8, filled with PadN. */
export const options = (protocol: 0 | 60, length = 8): Layer =>
  extension(protocol, (_rest, outer) => {
    const bytes = Buffer.alloc(length);
    bytes.set([0, length / 8 - 1, 1, length - 4]);
    return [bytes, outer];
  });

/** IPv6 fragment header; `offset` in bytes, a multiple of 8. */
export const fragment = (fields: { offset?: number; more?: boolean; identification?: number }): Layer =>
  extension(44, (_rest, outer) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16BE((fields.offset ?? 0) | (fields.more ? 1 : 0), 2);
    bytes.writeUInt32BE(fields.identification ?? 1, 4);
    return [bytes, outer];
  });

/** RFC 8754; `segments` as in the header, the last one of the path first. */
export const srh = (fields: { segments: string[]; segmentsLeft?: number; tag?: number; tlvs?: Uint8Array }): Layer =>
  extension(43, (_rest, outer) => {
    const { segments, tlvs = new Uint8Array() } = fields;
    const left = fields.segmentsLeft ?? segments.length - 1;
    const fixed = Buffer.from([0, segments.length * 2 + tlvs.length / 8, 4, left, segments.length - 1, 0, 0, 0]);
    fixed.writeUInt16BE(fields.tag ?? 0, 6);
    const bytes = Buffer.concat([fixed, ...segments.map(addressBytes), tlvs]);
    const last = segments[0];
    return [bytes, outer && left > 0 && last !== undefined ? { ...outer, destination: addressBytes(last) } : outer];
  });

/** What checksum a TCP, UDP or ICMPv6 header gets: the right one (default), the pseudo-header's sum only, or this number. */
export type ChecksumMode = "full" | "partial" | number;

function withPseudoChecksum(
  segment: Buffer,
  at: number,
  protocol: number,
  outer: Enclosing | undefined,
  mode: ChecksumMode,
): Buffer {
  if (!outer && typeof mode !== "number")
    throw new TypeError("a header with a checksum over addresses needs an IP header before it");
  const pseudo = outer ? pseudoHeader(outer.source, outer.destination, protocol, segment.length) : new Uint8Array();
  const full = () => checksum(pseudo, segment);
  const value = typeof mode === "number" ? mode : mode === "partial" ? onesSum(pseudo) : full();
  segment.writeUInt16BE(value === 0 && protocol === 17 && mode === "full" ? 0xffff : value, at);
  return segment;
}

/** What TCP, UDP and SCTP have in common. */
/** Zeroes end a list of options, in IPv4 and TCP. */
function padded(header: string, options: Uint8Array): Uint8Array {
  if (options.length > 40)
    throw new RangeError(`${header} has room for 40 bytes of options, not for ${options.length}`);
  return Buffer.concat([options, Buffer.alloc(-options.length & 3)]);
}

/** What TCP, UDP and SCTP have in common. */
export interface PortFields {
  sourcePort: number;
  destinationPort: number;
}
const FLAGS = "FSRPAUEC";
function flagBits(letters: string): number {
  const unknown = [...letters].find((letter) => !FLAGS.includes(letter));
  if (unknown !== undefined) throw new RangeError(`'${unknown}' is no TCP flag; there are ${[...FLAGS].join(", ")}`);
  return [...letters].reduce((bits, letter) => bits | (1 << FLAGS.indexOf(letter)), 0);
}

/** RFC 9293. What is left out is zero, or what a plain packet has. */
export interface TcpFields extends PortFields {
  sequence?: number;
  acknowledgment?: number;
  /** Letters of C E U A P R S F. */
  flags?: string;
  window?: number;
  /** By name, or as they are; filled up with zeroes to a multiple of 4 bytes, at most 40. */
  options?: TcpOptions | Uint8Array;
  checksum?: ChecksumMode;
}
/** A TCP header. */
export function tcp(fields: TcpFields): Layer {
  return {
    protocol: 6,
    build(rest, outer) {
      const extra = padded("TCP", optionBytes(fields.options ?? {}));
      const header = Buffer.alloc(20 + extra.length);
      header.writeUInt16BE(fields.sourcePort, 0);
      header.writeUInt16BE(fields.destinationPort, 2);
      header.writeUInt32BE(fields.sequence ?? 0, 4);
      header.writeUInt32BE(fields.acknowledgment ?? 0, 8);
      header[12] = (header.length / 4) << 4;
      header[13] = flagBits(fields.flags ?? "A");
      header.writeUInt16BE(fields.window ?? 65535, 14);
      header.set(extra, 20);
      return withPseudoChecksum(
        Buffer.concat([header, assemble(rest, undefined)]),
        16,
        6,
        outer,
        fields.checksum ?? "full",
      );
    },
  };
}

/** RFC 768. */
export interface UdpFields extends PortFields {
  length?: number;
  /** 0: no checksum. */
  checksum?: ChecksumMode;
}
/** A UDP header; its length is that of what follows it. */
export function udp(fields: UdpFields): Layer {
  return {
    protocol: 17,
    build(rest, outer) {
      const payload = assemble(rest, undefined);
      const header = Buffer.alloc(8);
      header.writeUInt16BE(fields.sourcePort, 0);
      header.writeUInt16BE(fields.destinationPort, 2);
      header.writeUInt16BE(fields.length ?? 8 + payload.length, 4);
      return withPseudoChecksum(Buffer.concat([header, payload]), 6, 17, outer, fields.checksum ?? "full");
    },
  };
}

/** RFC 9260, section 3.1. */
export interface SctpFields extends PortFields {
  /** Verification tag. */
  tag?: number;
  /** As a number whose least significant byte is stored first; instead of the right one. */
  checksum?: number;
}
/** The common header; chunks are what follows (see `sctpChunk`). */
export function sctp(fields: SctpFields): Layer {
  return {
    protocol: 132,
    build(rest) {
      const header = Buffer.alloc(12);
      header.writeUInt16BE(fields.sourcePort, 0);
      header.writeUInt16BE(fields.destinationPort, 2);
      header.writeUInt32BE(fields.tag ?? 0, 4);
      const segment = Buffer.concat([header, assemble(rest, undefined)]);
      segment.writeUInt32LE(fields.checksum ?? crc32c(segment), 8);
      return segment;
    },
  };
}
/** A chunk of this type (0 DATA, 1 INIT, 3 SACK, ...), filled up to a multiple of 4 bytes. */
export function sctpChunk(fields: { type: number; flags?: number; value?: Uint8Array | string }): Uint8Array {
  const value = Buffer.from(fields.value ?? "");
  const header = Buffer.from([fields.type, fields.flags ?? 0, 0, 0]);
  header.writeUInt16BE(4 + value.length, 2);
  return Buffer.concat([header, value, Buffer.alloc(-value.length & 3)]);
}

/** RFC 792 and RFC 4443. */
export interface IcmpFields {
  type: number;
  code?: number;
  /** Bytes 4 and 5: an echo's identifier. */
  identifier?: number;
  /** Bytes 6 and 7: an echo's sequence number, or an error's MTU. */
  sequence?: number;
  checksum?: ChecksumMode;
}
const icmpLayer = (protocol: 1 | 58, fields: IcmpFields): Layer => ({
  protocol,
  build(rest, outer) {
    const header = Buffer.alloc(8);
    header[0] = fields.type;
    header[1] = fields.code ?? 0;
    header.writeUInt16BE(fields.identifier ?? 0, 4);
    header.writeUInt16BE(fields.sequence ?? 0, 6);
    const message = Buffer.concat([header, assemble(rest, undefined)]);
    if (protocol === 58) return withPseudoChecksum(message, 2, 58, outer, fields.checksum ?? "full");
    message.writeUInt16BE(typeof fields.checksum === "number" ? fields.checksum : checksum(message), 2);
    return message;
  },
});
/** An ICMP message; an error's quoted packet is what follows. */
export const icmp = (fields: IcmpFields): Layer => icmpLayer(1, fields);
/** An ICMPv6 message; an error's quoted packet is what follows. */
export const icmpv6 = (fields: IcmpFields): Layer => icmpLayer(58, fields);
