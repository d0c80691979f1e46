// Internet checksums (RFC 1071) updated in place (RFC 1624, equation 3).
// Sums are taken over 16-bit words as they lie in memory: a ones' complement sum does not depend on the byte order.

/** Folds a sum of 16- or 32-bit words to 16 bits: 0 for 0, else 1 to 0xffff. */
// @ts-ignore: decorator
@inline export function fold(sum: u64): u32 {
  // Added to itself with halves exchanged, the upper half is the sum of both with the lower one's carry.
  return fold32(<u32>((sum + rotl(sum, 32)) >>> 32));
}

/** The same of a sum of 32 bits. */
// @ts-ignore: decorator
@inline export function fold32(sum: u32): u32 { return (sum + rotl(sum, 16)) >>> 16; }

/** A sum of 34 bits at most, in 19 bits: a few of them may be added up before they are folded. */
// @ts-ignore: decorator
@inline export function lessened(sum: u64): u32 { return (<u32>sum & 0xffff) + <u32>(sum >>> 16); }

/** The sum of two folded sums, folded. */
// @ts-ignore: decorator
@inline export function addFolded(a: u32, b: u32): u32 {
  const sum = a + b;
  return (sum & 0xffff) + (sum >>> 16);
}

// What replacing `from` by `to` adds to a sum, not folded: a few of them may be added up. Words as loaded from memory.

// @ts-ignore: decorator
@inline export function change16(from: u32, to: u32): u64 { return <u64>(from ^ 0xffff) + <u64>to; }

// @ts-ignore: decorator
@inline export function change32(from: u32, to: u32): u64 { return <u64>(~from) + <u64>to; }

/** The same, folded. */
// @ts-ignore: decorator
@inline export function delta16(from: u32, to: u32): u32 { return addFolded(from ^ 0xffff, to); }

// @ts-ignore: decorator
@inline export function delta32(from: u32, to: u32): u32 { return fold(change32(from, to)); }

/** `from` and `to` are addresses of 16 bytes. */
// @ts-ignore: decorator
@inline export function delta128(from: usize, to: usize): u32 {
  const first = delta32(load<u32>(from), load<u32>(to)) + delta32(load<u32>(from, 4), load<u32>(to, 4));
  const second = delta32(load<u32>(from, 8), load<u32>(to, 8)) + delta32(load<u32>(from, 12), load<u32>(to, 12));
  return fold(<u64>first + <u64>second);
}

// `delta`: what was added to the sum.

/** Updates the complemented checksum at `field`. */
// @ts-ignore: decorator
@inline export function adjust(field: usize, delta: u64): void {
  store<u16>(field, ~fold(<u64>(<u32>load<u16>(field) ^ 0xffff) + delta));
}

/** UDP: zero means no checksum and stays; a result of zero is written as 0xffff (RFC 768). */
// @ts-ignore: decorator
@inline export function adjustUdp(field: usize, delta: u64): void {
  const before: u32 = load<u16>(field);
  if (before == 0) return;
  const sum = fold(<u64>(before ^ 0xffff) + delta);
  store<u16>(field, sum == 0xffff ? 0xffff : ~sum);
}

/**
 * Sum of the 16-bit words of `length` bytes (at most 65536), unfolded; an odd last byte counts as if a zero followed.
 */
export function sumOf(start: usize, length: u32): u64 {
  let sum: u64 = 0;
  let at = start;
  const end = start + <usize>length;
  for (; at + 8 <= end; at += 8) {
    const word = load<u64>(at);
    sum += (word & 0xffffffff) + (word >>> 32);
  }
  for (; at + 2 <= end; at += 2) sum += load<u16>(at);
  if (at < end) sum += load<u8>(at);
  return sum;
}

/**
 * The complemented checksum (RFC 1071) of `length` bytes (at most 65536) at address `start`, to be stored as it is. For
 * headers that a stage makes itself.
 */
export function checksum(start: usize, length: i32): u16 { return <u16>(fold(sumOf(start, length)) ^ 0xffff); }
