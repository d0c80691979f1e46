import { bswap } from "../byteorder";
import { SLOT_HEAD } from "../generated/abi";
import { spanBehind, spanBytes, spanLength, spanSlot, spanStart } from "./span";

/** Kinds of TCP's options, by IANA's registry. */
export namespace TcpOption {
  /** Largest segment, 2 bytes of data (RFC 9293, section 3.7.1). */
  // @ts-ignore: decorator
  @inline export const Mss: u32 = 2;
  /** Shift of the window, 1 byte (RFC 7323, section 2). */
  // @ts-ignore: decorator
  @inline export const WindowScale: u32 = 3;
  /** No data (RFC 2018). */
  // @ts-ignore: decorator
  @inline export const SackPermitted: u32 = 4;
  /** Blocks of two sequence numbers, 8 bytes each (RFC 2018). */
  // @ts-ignore: decorator
  @inline export const Sack: u32 = 5;
  /** Value and echo, 4 bytes each (RFC 7323, section 3). */
  // @ts-ignore: decorator
  @inline export const Timestamps: u32 = 8;
}

/**
 * An option of a TCP header (RFC 9293, section 3.1) or an IPv4 header (RFC 791, section 3.1), and the way to the next:
 *
 *   for (let option = packet.tcpOptions; option.isPresent; option = option.next) { ... }
 *
 * Options of one byte that only fill (no operation) are passed over. An option that does not end within its header, or
 * within the window, ends the list. Offsets are in bytes of data, behind kind and length; an access outside the data
 * traps.
 */
@final @unmanaged
export class HeaderOption {
  /** False at the end of the list. */
  get isPresent(): bool { return changetype<usize>(this) != 0; }
  /** Of TCP: see TcpOption. Of IPv4: with the copied flag and the class. */
  get kind(): u32 { return load<u8>(spanBytes(changetype<usize>(this), 0, 1)); }
  /** Offset of the option from the packet's L3 header. */
  get offset(): u32 {
    const span = changetype<usize>(this);
    return <u32>(spanStart(span) - <usize>load<u16>(spanSlot(span), SLOT_HEAD));
  }
  /** Bytes of data. */
  get length(): u32 { return <u32>load<u8>(spanBytes(changetype<usize>(this), 1, 1)) - 2; }
  /** The byte of data at `offset`. */
  u8(offset: u32): u32 { return load<u8>(this.data(offset, 1)); }
  /** The 16-bit number at `offset`. */
  u16(offset: u32): u32 { return bswap(load<u16>(this.data(offset, 2))); }
  /** The 32-bit number at `offset`. */
  u32(offset: u32): u32 { return bswap(load<u32>(this.data(offset, 4))); }
  /** The next option. */
  get next(): HeaderOption { return optionAt(spanBehind(changetype<usize>(this), this.length + 2)); }

  private data(offset: u32, length: u32): usize {
    if (<u64>offset + <u64>length > <u64>this.length) unreachable();
    return spanBytes(changetype<usize>(this), offset + 2, length);
  }
}

/** The first option of this kind that starts in this part of a header. */
export function optionAt(span: usize, kind: u32 = ANY): HeaderOption {
  if (span == 0) return changetype<HeaderOption>(0);
  const start = spanSlot(span) + spanStart(span);
  const found = findOption(start, start + <usize>spanLength(span), kind);
  return changetype<HeaderOption>(found == 0 ? 0 : span + (found - start));
}

/** More than any kind. */
const ANY: u32 = 256;

/** Address of the first option of this kind between two addresses; 0 when there is none. */
export function findOption(start: usize, end: usize, wanted: u32): usize {
  for (let at = start; at < end;) {
    const kind: u32 = load<u8>(at);
    if (kind == 0) break;
    let length: usize = 1;
    if (kind != 1) {
      length = at + 2 > end ? 0 : load<u8>(at, 1);
      if (length < 2 || at + length > end) break;
      if (kind == wanted || wanted == ANY) return at;
    }
    at += length;
  }
  return 0;
}
