// Fields are in network byte order in memory; accessors take and return numbers in host order. Setters store the one
// field and touch no checksum: they are for headers that a stage makes itself. To change a packet's own headers use the
// calls of Packet.

import { bswap } from "../byteorder";
import { checksum } from "../checksum";

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
  /** 0 to 63 (RFC 2474). */
  // @ts-ignore: decorator
  @inline get dscp(): u32 { return <u32>this.tos >>> 2; }
  /** 0 to 3 (RFC 3168). */
  // @ts-ignore: decorator
  @inline get ecn(): u32 { return this.tos & 3; }
  /** DSCP << 2 | ECN. */
  // @ts-ignore: decorator
  @inline get trafficClass(): u32 { return this.tos; }
  // @ts-ignore: decorator
  @inline set trafficClass(value: u32) { this.tos = <u8>value; }
  /** Bytes of header and payload. */
  // @ts-ignore: decorator
  @inline get totalLength(): u32 { return bswap(this.total); }
  // @ts-ignore: decorator
  @inline set totalLength(value: u32) { this.total = bswap(<u16>value); }
  /** Names the fragments of one packet. */
  // @ts-ignore: decorator
  @inline get identification(): u32 { return bswap(this.id); }
  // @ts-ignore: decorator
  @inline set identification(value: u32) { this.id = bswap(<u16>value); }
  /** Setting it also clears the fragment's offset. */
  // @ts-ignore: decorator
  @inline get dontFragment(): bool { return (bswap(this.fragment) & 0x4000) != 0; }
  // @ts-ignore: decorator
  @inline set dontFragment(value: bool) { this.fragment = bswap(<u16>(value ? 0x4000 : 0)); }
  /** Of a fragment that is not the last. */
  // @ts-ignore: decorator
  @inline get moreFragments(): bool { return (bswap(this.fragment) & 0x2000) != 0; }
  /** Where a fragment's bytes belong, in bytes. */
  // @ts-ignore: decorator
  @inline get fragmentOffset(): u32 { return <u32>(bswap(this.fragment) & 0x1fff) << 3; }
  /** Time to live. */
  // @ts-ignore: decorator
  @inline get ttl(): u32 { return this.timeToLive; }
  // @ts-ignore: decorator
  @inline set ttl(value: u32) { this.timeToLive = <u8>value; }
  /** See Protocol. */
  // @ts-ignore: decorator
  @inline get protocol(): u32 { return this.proto; }
  // @ts-ignore: decorator
  @inline set protocol(value: u32) { this.proto = <u8>value; }
  /** Host order: 10.0.0.1 is 0x0a000001. */
  // @ts-ignore: decorator
  @inline get source(): u32 { return bswap(this.from); }
  // @ts-ignore: decorator
  @inline set source(value: u32) { this.from = bswap(value); }
  /** Host order. */
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
