// A packet's bytes beyond the window, copied by the host to the PAYLOAD region. There is one region, so each read makes
// the one before it stale: a Payload is the number of its read, and is held against the number of the last one.

import { bswap } from "./byteorder";
import { PAYLOAD_BASE, read_payload } from "./generated/abi";
import { addCharacter, lowerCase, mix, TEXT_SEED } from "./hash";
import { Packet } from "./packet";

let reads: u32 = 0;
let size: u32 = 0;

/** Has `length` bytes copied from `offset`, in bytes from the L3 header. */
export function readPayload(packet: Packet, offset: u32, length: u32): Payload {
  size = read_payload(<i32>changetype<usize>(packet), offset, length);
  if (++reads == 0) reads = 1;
  return changetype<Payload>(<usize>reads);
}

/** A Payload of no bytes. */
export function noPayload(): Payload {
  size = 0;
  if (++reads == 0) reads = 1;
  return changetype<Payload>(<usize>reads);
}

/**
 * Bytes of a packet as they were before this call of the hook, made by `packet.readPayload` or `packet.readBytes`, and
 * good until the next of these. Offsets are in bytes from the first byte read; numbers are read in network byte order.
 * An access that is not wholly within `length` traps, as does any access to a Payload after another read.
 */
@final @unmanaged
export class Payload {
  /** Bytes that were read: fewer than asked for at the packet's end. */
  // @ts-ignore: decorator
  @inline get length(): u32 { return this.isCurrent ? size : this.stale(); }

  /** Address of `length` bytes at `offset`. */
  // @ts-ignore: decorator
  @inline bytes(offset: u32, length: u32): usize {
    if (!this.isCurrent || <u64>offset + <u64>length > <u64>size) unreachable();
    return PAYLOAD_BASE + <usize>offset;
  }
  /** A view of class `T` at `offset`. */
  // @ts-ignore: decorator
  @inline view<T>(offset: u32): T { return changetype<T>(this.bytes(offset, <u32>offsetof<T>())); }
  /** The byte at `offset`. */
  // @ts-ignore: decorator
  @inline u8(offset: u32): u32 { return load<u8>(this.bytes(offset, 1)); }
  /** The 16-bit number at `offset`. */
  // @ts-ignore: decorator
  @inline u16(offset: u32): u32 { return bswap(load<u16>(this.bytes(offset, 2))); }
  /** The 32-bit number at `offset`. */
  // @ts-ignore: decorator
  @inline u32(offset: u32): u32 { return bswap(load<u32>(this.bytes(offset, 4))); }
  /** The 64-bit number at `offset`. */
  // @ts-ignore: decorator
  @inline u64(offset: u32): u64 { return bswap(load<u64>(this.bytes(offset, 8))); }

  /** True when the bytes at `offset` are `text` (ASCII); false when they end before. */
  matches(offset: u32, text: string): bool {
    if (!this.has(offset, text.length)) return false;
    const at = this.bytes(offset, text.length);
    for (let i = 0, n = text.length; i < n; i++) if (<i32>load<u8>(at + i) != text.charCodeAt(i)) return false;
    return true;
  }
  /** As `matches`, whatever the case of the letters A to Z is on both sides. */
  matchesIgnoringCase(offset: u32, text: string): bool {
    if (!this.has(offset, text.length)) return false;
    const at = this.bytes(offset, text.length);
    for (let i = 0, n = text.length; i < n; i++) {
      if (lowerCase(load<u8>(at + i)) != lowerCase(text.charCodeAt(i))) return false;
    }
    return true;
  }
  /** Offset of the first byte of this value at or behind `from`; -1 when there is none. */
  findByte(byte: u32, from: u32 = 0): i32 {
    const n = this.length;
    for (let i = from; i < n; i++) if (<u32>load<u8>(PAYLOAD_BASE + <usize>i) == byte) return i;
    return -1;
  }
  /** Offset of the first place at or behind `from` where `text` (ASCII, not empty) stands; -1 when there is none. */
  find(text: string, from: u32 = 0): i32 {
    const first: u32 = text.charCodeAt(0);
    for (let at = this.findByte(first, from); at >= 0; at = this.findByte(first, at + 1)) {
      if (this.matches(at, text)) return at;
    }
    return -1;
  }
  /** As `find`, whatever the case of the letters A to Z is on both sides. */
  findIgnoringCase(text: string, from: u32 = 0): i32 {
    const n = this.length;
    for (let i = from; i < n; i++) if (this.matchesIgnoringCase(i, text)) return i;
    return -1;
  }
  /** The number that the decimal digits at `offset` make; -1 when there is none, or it has more than 9 digits. */
  decimal(offset: u32): i32 {
    const n = this.length;
    let value = 0;
    let i = offset;
    for (; i < n; i++) {
      const digit = <u32>load<u8>(PAYLOAD_BASE + <usize>i) - 0x30;
      if (digit > 9) break;
      if (i - offset == 9) return -1;
      value = value * 10 + digit;
    }
    return i > offset ? value : -1;
  }
  /** What `hashText` makes of the same text: for lookups of names in a HashTable<u64, V>. */
  hashText(offset: u32, length: u32): u64 {
    const at = this.bytes(offset, length);
    let hash: u64 = TEXT_SEED;
    for (let i: usize = 0; i < <usize>length; i++) hash = addCharacter(hash, load<u8>(at + i));
    return mix(hash);
  }

  // @ts-ignore: decorator
  @inline private has(offset: u32, length: i32): bool { return <u64>offset + <u64>length <= <u64>this.length; }
  // @ts-ignore: decorator
  @inline private get isCurrent(): bool { return <u32>changetype<usize>(this) == reads; }
  private stale(): u32 { return unreachable(); }
}
