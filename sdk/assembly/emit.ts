// A packet of the stage's own, built in the EMIT region. There is one region, so starting a packet ends the one before:
// an Emit is the number of its packet, and is held against the number of the last one that was started.

import { bswap } from "./byteorder";
import { fold, sumOf } from "./checksum";
import { emit, EMIT_BASE } from "./generated/abi";
import { Ipv4, Ipv6, Ipv6Address, Tcp, Udp } from "./headers";
import { Packet } from "./packet";
import { Protocol } from "./protocol";

const MOST: u32 = 65535;

let started: u32 = 0;
let current: u32 = 0;
let isIpv6 = false;
/** Bytes written. */
let end: u32 = 0;
/** Offset of the L4 header; 0 before there is one. */
let l4: u32 = 0;
let protocol: u32 = 0;

function start(isVersion6: bool, length: u32): Emit {
  if (++started == 0) started = 1;
  current = started;
  isIpv6 = isVersion6;
  end = length;
  l4 = 0;
  protocol = 0;
  return changetype<Emit>(<usize>current);
}

/**
 * A packet that a stage sends by itself, such as an exporter's record or a TCP reset:
 *
 *   const message = Emit.ipv4(source, collector);
 *   message.udp(4739, 4739);
 *   message.u16(10);
 *   message.send();
 *
 * Numbers are written in network byte order, one behind the other; lengths and checksums are computed by `send`. It is
 * good until it is sent or another one is started; every call after that traps, as does writing beyond 65535 bytes in
 * all. What is sent goes out when the hook's call returns, at most 64 packets a call.
 */
@final @unmanaged
export class Emit {
  /** Starts an IPv4 packet (RFC 791) that is not to be fragmented. Addresses are in host order. */
  static ipv4(source: u32, destination: u32, hopLimit: u32 = 64, dscp: u32 = 0): Emit {
    const header = changetype<Ipv4>(EMIT_BASE);
    header.begin();
    header.trafficClass = dscp << 2;
    header.dontFragment = true;
    header.ttl = hopLimit;
    header.source = source;
    header.destination = destination;
    return start(false, 20);
  }
  /** Starts an IPv6 packet (RFC 8200). */
  static ipv6(source: Ipv6Address, destination: Ipv6Address, hopLimit: u32 = 64, dscp: u32 = 0): Emit {
    const header = changetype<Ipv6>(EMIT_BASE);
    header.begin(dscp << 2, 0, 0, 0, hopLimit);
    header.source.copyFrom(source);
    header.destination.copyFrom(destination);
    return start(true, 40);
  }
  /** Starts a packet to who sent `packet`, from whom it was sent to; traps when it is neither IPv4 nor IPv6. */
  static answerTo(packet: Packet): Emit {
    return packet.isIpv4
      ? Emit.ipv4(packet.ipv4.destination, packet.ipv4.source)
      : Emit.ipv6(packet.ipv6.destination, packet.ipv6.source);
  }

  // The L4 header: one of these, once, before the payload.

  /** RFC 768. */
  udp(sourcePort: u32, destinationPort: u32): void {
    const header = changetype<Udp>(this.header(Protocol.Udp, 8));
    header.sourcePort = sourcePort;
    header.destinationPort = destinationPort;
  }
  /**
   * RFC 9293. Options may follow, written with `mssOption` or as numbers, and end with `endOptions`; without that call
   * there are none, and the payload follows. Flags: CWR 128, ECE 64, URG 32, ACK 16, PSH 8, RST 4, SYN 2, FIN 1.
   */
  tcp(sourcePort: u32, destinationPort: u32, sequence: u32, acknowledgment: u32, flags: u32, window: u32): void {
    changetype<Tcp>(this.header(Protocol.Tcp, 20))
      .begin(sourcePort, destinationPort, sequence, acknowledgment, flags, window);
  }
  /** A TCP option: the largest segment that the sender takes (RFC 9293, section 3.7.1). */
  mssOption(bytes: u32): void {
    this.u16(0x0204);
    this.u16(bytes);
  }
  /** Ends the TCP header's options: what was written since `tcp`, at most 40 bytes, filled up to a multiple of 4. */
  endOptions(): void {
    this.check();
    if (protocol != Protocol.Tcp) unreachable();
    while ((end & 3) != 0) this.u8(0);
    const length = end - l4;
    if (length > 60) unreachable();
    store<u8>(EMIT_BASE + <usize>l4, length << 2, 12);
  }
  /** ICMP (RFC 792) in IPv4, ICMPv6 (RFC 4443) in IPv6: 8 bytes, the last 4 of which are `rest`. */
  icmp(type: u32, code: u32, rest: u32 = 0): void {
    const header = this.header(isIpv6 ? Protocol.Icmpv6 : Protocol.Icmp, 8);
    store<u8>(header, type);
    store<u8>(header, code, 1);
    store<u32>(header, bswap(rest), 4);
  }
  /** Another protocol, without a header or a checksum of its own: what is written next is all of it. */
  protocol(number: u32): void { this.header(number, 0); }

  // The payload.

  /** Bytes of payload so far, TCP options included. */
  get payloadLength(): u32 {
    this.check();
    return end - l4 - headerLength();
  }
  /** Bytes of the whole packet so far. */
  get length(): u32 {
    this.check();
    return end;
  }
  /** Writes a byte. */
  u8(value: u32): void { store<u8>(this.take(1), value); }
  /** Writes 2 bytes. */
  u16(value: u32): void { store<u16>(this.take(2), bswap(<u16>value)); }
  /** Writes 4 bytes. */
  u32(value: u32): void { store<u32>(this.take(4), bswap(value)); }
  /** Writes 8 bytes. */
  u64(value: u64): void { store<u64>(this.take(8), bswap(value)); }
  /** 16 bytes. */
  address6(address: Ipv6Address): void { changetype<Ipv6Address>(this.take(16)).copyFrom(address); }
  /** Copies bytes from an address: of a Scratch, of `packet.bytes`, of `payload.bytes`. */
  bytes(from: usize, length: u32): void { memory.copy(this.take(length), from, length); }
  /** An ASCII text; other characters become question marks. */
  text(value: string): void {
    for (let i = 0, n = value.length; i < n; i++) {
      const character: u32 = value.charCodeAt(i);
      this.u8(character < 128 ? character : 63);
    }
  }
  /** `length` bytes of zero. */
  zeroes(length: u32): void {
    const at = this.take(length);
    for (let i: usize = 0; i < <usize>length; i++) store<u8>(at + i, 0);
  }
  /**
   * Writes over a 16-bit number at `offset` from the payload's start: for a length or a count that is known at the end.
   */
  setU16(offset: u32, value: u32): void {
    if (<u64>offset + 2 > <u64>this.payloadLength) unreachable();
    store<u16>(EMIT_BASE + <usize>(l4 + headerLength() + offset), bswap(<u16>value));
  }
  /** As `setU16`, for 32 bits. */
  setU32(offset: u32, value: u32): void {
    if (<u64>offset + 4 > <u64>this.payloadLength) unreachable();
    store<u32>(EMIT_BASE + <usize>(l4 + headerLength() + offset), bswap(value));
  }

  /**
   * Computes lengths and checksums and has the packet sent, routed in `table`. False when there is no buffer, 64
   * packets were sent in this call already, or its addresses are ones that no packet may carry.
   */
  send(table: u32 = 0): bool {
    this.check();
    if (l4 == 0) unreachable();
    finishL4();
    if (isIpv6) {
      const header = changetype<Ipv6>(EMIT_BASE);
      header.payloadLength = end - 40;
      header.nextHeader = protocol;
    } else {
      const header = changetype<Ipv4>(EMIT_BASE);
      header.totalLength = end;
      header.protocol = protocol;
      header.finish();
    }
    current = 0;
    return emit(end, table) != 0;
  }

  // @ts-ignore: decorator
  @inline private check(): void { if (<u32>changetype<usize>(this) != current || current == 0) unreachable(); }

  /** Address of `length` bytes behind the last ones. */
  private take(length: u32): usize {
    this.check();
    if (l4 == 0 || length > MOST - end) unreachable();
    const at = EMIT_BASE + <usize>end;
    end += length;
    return at;
  }
  /** Address of an L4 header of `length` zeroes. */
  private header(number: u32, length: u32): usize {
    this.check();
    if (l4 != 0) unreachable();
    l4 = end;
    protocol = number;
    const at = EMIT_BASE + <usize>end;
    for (let i: usize = 0; i < <usize>length; i += 4) store<u32>(at + i, 0);
    end += length;
    return at;
  }
}

/** Of the L4 header without options. */
function headerLength(): u32 {
  if (protocol == Protocol.Tcp) return 20;
  return protocol == Protocol.Udp || protocol == (isIpv6 ? Protocol.Icmpv6 : Protocol.Icmp) ? 8 : 0;
}

function finishL4(): void {
  const at = EMIT_BASE + <usize>l4;
  const length = end - l4;
  let field: usize = 2;
  if (protocol == Protocol.Tcp) {
    field = 16;
  } else if (protocol == Protocol.Udp) {
    field = 6;
    changetype<Udp>(at).length = length;
  } else if (headerLength() == 0) {
    return;
  }
  const sum = sumOf(at, length) + (protocol == Protocol.Icmp ? 0 : pseudoSum(length));
  const value = fold(sum) ^ 0xffff;
  store<u16>(at + field, protocol == Protocol.Udp && value == 0 ? 0xffff : value);
}

/** RFC 9293, section 3.1, and RFC 8200, section 8.1. */
function pseudoSum(length: u32): u64 {
  const addresses = isIpv6 ? sumOf(EMIT_BASE + 8, 32) : sumOf(EMIT_BASE + 12, 8);
  return addresses + <u64>bswap(<u16>length) + <u64>bswap(<u16>protocol);
}
