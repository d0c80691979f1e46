import { growList, makeTable, segmentBase, tableAddress } from "./segment";

// Header, 16 bytes: a list of u64 words as `appendItem` has it. The word of a number is at number >>> 6.
const HEADER: u32 = 16;
const MAX_BITS: u32 = 1 << 28;

/**
 * A set of small numbers, such as ports or VLANs, in the config segment, one bit each: `const open = new
 * BitmapTable("open")` at a file's top level. A lookup is one load. It takes an eighth of a byte of the segment for
 * each number up to the largest, and as much again for having grown; `reserve` saves that.
 */
@unmanaged
export class BitmapTable {
  constructor(name: string) { unreachable(); }

  /** True when the number is in the set. */
  // @ts-ignore: decorator
  @inline has(number: u32): bool {
    const table = tableAddress(changetype<usize>(this));
    if (table == 0 || number >>> 6 >= load<u32>(table)) return false;
    const word = segmentBase() + <usize>load<u32>(table, 8) + (<usize>(number >>> 6) << 3);
    return (load<u64>(word) >>> (number & 63) & 1) != 0;
  }

  /** Configure only: adds a number below 2^28. False when it is not, or the segment is too small. */
  add(number: u32): bool { return this.addRange(number, number); }
  /** Configure only: adds the numbers from `first` to `last`, both included; none when `last` is below `first`. */
  addRange(first: u32, last: u32): bool {
    if (last < first) return true;
    if (!this.reserve(last)) return false;
    const table = tableAddress(changetype<usize>(this));
    for (let number = first; number <= last; number++) {
      const word = segmentBase() + <usize>load<u32>(table, 8) + (<usize>(number >>> 6) << 3);
      store<u64>(word, load<u64>(word) | <u64>1 << (number & 63));
    }
    return true;
  }
  /**
   * Configure only: makes room for numbers up to `largest`. False when it is not below 2^28, or the segment is too
   * small.
   */
  reserve(largest: u32): bool {
    const table = makeTable(changetype<usize>(this), HEADER);
    if (table == 0 || largest >= MAX_BITS) return false;
    const words = (largest >>> 6) + 1;
    const present = load<u32>(table);
    if (words <= present) return true;
    if (!growList(table, 8, present == 0 ? words : max<u32>(words, present * 2))) return false;
    store<u32>(table, words);
    return true;
  }
}
