// Changes of a packet's own headers. Which checksums depend on what: the IPv4 header's on that header; TCP's, UDP's and
// ICMPv6's on the pseudo-header (addresses) and their own header; ICMP's on its own; SCTP's CRC on its own packet.

import { bswap } from "./byteorder";
import { adjust, change16, change32, delta128, fold, fold32, lessened } from "./checksum";
import { Flag, SLOT_FAMILY, SLOT_FLAGS } from "./generated/abi";
import { findOption, Ipv6Address } from "./headers";
import { Packet } from "./packet";
import { checksumOffset, Protocol } from "./protocol";

const IPV4_CHECKSUM: usize = 10;
const TCP_CHECKSUM: usize = 16;
const ICMP_CHECKSUM: usize = 2;
const UDP_CHECKSUM: usize = 6;
const SCTP_CHECKSUM: u32 = 8;

/** Not the address of a field: a checksum that should change is not in the window, or is not known. */
const NOT_HERE: usize = 1;

/** Address of the checksum over the addresses; 0 when the packet has none. */
// @ts-ignore: decorator
@inline function pseudoField(packet: Packet): usize {
  const offset = checksumOffset(packet.protocol);
  return offset * packet.l4Offset != 0 && offset != SCTP_CHECKSUM ? packet.l4 + <usize>offset : otherPseudoField(packet);
}

/** Of a packet that is not TCP or UDP with its header in the window. */
function otherPseudoField(packet: Packet): usize {
  const protocol = packet.protocol;
  if (protocol != Protocol.Tcp && protocol != Protocol.Udp) {
    if (protocol != Protocol.Icmpv6 || packet.isIpv4) return isForeign(protocol) ? NOT_HERE : 0;
    if (packet.hasL4) return packet.l4 + ICMP_CHECKSUM;
  }
  return isLaterFragment(packet) ? 0 : NOT_HERE;
}

/** The first fragment carries the checksum. */
function isLaterFragment(packet: Packet): bool {
  if (!packet.isFragment) return false;
  if (packet.isIpv4) return packet.ipv4.fragmentOffset != 0;
  const found = packet.extension(Protocol.Fragment);
  return found.isPresent && found.isLaterFragment;
}

/** DCCP and UDP-Lite sum the pseudo-header too, and the host does not look into them. */
// @ts-ignore: decorator
@inline function isForeign(protocol: u32): bool { return protocol == Protocol.Dccp || protocol == Protocol.UdpLite; }

/**
 * What was added to the sum of what the checksum at `field` covers; `ofAddress`: by the addresses, which a partial one
 * has.
 */
// @ts-ignore: decorator
@inline function changed(packet: Packet, field: usize, ofAddress: u64, ofL4: u64): void {
  const before: u32 = load<u16>(field);
  if (packet.hasFlag(Flag.PARTIAL_CHECKSUM)) {
    store<u16>(field, fold(<u64>before + ofAddress));
  } else {
    const sum = fold(<u64>(before ^ 0xffff) + ofAddress + ofL4);
    // UDP's zero is no checksum, and stays; a sum that comes out as zero is written as 0xffff (RFC 768).
    if (packet.protocol != Protocol.Udp) store<u16>(field, ~sum);
    else if (before != 0) store<u16>(field, sum == 0xffff ? 0xffff : ~sum);
  }
}

export function rewriteAddress4(packet: Packet, offset: usize, address: u32): bool {
  if (!packet.isIpv4) return false;
  const field = pseudoField(packet);
  if (field == NOT_HERE) return false;
  const delta = storeAddress4(packet.l3, offset, address);
  if (field != 0) changed(packet, field, delta, 0);
  packet.markWritten();
  return true;
}

/** With the IPv4 header's checksum; returns what that adds to a sum. */
// @ts-ignore: decorator
@inline function storeAddress4(head: usize, offset: usize, address: u32): u64 {
  const to = bswap(address);
  const delta = change32(load<u32>(head + offset), to);
  store<u32>(head + offset, to);
  adjust(head + IPV4_CHECKSUM, delta);
  return delta;
}

export function rewriteAddress6(packet: Packet, offset: usize, address: Ipv6Address): bool {
  if (!packet.isIpv6) return false;
  const field = pseudoField(packet);
  if (field == NOT_HERE) return false;
  const delta = storeAddress6(packet, offset, address);
  if (field != 0) changed(packet, field, delta, 0);
  packet.markWritten();
  return true;
}

/** Returns what that adds to the pseudo-header's sum. */
// @ts-ignore: decorator
@inline function storeAddress6(packet: Packet, offset: usize, address: Ipv6Address): u32 {
  const at = packet.l3 + offset;
  const delta = offset != 8 && isDestinationRouted(packet) ? 0 : delta128(at, changetype<usize>(address));
  changetype<Ipv6Address>(at).copyFrom(address);
  return delta;
}

/** With segments left in a routing header, the pseudo-header has the last segment instead (RFC 8200, section 8.1). */
export function isDestinationRouted(packet: Packet): bool {
  if (packet.ipv6.nextHeader == packet.protocol) return false;
  const offset = packet.extensionOffset(Protocol.Routing);
  return offset != 0 && packet.u8At(offset + 3) != 0;
}

export function rewritePort(packet: Packet, offset: usize, port: u32): bool {
  if (!packet.hasPorts) return false;
  portChanged(packet, 0, storeWord(packet.l4 + offset, port));
  return true;
}

/** A number of 16 bits; returns what that adds to a sum. */
// @ts-ignore: decorator
@inline function storeWord(at: usize, value: u32): u64 {
  const to = bswap(value) >>> 16;
  const delta = change16(load<u16>(at), to);
  store<u16>(at, to);
  return delta;
}

/** Of a packet that has ports. */
// @ts-ignore: decorator
@inline function portChanged(packet: Packet, ofAddress: u64, ofPort: u64): void {
  const offset = checksumOffset(packet.protocol);
  if (offset == SCTP_CHECKSUM) markSctpStale(packet);
  else changed(packet, packet.l4 + <usize>offset, ofAddress, ofPort);
  packet.markWritten();
}

// Address and port at once: the L4 checksum changes once. `end`: 0 the source, 1 the destination.

/** Family and protocol as they lie together in a slot. */
const UDP4: u32 = 17 << 8 | 4;
const TCP4: u32 = 6 << 8 | 4;

// @ts-ignore: decorator
@inline export function rewriteEndpoint4(packet: Packet, end: usize, address: u32, port: u32): bool {
  const slot = changetype<usize>(packet);
  const kind: u32 = load<u16>(slot, SLOT_FAMILY);
  const l4Offset = packet.l4Offset;
  const flags: u32 = load<u16>(slot, SLOT_FLAGS);
  // One after the other: joined, they would be computed all, as numbers.
  if (kind != UDP4) {
    if (kind != TCP4) return rarelyRewriteEndpoint4(packet, end, address, port);
  }
  if (l4Offset == 0) return rarelyRewriteEndpoint4(packet, end, address, port);
  if ((flags & Flag.PARTIAL_CHECKSUM) != 0) return rarelyRewriteEndpoint4(packet, end, address, port);
  const l3 = packet.l3;
  const l4 = l3 + <usize>l4Offset;
  const toAddress = bswap(address);
  const toPort = bswap(port) >>> 16;
  const ofAddress = lessened(change32(load<u32>(l3 + 12 + (end << 2)), toAddress));
  const ofPort = <u32>change16(load<u16>(l4 + (end << 1)), toPort);
  store<u16>(slot, flags | Flag.WRITTEN, SLOT_FLAGS);
  store<u32>(l3 + 12 + (end << 2), toAddress);
  store<u16>(l4 + (end << 1), toPort);
  store<u16>(l3, ~fold32((<u32>load<u16>(l3, IPV4_CHECKSUM) ^ 0xffff) + ofAddress), IPV4_CHECKSUM);
  if (kind != UDP4) {
    store<u16>(l4, ~fold32((<u32>load<u16>(l4, TCP_CHECKSUM) ^ 0xffff) + ofAddress + ofPort), TCP_CHECKSUM);
  } else {
    const before: u32 = load<u16>(l4, UDP_CHECKSUM);
    // Zero is no checksum, and stays. Taken away from a multiple of 0xffff, the sum never comes out as zero (RFC 768).
    if (before != 0) store<u16>(l4, fold32(before + 0xffff0 - ofAddress - ofPort), UDP_CHECKSUM);
  }
  return true;
}

/** Of another packet than a TCP or UDP packet with a whole checksum. */
function rarelyRewriteEndpoint4(packet: Packet, end: usize, address: u32, port: u32): bool {
  if (!packet.isIpv4 || !packet.hasPorts) return false;
  const ofAddress = storeAddress4(packet.l3, 12 + (end << 2), address);
  portChanged(packet, ofAddress, storeWord(packet.l4 + (end << 1), port));
  return true;
}

// @ts-ignore: decorator
@inline export function rewriteEndpoint6(packet: Packet, end: usize, address: Ipv6Address, port: u32): bool {
  if (!packet.isIpv6) return false;
  if (!packet.hasPorts) return false;
  const ofAddress = storeAddress6(packet, 8 + (end << 4), address);
  portChanged(packet, ofAddress, storeWord(packet.l4 + (end << 1), port));
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
  return patch16(packet, packet.l4Offset + 4, identifier);
}

export function rewriteHopLimit(packet: Packet, value: u32): bool {
  const head = packet.head;
  if (packet.isIpv4) {
    const word: u32 = load<u16>(head, 8);
    store<u8>(head, value, 8);
    adjust(head + IPV4_CHECKSUM, change16(word, load<u16>(head, 8)));
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
    adjust(head + IPV4_CHECKSUM, change16(word, load<u16>(head)));
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
  adjust(head + IPV4_CHECKSUM, change16(load<u16>(head + offset), to));
  store<u16>(head + offset, to);
  packet.markWritten();
  return true;
}

/**
 * Address of `length` bytes at an offset from L3, in L4 and in the window; 0 when they are not, or the checksum over
 * them is not known.
 */
// @ts-ignore: decorator
@inline function l4Bytes(packet: Packet, offset: u32, length: u32): usize {
  const l4 = packet.l4Offset;
  if (l4 == 0 || offset < l4 || <u64>offset + <u64>length > <u64>packet.viewLength) return 0;
  return isForeign(packet.protocol) ? 0 : packet.head + <usize>offset;
}

export function patch8(packet: Packet, offset: u32, value: u32): bool {
  const at = l4Bytes(packet, offset, 1);
  if (at == 0) return false;
  const delta = change16(load<u8>(at), value & 0xff);
  store<u8>(at, value);
  l4Changed(packet, offset, delta);
  return true;
}

export function patch16(packet: Packet, offset: u32, value: u32): bool {
  const at = l4Bytes(packet, offset, 2);
  if (at == 0) return false;
  l4Changed(packet, offset, storeWord(at, value));
  return true;
}

export function patch32(packet: Packet, offset: u32, value: u32): bool {
  const at = l4Bytes(packet, offset, 4);
  if (at == 0) return false;
  const to = bswap(value);
  const delta = change32(load<u32>(at), to);
  store<u32>(at, to);
  l4Changed(packet, offset, delta);
  return true;
}

/** Bytes from `offset` on were changed: of words that start there, which at an odd place are halves of two. */
// @ts-ignore: decorator
@inline function l4Changed(packet: Packet, offset: u32, delta: u64): void {
  const protocol = packet.protocol;
  const l4 = packet.l4;
  // L4 starts at a multiple of 4.
  if ((offset & 1) != 0) delta = swapped(fold(delta));
  const checksum = checksumOffset(protocol);
  if (checksum == SCTP_CHECKSUM) markSctpStale(packet);
  else if (checksum != 0) changed(packet, l4 + <usize>checksum, 0, delta);
  else if (protocol == (packet.isIpv4 ? Protocol.Icmp : Protocol.Icmpv6)) changed(packet, l4 + ICMP_CHECKSUM, 0, delta);
  packet.markWritten();
}

/** Address of the value of a TCP header's option of two bytes; 0 when there is none in the window. */
export function tcpOptionWord(packet: Packet, kind: u32): usize {
  if (!packet.isTcp) return 0;
  const start = packet.l4 + 20;
  const ends = packet.l4 + (<usize>(load<u8>(packet.l4, 12) >>> 4) << 2);
  const at = findOption(start, min<usize>(ends, packet.head + <usize>packet.viewLength), kind);
  return at != 0 && load<u8>(at, 1) == 4 ? at + 2 : 0;
}

export function rewriteTcpOptionWord(packet: Packet, kind: u32, value: u32): bool {
  const at = tcpOptionWord(packet, kind);
  if (at == 0) return false;
  const delta = storeWord(at, value);
  changed(packet, packet.l4 + TCP_CHECKSUM, 0, ((at - packet.l4) & 1) != 0 ? <u64>swapped(fold(delta)) : delta);
  packet.markWritten();
  return true;
}

/** What a change of words adds when they are halves of two. */
// @ts-ignore: decorator
@inline function swapped(delta: u32): u32 { return (delta << 8 | delta >>> 8) & 0xffff; }
