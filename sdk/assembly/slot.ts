import { bswap } from "./byteorder";
import {
  Flag, SLOT_FAMILY, SLOT_FLAGS, SLOT_HEAD, SLOT_HEADROOM_OFFSET, SLOT_HEAD_LENGTH, SLOT_HEAD_OFFSET, SLOT_L4_OFFSET, SLOT_PACKET_LENGTH,
  SLOT_PAYLOAD_OFFSET
} from "./generated/abi";

/**
 * The bytes of a packet in its slot of the burst window. Offsets are in bytes from the packet's first byte, its L3
 * header. An access outside the window's part of the packet traps.
 */
@unmanaged
export class PacketBytes {
  /** Length of the whole packet from its L3 header; more than `viewLength` when its end is not in the window. */
  // @ts-ignore: decorator
  @inline get length(): u32 { return load<u32>(changetype<usize>(this), SLOT_PACKET_LENGTH); }
  /** Bytes of the packet in the window. */
  // @ts-ignore: decorator
  @inline get viewLength(): u32 { return load<u16>(changetype<usize>(this), SLOT_HEAD_LENGTH); }
  /** Offset of the L4 header; 0 when it is absent or not in the window. */
  // @ts-ignore: decorator
  @inline get l4Offset(): u32 { return load<u16>(changetype<usize>(this), SLOT_L4_OFFSET); }
  /** Offset of the L4 payload; 0 when unknown. */
  // @ts-ignore: decorator
  @inline get payloadOffset(): u32 { return load<u16>(changetype<usize>(this), SLOT_PAYLOAD_OFFSET); }

  /** A view of class `T` at `offset`. */
  // @ts-ignore: decorator
  @inline view<T>(offset: u32): T {
    return changetype<T>(this.bytes(offset, <u32>offsetof<T>()));
  }
  /** Address of `length` bytes at `offset`, all within the window's part of the packet. */
  // @ts-ignore: decorator
  @inline bytes(offset: u32, length: u32): usize {
    if (<u64>offset + <u64>length > <u64>this.viewLength) unreachable();
    return this.head + <usize>offset;
  }
  /** The byte at `offset`. */
  // @ts-ignore: decorator
  @inline u8At(offset: u32): u32 { return load<u8>(this.bytes(offset, 1)); }
  /** The 16-bit number at `offset`, in network byte order there. */
  // @ts-ignore: decorator
  @inline u16At(offset: u32): u32 { return bswap(load<u16>(this.bytes(offset, 2))); }
  /** The 32-bit number at `offset`, in network byte order there. */
  // @ts-ignore: decorator
  @inline u32At(offset: u32): u32 { return bswap(load<u32>(this.bytes(offset, 4))); }
  /** Stores a byte; no checksum is touched: for pushed headers. `patch8` keeps checksums right. */
  // @ts-ignore: decorator
  @inline setU8At(offset: u32, value: u32): void {
    store<u8>(this.bytes(offset, 1), value);
    this.markWritten();
  }
  /** Stores a 16-bit number in network byte order; no checksum is touched: for pushed headers. */
  // @ts-ignore: decorator
  @inline setU16At(offset: u32, value: u32): void {
    store<u16>(this.bytes(offset, 2), bswap(<u16>value));
    this.markWritten();
  }
  /** Stores a 32-bit number in network byte order; no checksum is touched: for pushed headers. */
  // @ts-ignore: decorator
  @inline setU32At(offset: u32, value: u32): void {
    store<u32>(this.bytes(offset, 4), bswap(value));
    this.markWritten();
  }
  /** Says that header bytes were changed through a view. The packet's own calls do it themselves. */
  markWritten(): void {
    const slot = changetype<usize>(this);
    store<u16>(slot, load<u16>(slot, SLOT_FLAGS) | Flag.WRITTEN, SLOT_FLAGS);
  }

  /** Makes room for `length` bytes before the packet, all zero; false when the slot's headroom is too small. */
  push(length: u32): bool {
    const head: u32 = load<u16>(changetype<usize>(this), SLOT_HEAD);
    if (length > head - <u32>SLOT_HEADROOM_OFFSET) return false;
    const end = this.head;
    let at = end - <usize>length;
    for (; at + 8 <= end; at += 8) store<u64>(at, 0);
    for (; at < end; at++) store<u8>(at, 0);
    this.reframe(head - length, <i32>length);
    return true;
  }
  /** Takes `length` bytes off the packet's start; false when fewer, or no more, are in the window. */
  pop(length: u32): bool {
    if (length >= this.viewLength) return false;
    this.reframe(<u32>load<u16>(changetype<usize>(this), SLOT_HEAD) + length, -<i32>length);
    return true;
  }

  /** Address of the packet's first byte. */
  // @ts-ignore: decorator
  @inline get head(): usize {
    return changetype<usize>(this) + this.headOffset;
  }
  /** Offset of the packet's first byte in its slot. */
  // @ts-ignore: decorator
  @inline get headOffset(): usize { return load<u16>(changetype<usize>(this), SLOT_HEAD); }
  /** Address of the L3 header as the host put it; meaningless without a family, which `push` and `pop` take away. */
  // @ts-ignore: decorator
  @inline get l3(): usize { return changetype<usize>(this) + SLOT_HEAD_OFFSET; }
  /** Address of the L4 header; meaningless without `hasL4`. */
  // @ts-ignore: decorator
  @inline get l4(): usize { return changetype<usize>(this) + <usize>this.l4Offset + SLOT_HEAD_OFFSET; }
  /** True when one of these flags is set; see Flag. */
  // @ts-ignore: decorator
  @inline hasFlag(flag: i32): bool { return (load<u16>(changetype<usize>(this), SLOT_FLAGS) & flag) != 0; }

  private reframe(head: u32, longer: i32): void {
    const slot = changetype<usize>(this);
    store<u16>(slot, head, SLOT_HEAD);
    store<u16>(slot, this.viewLength + longer, SLOT_HEAD_LENGTH);
    store<u32>(slot, this.length + longer, SLOT_PACKET_LENGTH);
    // What the host found no longer holds: nothing may be read through it.
    store<u16>(slot, 0, SLOT_FAMILY); // and PROTOCOL
    store<u64>(slot, 0, SLOT_L4_OFFSET); // and PAYLOAD_OFFSET, INNER_L3_OFFSET, INNER_L4_OFFSET
    this.markWritten();
  }
}
