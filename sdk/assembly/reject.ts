// Answers that refuse a packet. The packet itself is still to be dropped.

import { Emit } from "./emit";
import { Packet } from "./packet";
import { hasTwoEnds } from "./reply";

const FIN: u32 = 1;
const SYN: u32 = 2;
const RST: u32 = 4;
const ACK: u32 = 16;

/**
 * Sends the TCP reset that the receiver of this packet would send (RFC 9293, section 3.5.2), in the packet's routing
 * table. False for what is no TCP, is a reset itself, is a fragment, or has no two ends; and when it cannot be sent.
 */
export function emitReset(packet: Packet): bool {
  if (!packet.isTcp || packet.isFragment || !hasTwoEnds(packet)) return false;
  const tcp = packet.tcp;
  const flags = tcp.flags;
  if ((flags & RST) != 0) return false;
  const message = Emit.answerTo(packet);
  if ((flags & ACK) != 0) {
    message.tcp(tcp.destinationPort, tcp.sourcePort, tcp.acknowledgment, 0, RST, 0);
  } else {
    const length = packet.length - packet.payloadOffset + <u32>((flags & SYN) != 0) + <u32>((flags & FIN) != 0);
    message.tcp(tcp.destinationPort, tcp.sourcePort, 0, tcp.sequence + length, RST | ACK, 0);
  }
  return message.send(packet.table);
}

/**
 * Why a destination is unreachable: the code in IPv4 (RFC 1812, section 5.2.7.1) << 8, and in IPv6 (RFC 4443, section
 * 3.1).
 */
export namespace Unreachable {
  /** Nothing is known of the address. */
  // @ts-ignore: decorator
  @inline export const Host: u32 = 1 << 8 | 3;
  /** Nobody listens at the port. */
  // @ts-ignore: decorator
  @inline export const Port: u32 = 3 << 8 | 4;
  /** Forbidden by an administrator. */
  // @ts-ignore: decorator
  @inline export const Prohibited: u32 = 13 << 8 | 1;
}

/**
 * Sends an ICMP or ICMPv6 "destination unreachable" to the sender of this packet, as if from its destination, in the
 * packet's routing table. It quotes what the window has of the packet, as it is now. `reason` is one of Unreachable.
 * False for an ICMP error, a fragment other than the first, and what has no two ends (RFC 1122, section 3.2.2; RFC
 * 4443, section 2.4); and when it cannot be sent. How often is the stage's to limit: see TokenBuckets.
 */
export function emitUnreachable(packet: Packet, reason: u32): bool {
  if (!hasTwoEnds(packet) || packet.isIcmpError || packet.isFragment && !packet.hasL4) return false;
  const message = Emit.answerTo(packet);
  if (packet.isIpv4) message.icmp(3, reason >>> 8);
  else message.icmp(1, reason & 0xff);
  const length = packet.viewLength;
  message.bytes(packet.bytes(0, length), length);
  return message.send(packet.table);
}
