// Fields are in network byte order in memory; accessors take and return numbers in host order. Setters store the one
// field and touch no checksum: they are for headers that a stage makes itself. To change a packet's own headers use the
// calls of Packet.

import { bswap } from "../byteorder";
import { Ipv6Address } from "./address6";

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

  /** DSCP << 2 | ECN. */
  // @ts-ignore: decorator
  @inline get trafficClass(): u32 { return (bswap(this.versionClassLabel) >>> 20) & 0xff; }
  /** 0 to 63 (RFC 2474). */
  // @ts-ignore: decorator
  @inline get dscp(): u32 { return (bswap(this.versionClassLabel) >>> 22) & 0x3f; }
  /** 0 to 3 (RFC 3168). */
  // @ts-ignore: decorator
  @inline get ecn(): u32 { return (bswap(this.versionClassLabel) >>> 20) & 3; }
  /** 20 bits (RFC 6437). */
  // @ts-ignore: decorator
  @inline get flowLabel(): u32 { return bswap(this.versionClassLabel) & 0xfffff; }
  /** Bytes behind the fixed header. */
  // @ts-ignore: decorator
  @inline get payloadLength(): u32 { return bswap(this.payload); }
  // @ts-ignore: decorator
  @inline set payloadLength(value: u32) { this.payload = bswap(<u16>value); }
  /** Type of the first extension header, or the L4 protocol; see Protocol. */
  // @ts-ignore: decorator
  @inline get nextHeader(): u32 { return this.next; }
  // @ts-ignore: decorator
  @inline set nextHeader(value: u32) { this.next = <u8>value; }
  /** Stations that it may still pass. */
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
