// Link headers as a packet came with them, and ARP. Fields are in network byte order in memory; accessors take and
// return numbers in host order, MAC addresses as the low 48 bits of a u64: 02:00:00:00:00:01 is 0x020000000001.

import { bswap } from "../byteorder";

// @ts-ignore: decorator
@inline function macAt(at: usize): u64 {
  return <u64>bswap(load<u16>(at)) << 32 | <u64>bswap(load<u32>(at, 2));
}
// @ts-ignore: decorator
@inline function setMacAt(at: usize, mac: u64): void {
  store<u16>(at, bswap(<u16>(mac >>> 32)));
  store<u32>(at, bswap(<u32>mac), 2);
}

/** Ethernet (IEEE 802.3): 14 bytes. Read only: the host writes the link header that a packet leaves with. */
@unmanaged
export class Ethernet {
  private to: u16; private to1: u16; private to2: u16;
  private from: u16; private from1: u16; private from2: u16;
  private kind: u16;

  /** MAC address that it was sent to. */
  get destination(): u64 { return macAt(changetype<usize>(this)); }
  /** MAC address that sent it. */
  get source(): u64 { return macAt(changetype<usize>(this) + 6); }
  /** Ethertype of what follows: of a VLAN tag's kind when there is one. */
  get type(): u32 { return bswap(this.kind); }
  /** Sent to more than one station. */
  get isMulticast(): bool { return (load<u8>(changetype<usize>(this)) & 1) != 0; }
}

/** A VLAN tag (IEEE 802.1Q): 4 bytes. Read only. */
@unmanaged
export class Vlan {
  private kind: u16;
  private control: u16;

  /** 0x8100, or 0x88a8 of an outer tag. */
  get type(): u32 { return bswap(this.kind); }
  /** 0 to 4095; 0: a priority only. */
  get id(): u32 { return bswap(this.control) & 0xfff; }
  /** 0 to 7. */
  get priority(): u32 { return bswap(this.control) >>> 13; }
  /** It may be dropped first. */
  get dropEligible(): bool { return (bswap(this.control) & 0x1000) != 0; }
}

/**
 * ARP for IPv4 over Ethernet (RFC 826): 28 bytes. Hooks see no ARP packets; this is for ARP in what they carry. Setters
 * store the one field.
 */
@unmanaged
export class Arp {
  private hardware: u16;
  private network: u16;
  private lengths: u16;
  private code: u16;
  private sender: u16; private sender1: u16; private sender2: u16; private sender3: u16; private sender4: u16;
  private target: u16; private target1: u16; private target2: u16; private target3: u16; private target4: u16;

  /** It is for Ethernet and IPv4, by its first 6 bytes. */
  get isIpv4(): bool { return this.hardware == 0x0100 && this.network == 0x0008 && this.lengths == 0x0406; }
  /** 1 request, 2 reply. */
  get operation(): u32 { return bswap(this.code); }
  set operation(value: u32) { this.code = bswap(<u16>value); }
  /** MAC address of who asks or answers. */
  get senderMac(): u64 { return macAt(changetype<usize>(this) + 8); }
  set senderMac(value: u64) { setMacAt(changetype<usize>(this) + 8, value); }
  /** Its IPv4 address, in host order. */
  get senderAddress(): u32 { return bswap(load<u32>(changetype<usize>(this), 14)); }
  set senderAddress(value: u32) { store<u32>(changetype<usize>(this), bswap(value), 14); }
  /** MAC address of who is asked for; 0 in a request. */
  get targetMac(): u64 { return macAt(changetype<usize>(this) + 18); }
  set targetMac(value: u64) { setMacAt(changetype<usize>(this) + 18, value); }
  /** IPv4 address that is asked for, in host order. */
  get targetAddress(): u32 { return bswap(load<u32>(changetype<usize>(this), 24)); }
  set targetAddress(value: u32) { store<u32>(changetype<usize>(this), bswap(value), 24); }
}
