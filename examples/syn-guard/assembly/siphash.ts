// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) of 40 bytes: addresses, ports and a number.
// Who sees many of its values cannot tell the next one, as with a plain hash.

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

// @ts-ignore: decorator
@inline function round(): void {
  v0 += v1;
  v1 = rotl(v1, 13) ^ v0;
  v0 = rotl(v0, 32);
  v2 += v3;
  v3 = rotl(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl(v1, 17) ^ v2;
  v2 = rotl(v2, 32);
}

/** Starts a hash under a key of two words, each as loaded from memory. */
export function sipStart(key0: u64, key1: u64): void {
  v0 = key0 ^ 0x736f6d6570736575;
  v1 = key1 ^ 0x646f72616e646f6d;
  v2 = key0 ^ 0x6c7967656e657261;
  v3 = key1 ^ 0x7465646279746573;
}
/** Takes in 8 bytes, as loaded from memory. */
export function sipWord(word: u64): void {
  v3 ^= word;
  round();
  round();
  v0 ^= word;
}
/** The hash of the `length` bytes taken in, a multiple of 8. */
export function sipEnd(length: u64): u64 {
  sipWord(length << 56);
  v2 ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}
