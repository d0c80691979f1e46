import { mixPair } from "./hash";
import { hashOf } from "./hashtable";
import { takePrivate } from "./private";

// Header, 8 bytes: u32 width - 1, u32 depth. Then u32[depth][width].

/**
 * Counts many keys in little memory, never too low (Cormode and Muthukrishnan's count-min sketch, with conservative
 * update): `const heavy = new CountMinSketch<u32>(4096, 4)` at a file's top level. With N the sum of all that was
 * added, a key's estimate is too high by more than 2.72 * N / width with a probability of less than 0.37 ^ depth. Keys
 * are numbers, or unmanaged classes without padding. Counts stop at 2^32 - 1. It never fills: estimates get worse as N
 * grows, so `halve` or `clear` it from time to time, as with an Interval.
 *
 * Memory, at module start: 4 * width * depth bytes; all of a stage's own tables share 8 MiB. Each worker has its own,
 * and it lives as long as the instance.
 */
@final @unmanaged
export class CountMinSketch<K> {
  /** `width` is rounded up to a power of two; `depth` is 1 to 8. */
  constructor(width: u32, depth: u32) {
    let columns: u32 = 2;
    while (columns < width && columns < 0x1000000) columns <<= 1;
    const rows = min<u32>(max<u32>(depth, 1), 8);
    const made = takePrivate(8 + (<u64>columns * <u64>rows << 2));
    store<u32>(made, columns - 1);
    store<u32>(made, rows, 4);
    return changetype<CountMinSketch<K>>(made);
  }

  /** Adds `amount` to the key; returns its estimate. */
  add(key: K, amount: u32 = 1): u32 {
    const hash = hashOf<K>(key);
    const before = this.least(hash);
    const after = before + amount < before ? u32.MAX_VALUE : before + amount;
    for (let row: u32 = 0, n = this.depth; row < n; row++) {
      const at = this.cell(hash, row);
      if (load<u32>(at) < after) store<u32>(at, after);
    }
    return after;
  }
  /** What was added to the key, or more. */
  estimate(key: K): u32 { return this.least(hashOf<K>(key)); }

  /** Halves every count: what is older weighs less. Costs time for each of the width * depth counts. */
  halve(): void {
    for (let at = this.cells, end = this.end; at < end; at += 8) {
      store<u64>(at, load<u64>(at) >>> 1 & 0x7fffffff7fffffff);
    }
  }
  /** Forgets everything. Costs time for each of the width * depth counts. */
  clear(): void {
    for (let at = this.cells, end = this.end; at < end; at += 8) store<u64>(at, 0);
  }

  // @ts-ignore: decorator
  @inline private get mask(): u32 { return load<u32>(changetype<usize>(this)); }
  // @ts-ignore: decorator
  @inline private get depth(): u32 { return load<u32>(changetype<usize>(this), 4); }
  // @ts-ignore: decorator
  @inline private get cells(): usize { return changetype<usize>(this) + 8; }
  // @ts-ignore: decorator
  @inline private get end(): usize { return this.cells + (<usize>(this.mask + 1) * <usize>this.depth << 2); }
  // @ts-ignore: decorator
  @inline private cell(hash: u64, row: u32): usize {
    const mask = this.mask;
    const column = <u32>mixPair(hash, row) & mask;
    return this.cells + (<usize>(row * (mask + 1) + column) << 2);
  }
  private least(hash: u64): u32 {
    let least = u32.MAX_VALUE;
    for (let row: u32 = 0, n = this.depth; row < n; row++) least = min<u32>(least, load<u32>(this.cell(hash, row)));
    return least;
  }
}
