// A part of a packet whose length is not fixed, as one number, so that a view of it needs no memory and still knows its
// end:
//
//   bits 31-20 the slot's address from WINDOW_BASE, in units of 64 bytes
//   bits 19-10 where the part ends, in bytes from the slot
//   bits  9-0  where it starts
//
// 0 is no part.

import { WINDOW_BASE } from "../generated/abi";

/** The part of a slot from `start` to `end`, both offsets from the slot. */
// @ts-ignore: decorator
@inline export function spanOf(slot: usize, start: usize, end: usize): usize {
  return slot - WINDOW_BASE << 14 | end << 10 | start;
}
/** Address of its slot. */
// @ts-ignore: decorator
@inline export function spanSlot(span: usize): usize { return WINDOW_BASE + (span >>> 20 << 6); }
/** Offset in the slot. */
// @ts-ignore: decorator
@inline export function spanStart(span: usize): usize { return span & 1023; }
/** Bytes from its start to its end. */
// @ts-ignore: decorator
@inline export function spanLength(span: usize): u32 { return <u32>((span >>> 10 & 1023) - (span & 1023)); }
/** Address of `length` bytes at `offset`. Traps when they are not all within it. */
// @ts-ignore: decorator
@inline export function spanBytes(span: usize, offset: u32, length: u32): usize {
  if (<u64>offset + <u64>length > <u64>spanLength(span)) unreachable();
  return spanSlot(span) + spanStart(span) + <usize>offset;
}
/** What is left of it behind its first `length` bytes; nothing when it has fewer. */
// @ts-ignore: decorator
@inline export function spanBehind(span: usize, length: u32): usize {
  return length < spanLength(span) ? span + <usize>length : 0;
}
