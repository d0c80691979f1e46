import { bswap } from "./byteorder";
import { addFolded, adjust, adjustUdp, delta128, delta16, delta32 } from "./checksum";
import { Flag, SLOT_INNER_L3_OFFSET, SLOT_INNER_L4_OFFSET } from "./generated/abi";
import { Ipv4, Ipv6, Ipv6Address } from "./headers";
import { Packet } from "./packet";
import { Protocol } from "./protocol";

/**
 * The packet quoted in an ICMP or ICMPv6 error; a view over the same slot. Its setters change the quoted header, the
 * quoted checksums that are in the window, and the error's own checksum. They return false, and change nothing, when
 * the field is not there. A quoted SCTP packet's CRC stays as it was: it covers what is not quoted.
 */
@unmanaged
export class Quoted {
  // @ts-ignore: decorator
  @inline private get packet(): Packet { return changetype<Packet>(changetype<usize>(this)); }
  // @ts-ignore: decorator
  @inline private get l3Offset(): u32 { return load<u16>(changetype<usize>(this), SLOT_INNER_L3_OFFSET); }
  // @ts-ignore: decorator
  @inline private get l4Offset(): u32 { return load<u16>(changetype<usize>(this), SLOT_INNER_L4_OFFSET); }
  // @ts-ignore: decorator
  @inline private get l3(): usize { return this.packet.head + <usize>this.l3Offset; }
  // @ts-ignore: decorator
  @inline private get l4(): usize { return this.packet.head + <usize>this.l4Offset; }

  /** The quoted packet's family. */
  // @ts-ignore: decorator
  @inline get isIpv4(): bool { return this.packet.isIpv4; }
  /** The quoted packet's family. */
  // @ts-ignore: decorator
  @inline get isIpv6(): bool { return this.packet.isIpv6; }
  /** Its header. Traps when it is IPv6. */
  // @ts-ignore: decorator
  @inline get ipv4(): Ipv4 {
    if (!this.isIpv4) unreachable();
    return this.packet.view<Ipv4>(this.l3Offset);
  }
  /** Its header. Traps when it is IPv4. */
  // @ts-ignore: decorator
  @inline get ipv6(): Ipv6 {
    if (!this.isIpv6) unreachable();
    return this.packet.view<Ipv6>(this.l3Offset);
  }

  /** The quoted packet's L4 protocol; 255 (reserved) when its headers end before it. */
  get protocol(): u32 {
    if (this.isIpv4) return this.ipv4.protocol;
    const packet = this.packet;
    const l4 = this.l4Offset;
    let next: u32 = this.ipv6.nextHeader;
    let offset = this.l3Offset + 40;
    while (l4 != 0 && offset < l4) {
      if (offset + 8 > packet.viewLength) return 255;
      const length: u32 = packet.u8At(offset + 1);
      const isFragment = next == Protocol.Fragment;
      const isAuthentication = next == Protocol.Authentication;
      next = packet.u8At(offset);
      offset += isFragment ? 8 : isAuthentication ? (length + 2) << 2 : (length + 1) << 3;
    }
    return next;
  }
  /** TCP, UDP or SCTP with both ports quoted. */
  get hasPorts(): bool {
    const l4 = this.l4Offset;
    if (l4 == 0 || l4 + 4 > this.end) return false;
    const protocol = this.protocol;
    return protocol == Protocol.Tcp || protocol == Protocol.Udp || protocol == Protocol.Sctp;
  }
  /** 0 when `hasPorts` is false. */
  get sourcePort(): u32 { return this.hasPorts ? bswap(load<u16>(this.l4)) : 0; }
  /** 0 when `hasPorts` is false. */
  get destinationPort(): u32 { return this.hasPorts ? bswap(load<u16>(this.l4, 2)) : 0; }
  /** Of a quoted ICMP or ICMPv6 echo request or reply; 0 otherwise. */
  get icmpIdentifier(): u32 { return this.isEcho ? bswap(load<u16>(this.l4, 4)) : 0; }

  /** `address` in host order. */
  setSource4(address: u32): bool { return this.setAddress4(12, address); }
  /** `address` in host order. */
  setDestination4(address: u32): bool { return this.setAddress4(16, address); }
  /** Copies the address. */
  setSource6(address: Ipv6Address): bool { return this.setAddress6(8, address); }
  /** Copies the address. */
  setDestination6(address: Ipv6Address): bool { return this.setAddress6(24, address); }
  /** False when the quoted L4 header is not in the window. */
  setSourcePort(port: u32): bool { return this.setPort(0, port); }
  /** False when the quoted L4 header is not in the window. */
  setDestinationPort(port: u32): bool { return this.setPort(2, port); }

  /** Of a quoted ICMP or ICMPv6 echo request or reply. */
  setIcmpIdentifier(identifier: u32): bool {
    if (!this.isEcho) return false;
    this.setL4Word(4, identifier, 2);
    return true;
  }

  private get isEcho(): bool {
    const l4 = this.l4Offset;
    if (l4 == 0 || l4 + 8 > this.end) return false;
    const type: u32 = load<u8>(this.l4);
    if (this.isIpv4) return this.protocol == Protocol.Icmp && (type == 8 || type == 0);
    return this.protocol == Protocol.Icmpv6 && (type == 128 || type == 129);
  }

  /** Where the quoted bytes end: at the window's end, or by the length that RFC 4884, section 3 defines. */
  private get end(): u32 {
    const packet = this.packet;
    const icmp = packet.l4;
    const length: u32 = packet.isIpv4 ? <u32>load<u8>(icmp, 5) << 2 : <u32>load<u8>(icmp, 4) << 3;
    const view = packet.viewLength;
    const type: u32 = load<u8>(icmp);
    const hasLength = packet.isIpv4 ? type == 3 || type == 11 || type == 12 : type == 1 || type == 3;
    if (!hasLength || length == 0) return view;
    const end = this.l3Offset + length;
    return end < view ? end : view;
  }

  private setAddress4(offset: u32, address: u32): bool {
    if (!this.isIpv4 || this.l3Offset + 20 > this.end) return false;
    const field = this.l3 + <usize>offset;
    const to = bswap(address);
    const delta = delta32(load<u32>(field), to);
    store<u32>(field, to);
    const sum = this.l3 + 10;
    const before: u32 = load<u16>(sum);
    adjust(sum, delta);
    this.finish(addFolded(addFolded(delta, delta16(before, load<u16>(sum))), this.adjustL4(delta, true, 0)));
    return true;
  }

  private setAddress6(offset: u32, address: Ipv6Address): bool {
    if (!this.isIpv6 || this.l3Offset + 40 > this.end) return false;
    const field = this.l3 + <usize>offset;
    const delta = delta128(field, changetype<usize>(address));
    changetype<Ipv6Address>(field).copyFrom(address);
    this.finish(addFolded(delta, this.adjustL4(delta, true, 0)));
    return true;
  }

  private setPort(offset: u32, port: u32): bool {
    if (!this.hasPorts) return false;
    this.setL4Word(offset, port, 0);
    return true;
  }

  private setL4Word(offset: u32, value: u32, icmpChecksum: u32): void {
    const field = this.l4 + <usize>offset;
    const to: u32 = bswap(<u16>value);
    const delta = delta16(load<u16>(field), to);
    store<u16>(field, to);
    this.finish(addFolded(delta, this.adjustL4(delta, false, icmpChecksum)));
  }

  /** Updates the quoted L4 checksum where it is quoted; returns what that adds to the error's sum. */
  private adjustL4(delta: u32, isAddress: bool, icmpChecksum: u32): u32 {
    const l4 = this.l4Offset;
    if (l4 == 0) return 0;
    const protocol = this.protocol;
    let offset = icmpChecksum;
    if (protocol == Protocol.Tcp) offset = 16;
    else if (protocol == Protocol.Udp) offset = 6;
    else if (protocol == Protocol.Icmpv6 && isAddress) offset = 2;
    if (offset == 0 || l4 + offset + 2 > this.end) return 0;
    const field = this.l4 + <usize>offset;
    const before: u32 = load<u16>(field);
    if (protocol == Protocol.Udp) adjustUdp(field, delta);
    else adjust(field, delta);
    return delta16(before, load<u16>(field));
  }

  private finish(delta: u32): void {
    const packet = this.packet;
    if (!packet.hasFlag(Flag.PARTIAL_CHECKSUM)) adjust(packet.l4 + 2, delta);
    packet.markWritten();
  }
}
