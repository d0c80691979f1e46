// Changes of a packet's own headers. Which checksums depend on what: the IPv4 header's on that header; TCP's, UDP's and
// ICMPv6's on the pseudo-header (addresses) and their own header; ICMP's on its own; SCTP's CRC on its own packet.

import { adjust, adjustPartial, adjustUdp, delta128, delta16, delta32, fold } from "./checksum";
import { Flag, SLOT_FLAGS } from "./generated/abi";
import { Ipv6Address } from "./headers";
import { Packet } from "./packet";
import { Protocol } from "./protocol";

const IPV4_CHECKSUM: usize = 10;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const ICMP_CHECKSUM: usize = 2;

/** Offset in the L4 header of a checksum over the pseudo-header; 0: the protocol has none. */
// @ts-ignore: decorator
@inline function pseudoChecksum(packet: Packet): usize {
  const protocol = packet.protocol;
  if (protocol == Protocol.Tcp) return TCP_CHECKSUM;
  if (protocol == Protocol.Udp) return UDP_CHECKSUM;
  return protocol == Protocol.Icmpv6 && packet.isIpv6 ? ICMP_CHECKSUM : 0;
}

/** True when a checksum over the addresses is there and in the window, or there is none to keep. */
// @ts-ignore: decorator
@inline function canRewriteAddress(packet: Packet): bool {
  return packet.hasL4 || pseudoChecksum(packet) == 0 || isLaterFragment(packet);
}

/** The first fragment carries the checksum. */
function isLaterFragment(packet: Packet): bool {
  if (!packet.isFragment) return false;
  if (packet.isIpv4) return (bswap(load<u16>(packet.head, 6)) & 0x1fff) != 0;
  const offset = packet.extensionOffset(Protocol.Fragment);
  return offset != 0 && (packet.u16At(offset + 2) & 0xfff8) != 0;
}

function addressChanged(packet: Packet, delta: u64): void {
  const offset = pseudoChecksum(packet);
  if (offset == 0 || !packet.hasL4) return;
  const field = packet.l4 + offset;
  if (packet.hasFlag(Flag.PARTIAL_CHECKSUM)) adjustPartial(field, delta);
  else if (packet.protocol == Protocol.Udp) adjustUdp(field, delta);
  else adjust(field, delta);
}

/** DCCP and UDP-Lite sum the pseudo-header too, and the host does not look into them. */
// @ts-ignore: decorator
@inline function isForeign(packet: Packet): bool {
  const protocol = packet.protocol;
  return protocol == Protocol.Dccp || protocol == Protocol.UdpLite;
}

export function rewriteAddress4(packet: Packet, offset: usize, address: u32): bool {
  if (!packet.isIpv4 || isForeign(packet) || !canRewriteAddress(packet)) return false;
  const head = packet.head;
  const to = bswap(address);
  const delta = delta32(load<u32>(head + offset), to);
  store<u32>(head + offset, to);
  adjust(head + IPV4_CHECKSUM, delta);
  addressChanged(packet, delta);
  packet.markWritten();
  return true;
}

export function rewriteAddress6(packet: Packet, offset: usize, address: Ipv6Address): bool {
  if (!packet.isIpv6 || isForeign(packet) || !canRewriteAddress(packet)) return false;
  const field = packet.head + offset;
  const delta = delta128(field, changetype<usize>(address));
  const covered = offset == 8 || !isDestinationRouted(packet);
  changetype<Ipv6Address>(field).copyFrom(address);
  if (covered) addressChanged(packet, delta);
  packet.markWritten();
  return true;
}

/** With segments left in a routing header, the pseudo-header has the last segment instead (RFC 8200, section 8.1). */
export function isDestinationRouted(packet: Packet): bool {
  if (packet.ipv6.nextHeader == packet.protocol) return false;
  const offset = packet.extensionOffset(Protocol.Routing);
  return offset != 0 && packet.u8At(offset + 3) != 0;
}

export function rewritePort(packet: Packet, offset: usize, port: u32): bool {
  if (!packet.hasPorts) return false;
  const protocol = packet.protocol;
  const l4 = packet.l4;
  const to: u32 = bswap(<u16>port);
  const delta = delta16(load<u16>(l4 + offset), to);
  store<u16>(l4 + offset, to);
  if (!packet.hasFlag(Flag.PARTIAL_CHECKSUM)) {
    if (protocol == Protocol.Tcp) adjust(l4 + TCP_CHECKSUM, delta);
    else if (protocol == Protocol.Udp) adjustUdp(l4 + UDP_CHECKSUM, delta);
    else markSctpStale(packet);
  }
  packet.markWritten();
  return true;
}

/** A CRC32c covers the payload, which the window does not hold: the host computes it. */
// @ts-ignore: decorator
@inline export function markSctpStale(packet: Packet): void {
  const slot = changetype<usize>(packet);
  store<u16>(slot, load<u16>(slot, SLOT_FLAGS) | Flag.SCTP_CHECKSUM_STALE, SLOT_FLAGS);
}

export function rewriteIcmpIdentifier(packet: Packet, identifier: u32): bool {
  if (!packet.isIcmp) return false;
  const type = packet.icmp.type;
  const isEcho = packet.isIpv4 ? type == 0 || type == 8 : type == 128 || type == 129;
  if (!isEcho) return false;
  const l4 = packet.l4;
  const to: u32 = bswap(<u16>identifier);
  const delta = delta16(load<u16>(l4, 4), to);
  store<u16>(l4, to, 4);
  if (!packet.hasFlag(Flag.PARTIAL_CHECKSUM)) adjust(l4 + ICMP_CHECKSUM, delta);
  packet.markWritten();
  return true;
}

export function rewriteHopLimit(packet: Packet, value: u32): bool {
  const head = packet.head;
  if (packet.isIpv4) {
    const word: u32 = load<u16>(head, 8);
    store<u8>(head, value, 8);
    adjust(head + IPV4_CHECKSUM, delta16(word, load<u16>(head, 8)));
  } else if (packet.isIpv6) {
    store<u8>(head, value, 7);
  } else {
    return false;
  }
  packet.markWritten();
  return true;
}

export function rewriteDscp(packet: Packet, value: u32): bool { return rewriteClass(packet, 0x03, value << 2); }

export function rewriteEcn(packet: Packet, value: u32): bool { return rewriteClass(packet, 0xfc, value & 3); }

/** Traffic class: `kept` are the bits that stay. */
function rewriteClass(packet: Packet, kept: u32, value: u32): bool {
  const head = packet.head;
  const word: u32 = load<u16>(head);
  if (packet.isIpv4) {
    store<u8>(head, value | <u32>load<u8>(head, 1) & kept, 1);
    adjust(head + IPV4_CHECKSUM, delta16(word, load<u16>(head)));
  } else if (packet.isIpv6) {
    // Version 4 bits, traffic class 8 (DSCP 6, ECN 2), flow label 20.
    store<u16>(head, bswap<u16>(<u16>(<u32>bswap<u16>(<u16>word) & (0xf00f | kept << 4) | (value & 255) << 4)));
  } else {
    return false;
  }
  packet.markWritten();
  return true;
}

/** A 16-bit word of the IPv4 header. */
export function rewriteIpv4Word(packet: Packet, offset: usize, value: u32): bool {
  if (!packet.isIpv4) return false;
  const head = packet.head;
  const to: u32 = bswap(<u16>value);
  adjust(head + IPV4_CHECKSUM, delta16(load<u16>(head + offset), to));
  store<u16>(head + offset, to);
  packet.markWritten();
  return true;
}

/** Where L4 has a checksum over its own bytes; 0 when it has none. */
// @ts-ignore: decorator
@inline function ownChecksum(packet: Packet): usize {
  const offset = pseudoChecksum(packet);
  if (offset != 0) return offset;
  return packet.protocol == Protocol.Icmp && packet.isIpv4 ? ICMP_CHECKSUM : 0;
}

/** Sum of the 16-bit words, as they lie from L4 on, that hold the `length` bytes at `offset` from there. */
// @ts-ignore: decorator
@inline function wordsAround(l4: usize, offset: usize, length: usize): u64 {
  let sum: u64 = 0;
  for (let at = offset & ~1; at < offset + length; at += 2) sum += load<u16>(l4 + at);
  return sum;
}

/**
 * Stores `length` (1, 2 or 4) bytes of a number in network byte order in L4, with the checksum over them. False when they
 * are not all in the window and behind the start of L4, or the checksum is not in the window.
 */
export function patch(packet: Packet, offset: u32, length: u32, value: u32): bool {
  const l4 = packet.l4Offset;
  if (l4 == 0 || isForeign(packet) || offset < l4 || <u64>offset + <u64>length > <u64>packet.viewLength) return false;
  const start = packet.l4;
  const at: usize = offset - l4;
  // The word of an odd last byte has a byte more: of this slot, and it adds the same to both sums.
  const before = wordsAround(start, at, length);
  if (length == 1) store<u8>(start + at, value);
  else if (length == 2) store<u16>(start + at, bswap(<u16>value));
  else store<u32>(start + at, bswap(value));
  changed(packet, before, wordsAround(start, at, length));
  packet.markWritten();
  return true;
}

/** Keeps the checksum over L4's own bytes, of which words of the sum `before` became words of the sum `after`. */
function changed(packet: Packet, before: u64, after: u64): void {
  if (packet.protocol == Protocol.Sctp) markSctpStale(packet);
  const offset = ownChecksum(packet);
  if (offset == 0 || packet.hasFlag(Flag.PARTIAL_CHECKSUM)) return;
  const field = packet.l4 + offset;
  const delta = delta16(fold(before), fold(after));
  if (packet.protocol == Protocol.Udp) adjustUdp(field, delta);
  else adjust(field, delta);
}
