// What packets carry, and packets made of packets.

import { checksum } from "./checksums.js";
import { walkExtensions } from "./parse.js";

/** Bytes from hex; blanks and colons between them are ignored. Throws RangeError. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/[\s:]/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new RangeError(`'${text}' is no bytes in hex`);
  return Buffer.from(digits, "hex");
}

/** So many bytes, 0, 1, 2 and on, for where only the length matters. */
export const filler = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

/**
 * What an ICMP error quotes of a packet: its IP header and 8 bytes more (RFC 792), of IPv6 as much as fits in 1280 bytes
 * (RFC 4443, section 2.4); or so many bytes.
 */
export function quoted(packet: Uint8Array, length?: number): Uint8Array {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  const usual = isIpv6 ? 1280 - 48 : ((packet[0] ?? 0) & 15) * 4 + 8;
  return packet.subarray(0, length ?? usual);
}

/** How a packet is cut into fragments. */
export interface FragmentOptions {
  /** Most bytes of a fragment with its IP header. */
  mtu: number;
  identification?: number;
}

/** The fragments that a packet is sent as through a smaller MTU, in order; the packet alone where it fits. */
export function fragmentsOf(packet: Uint8Array, options: FragmentOptions): Uint8Array[] {
  if (packet.length <= options.mtu) return [packet];
  const bytes = Buffer.from(packet);
  return bytes.readUInt8(0) >> 4 === 6 ? fragments6(bytes, options) : fragments4(bytes, options);
}

/** RFC 791, section 3.2. */
function fragments4(packet: Buffer, { mtu, identification = 1 }: FragmentOptions): Buffer[] {
  const length = (packet.readUInt8(0) & 15) * 4;
  return parts(packet.subarray(length), mtu - length).map(({ bytes, offset, isLast }) => {
    const header = Buffer.from(packet.subarray(0, length));
    header.writeUInt16BE(length + bytes.length, 2);
    header.writeUInt16BE(identification, 4);
    header.writeUInt16BE((isLast ? 0 : 0x2000) | (offset / 8), 6);
    header.writeUInt16BE(0, 10);
    header.writeUInt16BE(checksum(header), 10);
    return Buffer.concat([header, bytes]);
  });
}

/** RFC 8200, section 4.5, of a packet without headers that each fragment would need. */
function fragments6(packet: Buffer, { mtu, identification = 1 }: FragmentOptions): Buffer[] {
  const next = packet.readUInt8(6);
  if (walkExtensions(packet)?.end !== 40)
    throw new RangeError("only IPv6 packets without extension headers are fragmented here");
  return parts(packet.subarray(40), mtu - 48).map(({ bytes, offset, isLast }) => {
    const header = Buffer.from(packet.subarray(0, 40));
    header.writeUInt16BE(8 + bytes.length, 4);
    header[6] = 44;
    const fragment = Buffer.from([next, 0, 0, 0, 0, 0, 0, 0]);
    fragment.writeUInt16BE(offset | (isLast ? 0 : 1), 2);
    fragment.writeUInt32BE(identification, 4);
    return Buffer.concat([header, fragment, bytes]);
  });
}

function parts(payload: Buffer, room: number): { bytes: Buffer; offset: number; isLast: boolean }[] {
  const size = room - (room % 8);
  if (size < 8) throw new RangeError("the MTU leaves no room for 8 bytes of payload");
  return Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => {
    const offset = i * size;
    return { bytes: payload.subarray(offset, offset + size), offset, isLast: offset + size >= payload.length };
  });
}

/** RFC 1035, section 4.1. */
export interface DnsFields {
  /** "example.com". */
  name: string;
  /** Default A; a number for others. */
  type?: "A" | "AAAA" | "NS" | "CNAME" | "PTR" | "MX" | "TXT" | "SRV" | "ANY" | number;
  id?: number;
  /** Default: a query that asks for recursion, 0x0100. */
  flags?: number;
}
const dnsTypes = { A: 1, NS: 2, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 };

/** A DNS message with one question, for UDP. */
export function dnsQuery(fields: DnsFields): Uint8Array {
  const { name, type = "A", id = 1, flags = 0x0100 } = fields;
  const header = Buffer.alloc(12);
  [id, flags, 1].forEach((word, i) => {
    header.writeUInt16BE(word, i * 2);
  });
  const labels = name.split(".").filter((label) => label !== "");
  const question = labels.flatMap((label) => [label.length, ...Buffer.from(label)]);
  const end = Buffer.from([0, 0, 0, 0, 1]);
  end.writeUInt16BE(typeof type === "number" ? type : dnsTypes[type], 1);
  return Buffer.concat([header, Buffer.from(question), end]);
}
