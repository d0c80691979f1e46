// Views over headers as they lie in a slot. Fields are in network byte order in memory; accessors take and return numbers
// in host order. Setters store the one field and touch no checksum: they are for headers that a stage makes itself. To
// change a packet's own headers use the calls of Packet, which keep every checksum right.
// Made by Packet's accessors, which check that the whole of the header's fixed part is in the window.

import { checksum } from "./checksum";

/** 16 bytes, network byte order. `new Ipv6Address()` at the top level makes one of the stage's own. */
@unmanaged
export class Ipv6Address {
  private first: u64;
  private second: u64;

  /** Bits 127 to 64. */
  // @ts-ignore: decorator
  @inline get high(): u64 { return bswap(this.first); }
  // @ts-ignore: decorator
  @inline set high(value: u64) { this.first = bswap(value); }
  /** Bits 63 to 0. */
  // @ts-ignore: decorator
  @inline get low(): u64 { return bswap(this.second); }
  // @ts-ignore: decorator
  @inline set low(value: u64) { this.second = bswap(value); }

  // @ts-ignore: decorator
  @inline equals(other: Ipv6Address): bool { return this.first == other.first && this.second == other.second; }
  // @ts-ignore: decorator
  @inline get isUnspecified(): bool { return (this.first | this.second) == 0; }
  /** ff00::/8. */
  // @ts-ignore: decorator
  @inline get isMulticast(): bool { return (this.first & 0xff) == 0xff; }

  /** Overwrites these 16 bytes; in a packet no checksum is touched and the packet must be marked by `markWritten()`. */
  // @ts-ignore: decorator
  @inline copyFrom(other: Ipv6Address): void {
    const first = other.first;
    const second = other.second;
    this.first = first;
    this.second = second;
  }

  /** Makes it ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2); `address` in host order. For addresses of the stage's own. */
  // @ts-ignore: decorator
  @inline setIpv4(address: u32): void {
    this.first = 0;
    this.second = <u64>bswap(address) << 32 | 0xffff0000;
  }

  /** True when the first `length` (0 to 128) bits are those of `prefix`. */
  matches(prefix: Ipv6Address, length: i32): bool {
    if (length <= 0) return true;
    if (length <= 64) return (this.high ^ prefix.high) >>> (64 - length) == 0;
    if (this.first != prefix.first) return false;
    return length >= 128 ? this.second == prefix.second : (this.low ^ prefix.low) >>> (128 - length) == 0;
  }
}

/** RFC 791: the fixed 20 bytes. Addresses are u32 in host order: 10.0.0.1 is 0x0a000001. */
@unmanaged
export class Ipv4 {
  private versionLength: u8;
  private tos: u8;
  private total: u16;
  private id: u16;
  private fragment: u16;
  private timeToLive: u8;
  private proto: u8;
  private sum: u16;
  private from: u32;
  private to: u32;

  /** Bytes of header with options. */
  // @ts-ignore: decorator
  @inline get headerLength(): i32 { return <i32>(this.versionLength & 15) << 2; }
  // @ts-ignore: decorator
  @inline get dscp(): u32 { return <u32>this.tos >>> 2; }
  // @ts-ignore: decorator
  @inline get ecn(): u32 { return this.tos & 3; }
  // @ts-ignore: decorator
  @inline set trafficClass(value: u32) { this.tos = <u8>value; }
  // @ts-ignore: decorator
  @inline get trafficClass(): u32 { return this.tos; }
  // @ts-ignore: decorator
  @inline get totalLength(): u32 { return bswap(this.total); }
  // @ts-ignore: decorator
  @inline set totalLength(value: u32) { this.total = bswap(<u16>value); }
  // @ts-ignore: decorator
  @inline get identification(): u32 { return bswap(this.id); }
  // @ts-ignore: decorator
  @inline set identification(value: u32) { this.id = bswap(<u16>value); }
  // @ts-ignore: decorator
  @inline get dontFragment(): bool { return (bswap(this.fragment) & 0x4000) != 0; }
  // @ts-ignore: decorator
  @inline set dontFragment(value: bool) { this.fragment = bswap(<u16>(value ? 0x4000 : 0)); }
  // @ts-ignore: decorator
  @inline get ttl(): u32 { return this.timeToLive; }
  // @ts-ignore: decorator
  @inline set ttl(value: u32) { this.timeToLive = <u8>value; }
  // @ts-ignore: decorator
  @inline get protocol(): u32 { return this.proto; }
  // @ts-ignore: decorator
  @inline set protocol(value: u32) { this.proto = <u8>value; }
  // @ts-ignore: decorator
  @inline get source(): u32 { return bswap(this.from); }
  // @ts-ignore: decorator
  @inline set source(value: u32) { this.from = bswap(value); }
  // @ts-ignore: decorator
  @inline get destination(): u32 { return bswap(this.to); }
  // @ts-ignore: decorator
  @inline set destination(value: u32) { this.to = bswap(value); }

  /** Starts a header of 20 bytes: version and length are set, the rest is zero. */
  begin(): void {
    store<u64>(changetype<usize>(this), 0x45);
    store<u64>(changetype<usize>(this), 0, 8);
    store<u32>(changetype<usize>(this), 0, 16);
  }
  /** Computes the header's checksum anew, over the fixed 20 bytes. */
  finish(): void {
    this.sum = 0;
    this.sum = checksum(changetype<usize>(this), 20);
  }
}

/** RFC 8200: the fixed 40 bytes. */
@unmanaged
export class Ipv6 {
  private versionClassLabel: u32;
  private payload: u16;
  private next: u8;
  private hops: u8;
  private from0: u64;
  private from1: u64;
  private to0: u64;
  private to1: u64;

  // @ts-ignore: decorator
  @inline get trafficClass(): u32 { return (bswap(this.versionClassLabel) >>> 20) & 0xff; }
  // @ts-ignore: decorator
  @inline get dscp(): u32 { return (bswap(this.versionClassLabel) >>> 22) & 0x3f; }
  // @ts-ignore: decorator
  @inline get ecn(): u32 { return (bswap(this.versionClassLabel) >>> 20) & 3; }
  // @ts-ignore: decorator
  @inline get flowLabel(): u32 { return bswap(this.versionClassLabel) & 0xfffff; }
  // @ts-ignore: decorator
  @inline get payloadLength(): u32 { return bswap(this.payload); }
  // @ts-ignore: decorator
  @inline set payloadLength(value: u32) { this.payload = bswap(<u16>value); }
  // @ts-ignore: decorator
  @inline get nextHeader(): u32 { return this.next; }
  // @ts-ignore: decorator
  @inline set nextHeader(value: u32) { this.next = <u8>value; }
  // @ts-ignore: decorator
  @inline get hopLimit(): u32 { return this.hops; }
  // @ts-ignore: decorator
  @inline set hopLimit(value: u32) { this.hops = <u8>value; }
  /** A view over the field in the packet. */
  // @ts-ignore: decorator
  @inline get source(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 8); }
  /** A view over the field in the packet. */
  // @ts-ignore: decorator
  @inline get destination(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 24); }

  /** Sets the first 8 bytes; the addresses are set with `source.copyFrom` and `destination.copyFrom`. */
  begin(trafficClass: u32, flowLabel: u32, payloadLength: u32, nextHeader: u32, hopLimit: u32): void {
    this.versionClassLabel = bswap<u32>(0x60000000 | (trafficClass & 0xff) << 20 | flowLabel & 0xfffff);
    this.payload = bswap(<u16>payloadLength);
    this.next = <u8>nextHeader;
    this.hops = <u8>hopLimit;
  }
}

/** RFC 9293: the fixed 20 bytes. */
@unmanaged
export class Tcp {
  private from: u16;
  private to: u16;
  private seq: u32;
  private ack: u32;
  private offset: u8;
  private bits: u8;
  private win: u16;
  private sum: u16;
  private urgent: u16;

  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return bswap(this.from); }
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return bswap(this.to); }
  // @ts-ignore: decorator
  @inline get sequence(): u32 { return bswap(this.seq); }
  // @ts-ignore: decorator
  @inline get acknowledgment(): u32 { return bswap(this.ack); }
  /** Bytes of header with options. */
  // @ts-ignore: decorator
  @inline get headerLength(): i32 { return <i32>(this.offset >>> 4) << 2; }
  /** CWR 128, ECE 64, URG 32, ACK 16, PSH 8, RST 4, SYN 2, FIN 1. */
  // @ts-ignore: decorator
  @inline get flags(): u32 { return this.bits; }
  // @ts-ignore: decorator
  @inline get syn(): bool { return (this.bits & 2) != 0; }
  // @ts-ignore: decorator
  @inline get hasAck(): bool { return (this.bits & 16) != 0; }
  // @ts-ignore: decorator
  @inline get fin(): bool { return (this.bits & 1) != 0; }
  // @ts-ignore: decorator
  @inline get rst(): bool { return (this.bits & 4) != 0; }
  // @ts-ignore: decorator
  @inline get window(): u32 { return bswap(this.win); }

  /** Starts a header of 20 bytes, without options; the checksum is zero. For headers that a stage makes itself. */
  begin(
    sourcePort: u32, destinationPort: u32, sequence: u32, acknowledgment: u32, flags: u32, window: u32
  ): void {
    this.from = bswap(<u16>sourcePort);
    this.to = bswap(<u16>destinationPort);
    this.seq = bswap(sequence);
    this.ack = bswap(acknowledgment);
    this.offset = 5 << 4;
    this.bits = <u8>flags;
    this.win = bswap(<u16>window);
    this.sum = 0;
    this.urgent = 0;
  }
}

/** RFC 768. */
@unmanaged
export class Udp {
  private from: u16;
  private to: u16;
  private size: u16;
  private sum: u16;

  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return bswap(this.from); }
  // @ts-ignore: decorator
  @inline set sourcePort(value: u32) { this.from = bswap(<u16>value); }
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return bswap(this.to); }
  // @ts-ignore: decorator
  @inline set destinationPort(value: u32) { this.to = bswap(<u16>value); }
  /** Header and payload in bytes. */
  // @ts-ignore: decorator
  @inline get length(): u32 { return bswap(this.size); }
  // @ts-ignore: decorator
  @inline set length(value: u32) { this.size = bswap(<u16>value); }
  // @ts-ignore: decorator
  @inline get hasChecksum(): bool { return this.sum != 0; }
  /** Says that there is no checksum (IPv4; IPv6 tunnels as in RFC 6935). */
  // @ts-ignore: decorator
  @inline clearChecksum(): void { this.sum = 0; }
}

/** RFC 9260: the common header of 12 bytes. */
@unmanaged
export class Sctp {
  private from: u16;
  private to: u16;
  private tag: u32;
  private crc: u32;

  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return bswap(this.from); }
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return bswap(this.to); }
  // @ts-ignore: decorator
  @inline get verificationTag(): u32 { return bswap(this.tag); }
}

/** RFC 792 and RFC 4443: the first 8 bytes. */
@unmanaged
export class Icmp {
  private kind: u8;
  private subkind: u8;
  private sum: u16;
  private word: u16;
  private word2: u16;

  // @ts-ignore: decorator
  @inline get type(): u32 { return this.kind; }
  // @ts-ignore: decorator
  @inline get code(): u32 { return this.subkind; }
  /** Of an echo request or reply. */
  // @ts-ignore: decorator
  @inline get identifier(): u32 { return bswap(this.word); }
  /** Of an echo request or reply. */
  // @ts-ignore: decorator
  @inline get sequence(): u32 { return bswap(this.word2); }
}

/** Segment routing header, RFC 8754: 8 bytes, then the segments, the last one of the path first. */
@unmanaged
export class Srh {
  private next: u8;
  private extension: u8;
  private type: u8;
  private left: u8;
  private last: u8;
  private bits: u8;
  private label: u16;

  // @ts-ignore: decorator
  @inline get nextHeader(): u32 { return this.next; }
  // @ts-ignore: decorator
  @inline set nextHeader(value: u32) { this.next = <u8>value; }
  /** Bytes of the whole header. */
  // @ts-ignore: decorator
  @inline get length(): i32 { return (<i32>this.extension + 1) << 3; }
  // @ts-ignore: decorator
  @inline get segmentsLeft(): u32 { return this.left; }
  // @ts-ignore: decorator
  @inline set segmentsLeft(value: u32) { this.left = <u8>value; }
  // @ts-ignore: decorator
  @inline get lastEntry(): u32 { return this.last; }
  // @ts-ignore: decorator
  @inline get flags(): u32 { return this.bits; }
  // @ts-ignore: decorator
  @inline get tag(): u32 { return bswap(this.label); }

  /** Starts a header for `segments` segments (1 to 127) without TLVs; all segments are left. */
  begin(nextHeader: u32, segments: i32): void {
    this.next = <u8>nextHeader;
    this.extension = <u8>(segments << 1);
    this.type = 4;
    this.left = <u8>(segments - 1);
    this.last = <u8>(segments - 1);
    this.bits = 0;
    this.label = 0;
  }

  /** A view over segment `index`. Traps when the header has no such segment by its length. */
  // @ts-ignore: decorator
  @inline segment(index: u32): Ipv6Address {
    if (index >= <u32>this.extension >>> 1) unreachable();
    return changetype<Ipv6Address>(changetype<usize>(this) + 8 + (<usize>index << 4));
  }
}
