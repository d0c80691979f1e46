import { bswap } from "./byteorder";
import {
  BURST_SETTLES, CtDirection, CtState, Flag, mirror, SLOT_CT_DIRECTION, SLOT_CT_STATE, SLOT_FLAGS, SLOT_FLOW,
  SLOT_FLOW_STATE, SLOT_HASH, SLOT_IN_PORT, SLOT_MARK, SLOT_NEXT_HOP, SLOT_OUT_PORT, SLOT_REASON, SLOT_TABLE,
  SLOT_VERDICT, Verdict, WINDOW_BASE
} from "./generated/abi";
import { Ipv6Address, TcpOption } from "./headers";
import { PacketHeaders } from "./packet-headers";
import { noPayload, Payload, readPayload } from "./payload";
import { turnRound } from "./reply";
import {
  patch16, patch32, patch8, rewriteAddress4, rewriteAddress6, rewriteDscp, rewriteEcn, rewriteEndpoint4,
  rewriteEndpoint6, rewriteHopLimit, rewriteIcmpIdentifier, rewriteIpv4Word, rewritePort, rewriteTcpOptionWord,
  tcpOptionWord
} from "./rewrite";

/**
 * A packet in the burst: a view over its slot. Offsets are in bytes from the packet's first byte, its L3 header; ports,
 * lengths and IPv4 addresses are in host order.
 */
@unmanaged
export class Packet extends PacketHeaders {
  // Where it comes from and what is known of it.

  /** Port it came in by. */
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
  /** Kept for the packet's later stages; 0 at first. */
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

  /** What conntrack says; see CtState. */
  // @ts-ignore: decorator
  @inline get ctState(): u32 { return load<u8>(changetype<usize>(this), SLOT_CT_STATE); }
  /** The first of its flow. */
  // @ts-ignore: decorator
  @inline get isNew(): bool { return this.ctState == CtState.NEW; }
  /** Of a flow that had an answer. */
  // @ts-ignore: decorator
  @inline get isEstablished(): bool { return this.ctState == CtState.ESTABLISHED; }
  /** An ICMP error of a flow, or a flow that belongs to another. */
  // @ts-ignore: decorator
  @inline get isRelated(): bool { return this.ctState == CtState.RELATED; }
  /** In the direction opposite to the flow's first packet. */
  // @ts-ignore: decorator
  @inline get isReply(): bool { return load<u8>(changetype<usize>(this), SLOT_CT_DIRECTION) == CtDirection.REPLY; }
  /** False: untracked; flow state is not kept. */
  // @ts-ignore: decorator
  @inline get hasFlow(): bool { return load<u32>(changetype<usize>(this), SLOT_FLOW) != 0; }
  /** True when the flow's state has not been written since the flow began; it is all zeroes. */
  // @ts-ignore: decorator
  @inline get isFlowStateNew(): bool { return this.hasFlag(Flag.NEW_SLOT); }
  /** The stage's state in this packet's flow, to read; all zeroes when the packet has no flow. */
  flow<T>(): T { return changetype<T>(changetype<usize>(this) + SLOT_FLOW_STATE); }
  /**
   * The stage's state in this packet's flow, to change. It is stored after the call. Each packet's view is its own
   * copy: of a flow whose state has never been written, the first packet of a burst is processed in a call before the
   * others.
   */
  updateFlow<T>(): T {
    const slot = changetype<usize>(this);
    store<u16>(slot, load<u16>(slot, SLOT_FLAGS) | Flag.FLOW_WRITTEN, SLOT_FLAGS);
    return this.flow<T>();
  }
  /**
   * Says that the rest of this flow in this direction goes like this packet: it passes, with the same new addresses and
   * ports, and this stage need not see it at this hook again. Holds until a stage is loaded, swapped or configured. The
   * host heeds it once the flow is established, for what changed nothing but addresses and ports (TCP and UDP), and
   * where all stages of the hook settle flows. Packets that pass so are counted as settled, not by the stage.
   */
  settle(): void {
    if (load<u32>(WINDOW_BASE + BURST_SETTLES) == 0) return;
    const slot = changetype<usize>(this);
    store<u16>(slot, load<u16>(slot, SLOT_FLAGS) | Flag.SETTLED, SLOT_FLAGS);
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
   * Sends it back to where it came from, as an answer of the node's own, routed in its `table`: addresses and ports
   * change places, the hop limit becomes 64, an ICMP or ICMPv6 echo request becomes an echo reply. All else stays, so
   * write the answer before or after with the calls below. False, and nothing changed, for what has no answer: a
   * fragment, a packet from or to more than one station, IPv6 with segments left to visit, a packet that was pushed or
   * popped.
   */
  reply(): bool {
    if (!turnRound(this)) return false;
    store<u8>(changetype<usize>(this), Verdict.REPLY, SLOT_VERDICT);
    return true;
  }

  // What else is done with it.

  /**
   * Sends a copy out by `port`, as the packet was before this call of the hook: its first `length` bytes from the L3
   * header on, or all of it. False when there is no such port, no buffer, or it was mirrored there in this call
   * already.
   */
  mirror(port: u32, length: u32 = 0): bool { return mirror(<i32>changetype<usize>(this), port, length) != 0; }
  /**
   * Reads `length` bytes (at most 65536) of the L4 payload from `offset` there, in or beyond the window, as they were
   * before this call of the hook. No bytes when the packet has no payload that the host knows of, or was pushed or
   * popped. Costs a call of the host: ask for what is needed, of the packets that need it.
   */
  readPayload(offset: u32, length: u32): Payload {
    const start = this.payloadOffset;
    return start == 0 || offset > 0x10000 ? noPayload() : readPayload(this, start + offset, length);
  }
  /** As `readPayload`, from `offset` from the L3 header that the packet had before this call of the hook. */
  readBytes(offset: u32, length: u32): Payload { return readPayload(this, offset, length); }

  // Changes to its headers. They keep every checksum right, and mark the packet as written. They return false, and
  // change nothing, when that cannot be done: the packet is of another family or protocol, or the header is not in the
  // window.

  /** Host order. */
  setSource4(address: u32): bool { return rewriteAddress4(this, 12, address); }
  /** Host order. */
  setDestination4(address: u32): bool { return rewriteAddress4(this, 16, address); }
  /** The address is copied. */
  setSource6(address: Ipv6Address): bool { return rewriteAddress6(this, 8, address); }
  /** The address is copied. Not covered by a checksum while a routing header has segments left. */
  setDestination6(address: Ipv6Address): bool { return rewriteAddress6(this, 24, address); }
  /** TCP's, UDP's or SCTP's, of which the host computes the CRC32c. */
  setSourcePort(port: u32): bool { return rewritePort(this, 0, port); }
  /** As `setSourcePort`. */
  setDestinationPort(port: u32): bool { return rewritePort(this, 2, port); }
  /** Address (host order) and port at once, of TCP, UDP or SCTP over IPv4: quicker than one after the other. */
  // @ts-ignore: decorator
  @inline setSourceEndpoint4(address: u32, port: u32): bool { return rewriteEndpoint4(this, 0, address, port); }
  /** As `setSourceEndpoint4`. */
  // @ts-ignore: decorator
  @inline setDestinationEndpoint4(address: u32, port: u32): bool { return rewriteEndpoint4(this, 1, address, port); }
  /** As `setSourceEndpoint4`, over IPv6. */
  // @ts-ignore: decorator
  @inline setSourceEndpoint6(address: Ipv6Address, port: u32): bool { return rewriteEndpoint6(this, 0, address, port); }
  /** As `setSourceEndpoint4`, over IPv6. */
  // @ts-ignore: decorator
  @inline setDestinationEndpoint6(address: Ipv6Address, port: u32): bool {
    return rewriteEndpoint6(this, 1, address, port);
  }
  /** Of an ICMP or ICMPv6 echo request or reply. */
  setIcmpIdentifier(identifier: u32): bool { return rewriteIcmpIdentifier(this, identifier); }
  /** TTL of IPv4, hop limit of IPv6. Traps when it is neither. */
  get hopLimit(): u32 { return this.isIpv4 ? this.ipv4.ttl : this.ipv6.hopLimit; }
  /** TTL of IPv4, hop limit of IPv6. */
  setHopLimit(value: u32): bool { return rewriteHopLimit(this, value); }
  /** 0 to 63. Traps when it is neither IPv4 nor IPv6. */
  get dscp(): u32 { return this.isIpv4 ? this.ipv4.dscp : this.ipv6.dscp; }
  /** 0 to 63; ECN is kept. */
  setDscp(value: u32): bool { return rewriteDscp(this, value); }
  /** ECN, 0 to 3 (RFC 3168); DSCP is kept. */
  setEcn(value: u32): bool { return rewriteEcn(this, value); }
  /** IPv4's identification (RFC 791). */
  setIdentification(value: u32): bool { return rewriteIpv4Word(this, 4, value); }
  /** IPv4's "don't fragment"; only of a packet that is no fragment. */
  setDontFragment(value: bool): bool { return !this.isFragment && rewriteIpv4Word(this, 6, value ? 0x4000 : 0); }
  /** CWR 128, ECE 64, URG 32, ACK 16, PSH 8, RST 4, SYN 2, FIN 1. */
  setTcpFlags(value: u32): bool { return this.isTcp && this.patch8(this.l4Offset + 13, value); }
  /** Number of the first byte of payload. */
  setTcpSequence(value: u32): bool { return this.isTcp && this.patch32(this.l4Offset + 4, value); }
  /** The next byte that the sender wants. */
  setTcpAcknowledgment(value: u32): bool { return this.isTcp && this.patch32(this.l4Offset + 8, value); }
  /** As in the header, not scaled. */
  setTcpWindow(value: u32): bool { return this.isTcp && this.patch16(this.l4Offset + 14, value); }
  /** The largest segment that the sender takes, from a SYN's option; 0 without one. */
  get tcpMss(): u32 {
    const at = tcpOptionWord(this, TcpOption.Mss);
    return at == 0 ? 0 : bswap(load<u16>(at));
  }
  /** Changes that option; false when there is none. */
  setTcpMss(value: u32): bool { return rewriteTcpOptionWord(this, TcpOption.Mss, value); }
  /** Stores a byte of the L4 header or payload at `offset` from the L3 header, with the checksum that covers it. */
  patch8(offset: u32, value: u32): bool { return patch8(this, offset, value); }
  /** Stores a 16-bit number, in network byte order, of the L4 header or payload; as `patch8`. */
  patch16(offset: u32, value: u32): bool { return patch16(this, offset, value); }
  /** Stores a 32-bit number, in network byte order, of the L4 header or payload; as `patch8`. */
  patch32(offset: u32, value: u32): bool { return patch32(this, offset, value); }
}
