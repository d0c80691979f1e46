/** Mixes all bits of `value` into all bits of the result. */
// @ts-ignore: decorator
@inline export function mix(value: u64): u64 {
  value = (value ^ (value >>> 32)) * 0xd6e8feb86659fd93;
  value = (value ^ (value >>> 32)) * 0xd6e8feb86659fd93;
  return value ^ (value >>> 32);
}

/** A hash of two words; depends on their order. */
// @ts-ignore: decorator
@inline export function mixPair(first: u64, second: u64): u64 { return mix(mix(first) + 0x9e3779b97f4a7c15 + second); }

/** A hash of two words; the same for both orders, as for the two ends of a flow. */
// @ts-ignore: decorator
@inline export function mixSymmetric(first: u64, second: u64): u64 {
  return mix((first + second) ^ mix(first ^ second));
}

/** Maps a hash evenly to 0 .. count - 1. */
// @ts-ignore: decorator
@inline export function reduce(hash: u64, count: u32): u32 { return <u32>(((hash >>> 32) * <u64>count) >>> 32); }

/**
 * Consistent hashing without a table (Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm"): when the
 * last of `count` buckets goes or one is appended, only that bucket's share moves. 0 when `count` is 0.
 */
export function jumpHash(key: u64, count: u32): u32 {
  let bucket: i64 = -1;
  let next: i64 = 0;
  while (next < <i64>count) {
    bucket = next;
    key = key * 2862933555777941757 + 1;
    next = <i64>(<f64>(bucket + 1) * (2147483648.0 / <f64>((key >>> 33) + 1)));
  }
  return bucket < 0 ? 0 : <u32>bucket;
}

/** A to Z as a to z; other characters as they are. */
// @ts-ignore: decorator
@inline export function lowerCase(character: u32): u32 { return character - 0x41 < 26 ? character | 0x20 : character; }

// FNV-1a's step (Fowler, Noll, Vo), by character without case.
// @ts-ignore: decorator
@inline export const TEXT_SEED: u64 = 0xcbf29ce484222325;
// @ts-ignore: decorator
@inline export function addCharacter(hash: u64, character: u32): u64 {
  return (hash ^ <u64>lowerCase(character)) * 0x100000001b3;
}

/**
 * A hash of an ASCII text, the same for upper and lower case; what `Payload.hashText` makes of the same bytes. Two
 * texts can have one hash, which nobody meets by chance, but who knows this function can make such texts.
 */
export function hashText(text: string): u64 {
  let hash: u64 = TEXT_SEED;
  for (let i = 0, n = text.length; i < n; i++) hash = addCharacter(hash, text.charCodeAt(i));
  return mix(hash);
}
