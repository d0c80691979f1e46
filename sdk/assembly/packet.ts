import {
  CtDirection, CtState, Flag, mirror, SLOT_CT_DIRECTION, SLOT_CT_STATE, SLOT_FAMILY, SLOT_FLAGS, SLOT_FLOW,
  SLOT_FLOW_STATE, SLOT_HASH, SLOT_IN_PORT, SLOT_INNER_L3_OFFSET, SLOT_L4_OFFSET, SLOT_MARK, SLOT_NEXT_HOP,
  SLOT_OUT_PORT, SLOT_PROTOCOL, SLOT_REASON, SLOT_TABLE, SLOT_VERDICT, Verdict
} from "./generated/abi";
import { Icmp, Ipv4, Ipv6, Ipv6Address, Sctp, Srh, Tcp, Udp } from "./headers";
import { noPayload, Payload, readPayload } from "./payload";
import { Protocol } from "./protocol";
import { Quoted } from "./quoted";
import { turnRound } from "./reply";
import {
  patch, rewriteAddress4, rewriteAddress6, rewriteDscp, rewriteHopLimit, rewriteIcmpIdentifier, rewritePort
} from "./rewrite";
import { PacketBytes } from "./slot";

/** Extension headers whose second byte is their length in units of 8 bytes, without the first. */
// @ts-ignore: decorator
@inline function isPlainExtension(type: u32): bool {
  return type == Protocol.HopByHop || type == Protocol.Routing || type == Protocol.DestinationOptions
    || type == Protocol.Mobility || type == Protocol.Hip || type == Protocol.Shim6;
}

/**
 * A packet in the burst: a view over its slot. Offsets are in bytes from the packet's first byte, its L3 header.
 * Header views, offsets and lengths are those that the host found; after `push` or `pop` they no longer hold, so
 * `family`, `protocol` and the header views are gone until a later stage sees the packet parsed again.
 */
@unmanaged
export class Packet extends PacketBytes {
  // What it is.

  // @ts-ignore: decorator
  @inline get isIpv4(): bool { return load<u8>(changetype<usize>(this), SLOT_FAMILY) == 4; }
  // @ts-ignore: decorator
  @inline get isIpv6(): bool { return load<u8>(changetype<usize>(this), SLOT_FAMILY) == 6; }
  /** The L4 protocol, behind all IPv6 extension headers; see Protocol. */
  // @ts-ignore: decorator
  @inline get protocol(): u32 { return load<u8>(changetype<usize>(this), SLOT_PROTOCOL); }
  /** True when the L4 header's fixed part is in the window, as the views need it. */
  // @ts-ignore: decorator
  @inline get hasL4(): bool { return load<u16>(changetype<usize>(this), SLOT_L4_OFFSET) != 0; }
  // @ts-ignore: decorator
  @inline get isTcp(): bool { return this.protocol == Protocol.Tcp && this.hasL4; }
  // @ts-ignore: decorator
  @inline get isUdp(): bool { return this.protocol == Protocol.Udp && this.hasL4; }
  // @ts-ignore: decorator
  @inline get isSctp(): bool { return this.protocol == Protocol.Sctp && this.hasL4; }
  /** ICMP in IPv4 or ICMPv6 in IPv6. */
  // @ts-ignore: decorator
  @inline get isIcmp(): bool {
    return this.protocol == (this.isIpv6 ? Protocol.Icmpv6 : Protocol.Icmp) && this.hasL4;
  }
  /** TCP, UDP or SCTP, with its ports in the window. */
  // @ts-ignore: decorator
  @inline get hasPorts(): bool {
    const protocol = this.protocol;
    return (protocol == Protocol.Tcp || protocol == Protocol.Udp || protocol == Protocol.Sctp) && this.hasL4;
  }
  /** An ICMP or ICMPv6 error whose quoted packet can be read through `quoted`. */
  // @ts-ignore: decorator
  @inline get hasQuoted(): bool { return load<u16>(changetype<usize>(this), SLOT_INNER_L3_OFFSET) != 0; }
  /** An ICMP or ICMPv6 error, whether or not its quoted packet can be read. */
  // @ts-ignore: decorator
  @inline get isIcmpError(): bool { return this.hasFlag(Flag.ICMP_ERROR); }
  // @ts-ignore: decorator
  @inline get isFragment(): bool { return this.hasFlag(Flag.FRAGMENT); }
  /** A GSO frame that is segmented on its way out. */
  // @ts-ignore: decorator
  @inline get isSuperFrame(): bool { return this.hasFlag(Flag.SUPER_FRAME); }

  // Its headers. Each traps when the packet has no such header in the window.

  // @ts-ignore: decorator
  @inline get ipv4(): Ipv4 {
    if (!this.isIpv4) unreachable();
    return changetype<Ipv4>(this.head);
  }
  // @ts-ignore: decorator
  @inline get ipv6(): Ipv6 {
    if (!this.isIpv6) unreachable();
    return changetype<Ipv6>(this.head);
  }
  // @ts-ignore: decorator
  @inline get tcp(): Tcp {
    if (!this.isTcp) unreachable();
    return changetype<Tcp>(this.l4);
  }
  // @ts-ignore: decorator
  @inline get udp(): Udp {
    if (!this.isUdp) unreachable();
    return changetype<Udp>(this.l4);
  }
  // @ts-ignore: decorator
  @inline get sctp(): Sctp {
    if (!this.isSctp) unreachable();
    return changetype<Sctp>(this.l4);
  }
  // @ts-ignore: decorator
  @inline get icmp(): Icmp {
    if (!this.isIcmp) unreachable();
    return changetype<Icmp>(this.l4);
  }
  /** The packet quoted in an ICMP error. */
  // @ts-ignore: decorator
  @inline get quoted(): Quoted {
    if (!this.hasQuoted) unreachable();
    return changetype<Quoted>(changetype<usize>(this));
  }
  /** Port of a TCP, UDP or SCTP packet; 0 when `hasPorts` is false. */
  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return this.hasPorts ? bswap(load<u16>(this.l4)) : 0; }
  /** Port of a TCP, UDP or SCTP packet; 0 when `hasPorts` is false. */
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return this.hasPorts ? bswap(load<u16>(this.l4, 2)) : 0; }
  /** Offset of the first IPv6 extension header of this type; 0 when there is none in the window. */
  extensionOffset(type: u32): u32 {
    if (!this.isIpv6) return 0;
    let next: u32 = this.ipv6.nextHeader;
    let offset: u32 = 40;
    const end = this.viewLength;
    while (offset + 8 <= end) {
      if (next == type) return offset;
      let length: u32 = 8;
      if (isPlainExtension(next)) {
        length = (this.u8At(offset + 1) + 1) << 3;
      } else if (next == Protocol.Authentication) {
        length = (this.u8At(offset + 1) + 2) << 2;
      } else if (next != Protocol.Fragment) {
        return 0;
      }
      next = this.u8At(offset);
      offset += length;
    }
    return 0;
  }
  /** Offset of the segment routing header when the whole of it is in the window; else 0. */
  get srhOffset(): u32 {
    const offset = this.extensionOffset(Protocol.Routing);
    if (offset == 0 || this.u8At(offset + 2) != 4) return 0;
    return offset + ((this.u8At(offset + 1) + 1) << 3) <= this.viewLength ? offset : 0;
  }
  /** The segment routing header at `offset`. Traps when not the whole of it is in the window. */
  srhAt(offset: u32): Srh {
    const length = (load<u8>(this.bytes(offset, 8), 1) + 1) << 3;
    return changetype<Srh>(this.bytes(offset, length));
  }

  // Where it comes from and what is known of it.

  // @ts-ignore: decorator
  @inline get inPort(): u32 { return load<u16>(changetype<usize>(this), SLOT_IN_PORT); }
  /** Port it will leave by; NO_PORT before it is routed. */
  // @ts-ignore: decorator
  @inline get outPort(): u32 { return load<u16>(changetype<usize>(this), SLOT_OUT_PORT); }
  /** Routing table of the lookup that follows. */
  // @ts-ignore: decorator
  @inline get table(): u32 { return load<u16>(changetype<usize>(this), SLOT_TABLE); }
  // @ts-ignore: decorator
  @inline set table(value: u32) { store<u16>(changetype<usize>(this), value, SLOT_TABLE); }
  // @ts-ignore: decorator
  @inline get mark(): u32 { return load<u32>(changetype<usize>(this), SLOT_MARK); }
  // @ts-ignore: decorator
  @inline set mark(value: u32) { store<u32>(changetype<usize>(this), value, SLOT_MARK); }
  /** Flow hash: the same for both directions of a flow. */
  // @ts-ignore: decorator
  @inline get hash(): u32 { return load<u32>(changetype<usize>(this), SLOT_HASH); }
  /** An operator traces it; see TraceValue. */
  // @ts-ignore: decorator
  @inline get isTraced(): bool { return this.hasFlag(Flag.TRACED); }

  // Its flow. `T` is the class marked @flowState; the build refuses another one.

  // @ts-ignore: decorator
  @inline get ctState(): u32 { return load<u8>(changetype<usize>(this), SLOT_CT_STATE); }
  // @ts-ignore: decorator
  @inline get isNew(): bool { return this.ctState == CtState.NEW; }
  // @ts-ignore: decorator
  @inline get isEstablished(): bool { return this.ctState == CtState.ESTABLISHED; }
  // @ts-ignore: decorator
  @inline get isRelated(): bool { return this.ctState == CtState.RELATED; }
  // @ts-ignore: decorator
  @inline get isReply(): bool { return load<u8>(changetype<usize>(this), SLOT_CT_DIRECTION) == CtDirection.REPLY; }
  // @ts-ignore: decorator
  @inline get hasFlow(): bool { return load<u32>(changetype<usize>(this), SLOT_FLOW) != 0; }
  /** True when the flow's state has not been written since the flow began; it is all zeroes. */
  // @ts-ignore: decorator
  @inline get isFlowStateNew(): bool { return this.hasFlag(Flag.NEW_SLOT); }
  /** The stage's state in this packet's flow, to read; all zeroes when the packet has no flow. */
  flow<T>(): T { return changetype<T>(changetype<usize>(this) + SLOT_FLOW_STATE); }
  /**
   * The stage's state in this packet's flow, to change. It is stored after the call. Each packet's view is its own copy: of
   * a flow whose state has never been written, the first packet of a burst is processed in a call before the others.
   */
  updateFlow<T>(): T {
    const slot = changetype<usize>(this);
    store<u16>(slot, load<u16>(slot, SLOT_FLAGS) | Flag.FLOW_WRITTEN, SLOT_FLAGS);
    return this.flow<T>();
  }

  // What becomes of it.

  /** Goes on; what it does without a verdict too. */
  // @ts-ignore: decorator
  @inline pass(): void { store<u8>(changetype<usize>(this), Verdict.PASS, SLOT_VERDICT); }
  /** Drops it, counted under a DropReason or one of the stage's own (`dropReason`). */
  // @ts-ignore: decorator
  @inline drop(reason: i32): void {
    store<u8>(changetype<usize>(this), Verdict.DROP, SLOT_VERDICT);
    store<u16>(changetype<usize>(this), reason, SLOT_REASON);
  }
  /** Sends it out by `port`, to the packet's own destination as neighbour, without a routing lookup. */
  redirect(port: u32): void {
    store<u8>(changetype<usize>(this), Verdict.REDIRECT, SLOT_VERDICT);
    store<u16>(changetype<usize>(this), port, SLOT_OUT_PORT);
    store<u64>(changetype<usize>(this), 0, SLOT_NEXT_HOP);
    store<u64>(changetype<usize>(this), 0, SLOT_NEXT_HOP + 8);
  }
  /** Sends it out by `port` to the IPv4 neighbour `nextHop` (host order). */
  redirect4(port: u32, nextHop: u32): void {
    this.redirect(port);
    store<u32>(changetype<usize>(this), bswap(nextHop), SLOT_NEXT_HOP);
  }
  /** Sends it out by `port` to the IPv6 neighbour `nextHop`. */
  redirect6(port: u32, nextHop: Ipv6Address): void {
    this.redirect(port);
    changetype<Ipv6Address>(changetype<usize>(this) + SLOT_NEXT_HOP).copyFrom(nextHop);
  }
  /** Has it handled as if just received, routed in `table`; for what a stage decapsulated. */
  reinput(table: u32): void {
    store<u8>(changetype<usize>(this), Verdict.REINPUT, SLOT_VERDICT);
    this.table = table;
  }

  /**
   * Sends it back to where it came from, as an answer of the node's own, routed in its `table`: addresses and ports change
   * places, the hop limit becomes 64, an ICMP or ICMPv6 echo request becomes an echo reply. All else stays, so write the
   * answer before or after with the calls below. False, and nothing changed, for what has no answer: a fragment, a packet
   * from or to more than one station, IPv6 with segments left to visit, a packet that was pushed or popped.
   */
  reply(): bool {
    if (!turnRound(this)) return false;
    store<u8>(changetype<usize>(this), Verdict.REPLY, SLOT_VERDICT);
    return true;
  }

  // What else is done with it.

  /**
   * Sends a copy out by `port`, as the packet was before this call of the hook: its first `length` bytes from the L3 header
   * on, or all of it. False when there is no such port, no buffer, or it was mirrored there in this call already.
   */
  mirror(port: u32, length: u32 = 0): bool { return mirror(<i32>changetype<usize>(this), port, length) != 0; }
  /**
   * Reads `length` bytes (at most 65536) of the L4 payload from `offset` there, in or beyond the window, as they were before
   * this call of the hook. No bytes when the packet has no payload that the host knows of, or was pushed or popped. Costs a
   * call of the host: ask for what is needed, of the packets that need it.
   */
  readPayload(offset: u32, length: u32): Payload {
    const start = this.payloadOffset;
    return start == 0 || offset > 0x10000 ? noPayload() : readPayload(this, start + offset, length);
  }
  /** As `readPayload`, from `offset` from the L3 header that the packet had before this call of the hook. */
  readBytes(offset: u32, length: u32): Payload { return readPayload(this, offset, length); }

  // Changes to its headers. They keep every checksum right, and mark the packet as written. They return false, and change
  // nothing, when that cannot be done: the packet is of another family or protocol, or the header is not in the window.

  setSource4(address: u32): bool { return rewriteAddress4(this, 12, address); }
  setDestination4(address: u32): bool { return rewriteAddress4(this, 16, address); }
  setSource6(address: Ipv6Address): bool { return rewriteAddress6(this, 8, address); }
  setDestination6(address: Ipv6Address): bool { return rewriteAddress6(this, 24, address); }
  setSourcePort(port: u32): bool { return rewritePort(this, 0, port); }
  setDestinationPort(port: u32): bool { return rewritePort(this, 2, port); }
  /** Of an ICMP or ICMPv6 echo request or reply. */
  setIcmpIdentifier(identifier: u32): bool { return rewriteIcmpIdentifier(this, identifier); }
  /** TTL of IPv4, hop limit of IPv6. Traps when it is neither. */
  get hopLimit(): u32 { return this.isIpv4 ? this.ipv4.ttl : this.ipv6.hopLimit; }
  setHopLimit(value: u32): bool { return rewriteHopLimit(this, value); }
  get dscp(): u32 { return this.isIpv4 ? this.ipv4.dscp : this.ipv6.dscp; }
  /** 0 to 63; ECN is kept. */
  setDscp(value: u32): bool { return rewriteDscp(this, value); }
  /** Stores a byte of the L4 header or payload at `offset` from the L3 header, with the checksum that covers it. */
  patch8(offset: u32, value: u32): bool { return patch(this, offset, 1, value); }
  /** Stores a 16-bit number, in network byte order, of the L4 header or payload; as `patch8`. */
  patch16(offset: u32, value: u32): bool { return patch(this, offset, 2, value); }
  /** Stores a 32-bit number, in network byte order, of the L4 header or payload; as `patch8`. */
  patch32(offset: u32, value: u32): bool { return patch(this, offset, 4, value); }
}
