import { destinationPortAt, sourcePortAt } from "./byteorder";
import {
  Flag, SLOT_FAMILY, SLOT_HEAD_OFFSET, SLOT_INNER_L3_OFFSET, SLOT_L2_LENGTH, SLOT_L4_OFFSET, SLOT_PROTOCOL
} from "./generated/abi";
import {
  chunkAt, Esp, Ethernet, Extension, extensionAt, HeaderOption, Icmp, Icmpv6, Ipv4, Ipv6, optionAt, Sctp, SctpChunk,
  spanOf, Srh, Tcp, Udp, Vlan, Vxlan
} from "./headers";
import { checksumOffset, Protocol } from "./protocol";
import { Quoted } from "./quoted";
import { PacketBytes } from "./slot";

/**
 * What a packet is, by its headers: those that the host found. After `push` or `pop` they no longer hold, so family,
 * protocol and header views are gone until a later stage sees the packet parsed again.
 */
@unmanaged
export class PacketHeaders extends PacketBytes {
  /** Its L3 header is IPv4's. */
  // @ts-ignore: decorator
  @inline get isIpv4(): bool { return load<u8>(changetype<usize>(this), SLOT_FAMILY) == 4; }
  /** Its L3 header is IPv6's. */
  // @ts-ignore: decorator
  @inline get isIpv6(): bool { return load<u8>(changetype<usize>(this), SLOT_FAMILY) == 6; }
  /** The L4 protocol, behind all IPv6 extension headers; see Protocol. */
  // @ts-ignore: decorator
  @inline get protocol(): u32 { return load<u8>(changetype<usize>(this), SLOT_PROTOCOL); }
  /** True when the L4 header's fixed part is in the window, as the views need it. */
  // @ts-ignore: decorator
  @inline get hasL4(): bool { return load<u16>(changetype<usize>(this), SLOT_L4_OFFSET) != 0; }
  /** TCP, with its fixed 20 bytes in the window. */
  // @ts-ignore: decorator
  @inline get isTcp(): bool { return this.isL4(Protocol.Tcp); }
  /** UDP, with its header in the window. */
  // @ts-ignore: decorator
  @inline get isUdp(): bool { return this.isL4(Protocol.Udp); }
  /** SCTP, with its common header in the window. */
  // @ts-ignore: decorator
  @inline get isSctp(): bool { return this.isL4(Protocol.Sctp); }
  /** ICMP in IPv4 or ICMPv6 in IPv6, with 8 bytes in the window. */
  // @ts-ignore: decorator
  @inline get isIcmp(): bool {
    return this.protocol == (this.isIpv6 ? Protocol.Icmpv6 : Protocol.Icmp) && this.hasL4Bytes(8);
  }
  /** Encapsulating security payload, with 8 bytes in the window. */
  // @ts-ignore: decorator
  @inline get isEsp(): bool { return this.protocol == Protocol.Esp && this.hasL4Bytes(8); }
  /** UDP to VXLAN's port, with the VXLAN header in the window. */
  get isVxlan(): bool {
    return this.isUdp && this.destinationPort == VXLAN_PORT && this.payloadOffset + 8 <= this.viewLength;
  }
  /** TCP, UDP or SCTP, with its ports in the window. */
  // @ts-ignore: decorator
  @inline get hasPorts(): bool { return checksumOffset(this.protocol) * this.l4Offset != 0; }
  /** An ICMP or ICMPv6 error whose quoted packet can be read through `quoted`. */
  // @ts-ignore: decorator
  @inline get hasQuoted(): bool { return load<u16>(changetype<usize>(this), SLOT_INNER_L3_OFFSET) != 0; }
  /** An ICMP or ICMPv6 error, whether or not its quoted packet can be read. */
  // @ts-ignore: decorator
  @inline get isIcmpError(): bool { return this.hasFlag(Flag.ICMP_ERROR); }
  /** A fragment, the first or a later one; later ones have no L4 header. */
  // @ts-ignore: decorator
  @inline get isFragment(): bool { return this.hasFlag(Flag.FRAGMENT); }
  /** A GSO frame that is segmented on its way out. */
  // @ts-ignore: decorator
  @inline get isSuperFrame(): bool { return this.hasFlag(Flag.SUPER_FRAME); }

  // Its headers. Each traps when the packet has no such header in the window.

  /** Traps when it is not IPv4. */
  // @ts-ignore: decorator
  @inline get ipv4(): Ipv4 {
    if (!this.isIpv4) unreachable();
    return changetype<Ipv4>(this.l3);
  }
  /** Traps when it is not IPv6. */
  // @ts-ignore: decorator
  @inline get ipv6(): Ipv6 {
    if (!this.isIpv6) unreachable();
    return changetype<Ipv6>(this.l3);
  }
  /** Traps when `isTcp` is false. */
  // @ts-ignore: decorator
  @inline get tcp(): Tcp {
    if (!this.isTcp) unreachable();
    return changetype<Tcp>(this.l4);
  }
  /** Traps when `isUdp` is false. */
  // @ts-ignore: decorator
  @inline get udp(): Udp {
    if (!this.isUdp) unreachable();
    return changetype<Udp>(this.l4);
  }
  /** Traps when `isSctp` is false. */
  // @ts-ignore: decorator
  @inline get sctp(): Sctp {
    if (!this.isSctp) unreachable();
    return changetype<Sctp>(this.l4);
  }
  /** Traps when `isIcmp` is false. */
  // @ts-ignore: decorator
  @inline get icmp(): Icmp {
    if (!this.isIcmp) unreachable();
    return changetype<Icmp>(this.l4);
  }
  /** Traps when `isIcmp` is false, or it is IPv4. */
  // @ts-ignore: decorator
  @inline get icmpv6(): Icmpv6 {
    if (!this.isIcmp || !this.isIpv6) unreachable();
    return changetype<Icmpv6>(this.l4);
  }
  /** Traps when `isEsp` is false. */
  // @ts-ignore: decorator
  @inline get esp(): Esp {
    if (!this.isEsp) unreachable();
    return changetype<Esp>(this.l4);
  }
  /** Traps when `isVxlan` is false. */
  // @ts-ignore: decorator
  @inline get vxlan(): Vxlan {
    if (!this.isVxlan) unreachable();
    return this.view<Vxlan>(this.payloadOffset);
  }
  /** The packet quoted in an ICMP error. */
  // @ts-ignore: decorator
  @inline get quoted(): Quoted {
    if (!this.hasQuoted) unreachable();
    return changetype<Quoted>(changetype<usize>(this));
  }
  /** Port of a TCP, UDP or SCTP packet; 0 when `hasPorts` is false. */
  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return this.hasPorts ? sourcePortAt(this.l4) : 0; }
  /** Port of a TCP, UDP or SCTP packet; 0 when `hasPorts` is false. */
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return this.hasPorts ? destinationPortAt(this.l4) : 0; }
  // Its lists. Each is empty where there is no such header, and ends where the window does.

  /** Options of the IPv4 header. */
  get ipv4Options(): HeaderOption {
    return optionAt(this.isIpv4 ? this.spanOf(20, this.ipv4.headerLength) : 0);
  }
  /** Options of the TCP header. */
  get tcpOptions(): HeaderOption { return optionAt(this.tcpOptionSpan); }
  /** The TCP option of this kind (see TcpOption); not present when there is none. */
  tcpOption(kind: u32): HeaderOption { return optionAt(this.tcpOptionSpan, kind); }
  /** IPv6 extension headers before L4. */
  get extensions(): Extension {
    if (!this.isIpv6) return changetype<Extension>(0);
    return extensionAt(changetype<usize>(this), this.headOffset + 40, this.ipv6.nextHeader);
  }
  /** The first IPv6 extension header of this type (see Protocol); not present when there is none. */
  extension(type: u32): Extension {
    let extension = this.extensions;
    while (extension.isPresent && extension.type != type) extension = extension.next;
    return extension;
  }
  /** Chunks of an SCTP packet. */
  get sctpChunks(): SctpChunk { return chunkAt(this.isSctp ? this.spanOf(this.l4Offset + 12, this.viewLength) : 0); }

  /**
   * Offset of the first header of this type behind IPv6's: an extension header, or what follows those. 0 when there is
   * none with its first 8 bytes in the window.
   */
  extensionOffset(type: u32): u32 {
    if (!this.isIpv6) return 0;
    let next: u32 = this.ipv6.nextHeader;
    let at: u32 = 40;
    for (let each = this.extensions; each.isPresent; each = each.next) {
      if (each.type == type) return each.offset;
      if (each.isLaterFragment) return 0;
      next = each.nextHeader;
      at = each.offset + each.length;
    }
    return next == type && at + 8 <= this.viewLength ? at : 0;
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

  // The link header that it came with. These trap when it came without one, or when a pushed header has its place.

  /** It came in an Ethernet frame, whose header is still there. */
  get hasEthernet(): bool { return this.linkLength >= 14; }
  /** Traps when `hasEthernet` is false. */
  get ethernet(): Ethernet { return changetype<Ethernet>(this.link(0, 14)); }
  /** VLAN tags of the Ethernet frame; 0 when there is none, or no frame. */
  get vlans(): u32 {
    let count: u32 = 0;
    while (this.linkLength >= 18 + (count << 2) && isVlan(load<u16>(this.link(12 + (count << 2), 2)))) count++;
    return count;
  }
  /** A VLAN tag, the outermost first. Traps when `index` is not below `vlans`. */
  vlan(index: u32): Vlan {
    if (index >= this.vlans) unreachable();
    return changetype<Vlan>(this.link(12 + (index << 2), 4));
  }

  /** `protocol`, with the L4 header in the window: both in one comparison, as the offset is less than 65536. */
  // @ts-ignore: decorator
  @inline private isL4(protocol: u32): bool { return this.l4Offset > (this.protocol ^ protocol) << 16; }
  // @ts-ignore: decorator
  @inline private hasL4Bytes(length: u32): bool { return this.hasL4 && this.l4Offset + length <= this.viewLength; }
  // @ts-ignore: decorator
  @inline private get tcpOptionSpan(): usize {
    if (!this.isTcp) return 0;
    const start = this.l4Offset;
    return this.spanOf(start + 20, start + this.tcp.headerLength);
  }
  /** What is in the window of the part between two offsets from L3. */
  private spanOf(start: u32, end: u32): usize {
    end = min<u32>(end, this.viewLength);
    const head = this.headOffset;
    return start < end ? spanOf(changetype<usize>(this), head + <usize>start, head + <usize>end) : 0;
  }
  private get linkLength(): u32 {
    const isInPlace = this.headOffset >= SLOT_HEAD_OFFSET;
    return isInPlace ? load<u8>(changetype<usize>(this), SLOT_L2_LENGTH) : 0;
  }
  private link(offset: u32, length: u32): usize {
    const all = this.linkLength;
    if (offset + length > all) unreachable();
    return changetype<usize>(this) + SLOT_HEAD_OFFSET - <usize>all + <usize>offset;
  }
}

const VXLAN_PORT: u32 = 4789;

/** IEEE 802.1Q's and 802.1ad's types, as loaded from memory. */
// @ts-ignore: decorator
@inline function isVlan(type: u32): bool { return type == 0x0081 || type == 0xa888; }
