// The link headers of captured packets.

import type { PcapPacket } from "../testing/pcap-format.js";

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN_TAGS = [0x8100, 0x88a8];

/** Bytes before the IP header; undefined when it is no IP packet. */
export function linkLength({ bytes, linkType }: PcapPacket): number | undefined {
  if (linkType === "raw") return 0;
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 12;
  while (at + 2 <= frame.length && VLAN_TAGS.includes(frame.readUInt16BE(at))) at += 4;
  if (at + 2 > frame.length) return undefined;
  const type = frame.readUInt16BE(at);
  return type === IPV4 || type === IPV6 ? at + 2 : undefined;
}

/** A packet behind the link header given, whose ethertype is made the packet's. */
export function withLink(link: Uint8Array, packet: Uint8Array): Uint8Array {
  if (link.length === 0) return packet;
  const frame = Buffer.concat([link, packet]);
  frame.writeUInt16BE((packet[0] ?? 0) >> 4 === 6 ? IPV6 : IPV4, link.length - 2);
  return frame;
}

/** What a packet of the stage's own gets: zeroes and its ethertype, where packets have a link header. */
export const ownLink = (linkType: PcapPacket["linkType"]): Uint8Array =>
  new Uint8Array(linkType === "ethernet" ? 14 : 0);
