// Fields are in network byte order in memory; accessors take and return numbers in host order.

import { bswap, destinationPortAt, sourcePortAt } from "../byteorder";
import { spanBehind, spanBytes, spanLength } from "./span";

/** RFC 9260: the common header of 12 bytes. */
@unmanaged
export class Sctp {
  private from: u16;
  private to: u16;
  private tag: u32;
  private crc: u32;

  /** Host order. */
  // @ts-ignore: decorator
  @inline get sourcePort(): u32 { return sourcePortAt(changetype<usize>(this)); }
  /** Host order. */
  // @ts-ignore: decorator
  @inline get destinationPort(): u32 { return destinationPortAt(changetype<usize>(this)); }
  /** Of the association, as the receiver chose it. */
  // @ts-ignore: decorator
  @inline get verificationTag(): u32 { return bswap(this.tag); }
}

/**
 * A chunk of an SCTP packet (RFC 9260, section 3.2), and the way to the next:
 *
 *   for (let chunk = packet.sctpChunks; chunk.isPresent; chunk = chunk.next) { ... }
 *
 * A chunk that does not start with 4 bytes within the window ends the list; of one that does, what is behind the window
 * cannot be read. Offsets are in bytes of the chunk's value; an access outside the value, or the window, traps.
 */
@final @unmanaged
export class SctpChunk {
  /** False at the end of the list. */
  get isPresent(): bool { return changetype<usize>(this) != 0; }
  /** 0 DATA, 1 INIT, 2 INIT ACK, 3 SACK, ... by IANA's registry. */
  get type(): u32 { return load<u8>(spanBytes(changetype<usize>(this), 0, 1)); }
  /** Depend on the type. */
  get flags(): u32 { return load<u8>(spanBytes(changetype<usize>(this), 1, 1)); }
  /** Bytes of the value, without padding. */
  get length(): u32 { return <u32>bswap(load<u16>(spanBytes(changetype<usize>(this), 2, 2))) - 4; }
  /** The byte of the value at `offset`. */
  u8(offset: u32): u32 { return load<u8>(this.value(offset, 1)); }
  /** The 16-bit number at `offset`. */
  u16(offset: u32): u32 { return bswap(load<u16>(this.value(offset, 2))); }
  /** The 32-bit number at `offset`. */
  u32(offset: u32): u32 { return bswap(load<u32>(this.value(offset, 4))); }
  /** The next chunk. */
  get next(): SctpChunk { return chunkAt(spanBehind(changetype<usize>(this), (this.length + 7) & ~3)); }

  private value(offset: u32, length: u32): usize {
    if (<u64>offset + <u64>length > <u64>this.length) unreachable();
    return spanBytes(changetype<usize>(this), offset + 4, length);
  }
}

/** The chunk that this part of a packet starts with. */
export function chunkAt(span: usize): SctpChunk {
  if (span == 0 || spanLength(span) < 4) return changetype<SctpChunk>(0);
  const length: u32 = bswap(load<u16>(spanBytes(span, 2, 2)));
  return changetype<SctpChunk>(length < 4 ? 0 : span);
}
