// Fields are in network byte order in memory; accessors take and return numbers in host order. Setters store the one
// field and touch no checksum: they are for headers that a stage makes itself. To change a packet's own headers use the
// calls of Packet.

import { bswap } from "../byteorder";
import { Ipv6Address } from "./address6";

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

  /** Type of the header behind it; see Protocol. */
  // @ts-ignore: decorator
  @inline get nextHeader(): u32 { return this.next; }
  // @ts-ignore: decorator
  @inline set nextHeader(value: u32) { this.next = <u8>value; }
  /** Bytes of the whole header. */
  // @ts-ignore: decorator
  @inline get length(): i32 { return (<i32>this.extension + 1) << 3; }
  /** Index of the segment in turn; 0 at the last one. */
  // @ts-ignore: decorator
  @inline get segmentsLeft(): u32 { return this.left; }
  // @ts-ignore: decorator
  @inline set segmentsLeft(value: u32) { this.left = <u8>value; }
  /** Index of the list's last segment. */
  // @ts-ignore: decorator
  @inline get lastEntry(): u32 { return this.last; }
  /** None is defined. */
  // @ts-ignore: decorator
  @inline get flags(): u32 { return this.bits; }
  /** Names packets of one kind; 0 without. */
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
