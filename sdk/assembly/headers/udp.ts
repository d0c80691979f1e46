// Fields are in network byte order in memory; accessors take and return numbers in host order. Setters store the one
// field and touch no checksum: they are for headers that a stage makes itself. To change a packet's own headers use the
// calls of Packet.

import { bswap, destinationPortAt, sourcePortAt } from "../byteorder";

/** RFC 768: 8 bytes. */
@unmanaged
export class Udp {
  private from: u16;
  private to: u16;
  private size: u16;
  private sum: u16;

  /** Host order. */
  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return sourcePortAt(changetype<usize>(this)); }
  // @ts-ignore: decorator
  @inline set sourcePort(value: u32) { this.from = bswap(<u16>value); }
  /** Host order. */
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return destinationPortAt(changetype<usize>(this)); }
  // @ts-ignore: decorator
  @inline set destinationPort(value: u32) { this.to = bswap(<u16>value); }
  /** Header and payload in bytes. */
  // @ts-ignore: decorator
  @inline get length(): u32 { return bswap(this.size); }
  // @ts-ignore: decorator
  @inline set length(value: u32) { this.size = bswap(<u16>value); }
  /** False: the sender did not compute one. */
  // @ts-ignore: decorator
  @inline get hasChecksum(): bool { return this.sum != 0; }
  /** Makes all 8 bytes zero. */
  begin(): void { store<u64>(changetype<usize>(this), 0); }
  /** Says that there is no checksum (IPv4; IPv6 tunnels as in RFC 6935). */
  // @ts-ignore: decorator
  @inline clearChecksum(): void { this.sum = 0; }
}
