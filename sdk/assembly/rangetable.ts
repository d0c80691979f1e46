import { Ipv6Address } from "./headers";
import { appendItem, makeTable, segmentBase, tableAddress } from "./segment";

// Header: two lists of boundaries, of numbers and of IPv6 addresses: u32 items, u32 capacity, u32 offset from the
// segment's base, u32 spare. Boundary, 24 bytes: u64 high, u64 low, u32 value, u32 1 where there is one: what holds
// from this key on up to the next boundary. In ascending order of the keys; a number is a key with high 0.
const LIST: u32 = 16;
const STRIDE: usize = 24;

/**
 * Values of ranges, in the config segment: of numbers (ports, IPv4 addresses, lengths) and of IPv6 addresses; values
 * are u32. Declared at a file's top level: `const zones = new RangeTable("zones")`. Where ranges overlap, the one that
 * was added last holds. A lookup is a search among at most 2 boundaries for each range. To add in ascending order is
 * quick; in another order each add moves what is above, which is for some ten thousand ranges. A range takes up to 96
 * bytes of the segment.
 */
@unmanaged
export class RangeTable {
  constructor(name: string) { unreachable(); }

  /** Value of the range that holds the number, or `missing`. */
  lookup(key: u64, missing: u32 = 0): u32 {
    const table = tableAddress(changetype<usize>(this));
    return table == 0 ? missing : lookup(table, 0, key, missing);
  }
  /** Value of the range that holds the address, or `missing`. */
  lookup6(key: Ipv6Address, missing: u32 = 0): u32 {
    const table = tableAddress(changetype<usize>(this));
    return table == 0 ? missing : lookup(table + LIST, key.high, key.low, missing);
  }
  /**
   * Configure only: sets the value of all numbers from `first` to `last`, both included. False when `last` is below
   * `first`, or the segment is too small; configure then ends with TOO_LARGE.
   */
  add(first: u64, last: u64, value: u32): bool {
    const table = makeTable(changetype<usize>(this), LIST * 2);
    return table != 0 && first <= last && assign(table, 0, first, 0, last, value, last == u64.MAX_VALUE);
  }
  /** Configure only: as `add`, for addresses. */
  add6(first: Ipv6Address, last: Ipv6Address, value: u32): bool {
    const table = makeTable(changetype<usize>(this), LIST * 2);
    const isOrdered = first.high < last.high || first.high == last.high && first.low <= last.low;
    if (table == 0 || !isOrdered) return false;
    const isToEnd = last.high == u64.MAX_VALUE && last.low == u64.MAX_VALUE;
    return assign(table + LIST, first.high, first.low, last.high, last.low, value, isToEnd);
  }
}

// @ts-ignore: decorator
@inline function boundary(list: usize, index: u32): usize {
  return segmentBase() + <usize>load<u32>(list, 8) + <usize>index * STRIDE;
}

/** Number of boundaries that are not above the key. */
function upTo(list: usize, high: u64, low: u64): u32 {
  let from: u32 = 0;
  let to = load<u32>(list);
  while (from < to) {
    const middle = from + to >>> 1;
    const at = boundary(list, middle);
    const found = load<u64>(at);
    if (found < high || found == high && load<u64>(at, 8) <= low) from = middle + 1;
    else to = middle;
  }
  return from;
}

function lookup(list: usize, high: u64, low: u64, missing: u32): u32 {
  const next = upTo(list, high, low);
  if (next == 0) return missing;
  const at = boundary(list, next - 1);
  return load<u32>(at, 20) != 0 ? load<u32>(at, 16) : missing;
}

function assign(list: usize, high: u64, low: u64, lastHigh: u64, lastLow: u64, value: u32, isToEnd: bool): bool {
  // What holds behind the range stays so.
  const behind = upTo(list, lastHigh, lastLow);
  const before = behind == 0 ? 0 : boundary(list, behind - 1);
  const oldValue: u32 = before == 0 ? 0 : load<u32>(before, 16);
  const oldPresent: u32 = before == 0 ? 0 : load<u32>(before, 20);
  const nextLow = lastLow + 1;
  const nextHigh = lastHigh + <u64>(nextLow == 0);
  const hasNext = !isToEnd && !isAt(list, behind, nextHigh, nextLow);
  let first = upTo(list, high, low);
  if (first > 0 && isAt(list, first - 1, high, low)) first--;
  if (!replace(list, first, behind, hasNext ? 2 : 1)) return false;
  write(boundary(list, first), high, low, value, 1);
  if (hasNext) write(boundary(list, first + 1), nextHigh, nextLow, oldValue, oldPresent);
  return true;
}

/** True when there is a boundary of this index, and it is at this key. */
function isAt(list: usize, index: u32, high: u64, low: u64): bool {
  if (index >= load<u32>(list)) return false;
  const at = boundary(list, index);
  return load<u64>(at) == high && load<u64>(at, 8) == low;
}

/** Puts `count` boundaries in the place of those from `from` to before `to`. */
function replace(list: usize, from: u32, to: u32, count: u32): bool {
  const size = load<u32>(list);
  while (load<u32>(list) + to - from < size + count) if (appendItem(list, STRIDE) == 0) return false;
  memory.copy(boundary(list, from + count), boundary(list, to), <usize>(size - to) * STRIDE);
  store<u32>(list, size + from + count - to);
  return true;
}

// @ts-ignore: decorator
@inline function write(at: usize, high: u64, low: u64, value: u32, isPresent: u32): void {
  store<u64>(at, high);
  store<u64>(at, low, 8);
  store<u32>(at, value, 16);
  store<u32>(at, isPresent, 20);
}
