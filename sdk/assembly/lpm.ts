import { Ipv6Address } from "./headers";
import { Prefix } from "./json";
import { allocateOffset, appendItem, finishLater, growList, makeTable, segmentBase, tableAddress } from "./segment";

// Prefixes are collected while the configuration is read, then turned into boundaries: the addresses where another
// prefix, or none, becomes the longest. A lookup is a search for the last boundary that is not above the address. An
// index by the address's leading bits, counted from the first boundary, leaves few of them to search.
//
// Header: two halves, of IPv4 and of IPv6, 56 bytes each:
//   0  u32 prefixes, u32 capacity, u32 offset of them (offsets are from the segment's base)
//   12 u32 boundaries; 0: nothing to find
//   16 u32 offset of the boundaries' keys: u32 in host order, or u64[2] in host order
//   20 u32 offset of their values: u64, the value | 1 << 32 where there is one
//   24 u32 shift from a key's distance to its place in the index, 28 u32 last place
//   32 u32 offset of the index: u32 each, the first boundary at that place or behind
//   40 u64 the first boundary's key; of IPv6 its high half
// Prefix, 24 bytes: u64 high, u64 low (an IPv4 address is the high half's high half), u32 length << 24 | order, u32
// value.
const HALF: u32 = 56;
const COUNT: usize = 12;
const KEYS: usize = 16;
const VALUES: usize = 20;
const SHIFT: usize = 24;
const LAST: usize = 28;
const INDEX: usize = 32;
const FIRST: usize = 40;
const PREFIX: usize = 24;
const MAX_PREFIXES: u32 = 1 << 24;
const MAX_PLACES: u32 = 65536;
const PRESENT: u64 = 1 << 32;

/**
 * Longest prefix match over IPv4 and IPv6 in the config segment; values are u32. Declared at a file's top level: `const
 * denied = new LpmTable("denied")`. Prefixes are added in configure. A lookup on the packet path looks at few of them,
 * also of 100,000; within configure it looks at each. A prefix takes up to 90 bytes of the
 * segment, 60 when room was made by `reserve4` or `reserve6`.
 */
@unmanaged
export class LpmTable {
  constructor(name: string) { unreachable(); }

  /** Value of the longest prefix that holds the IPv4 address (host order), or `missing`. */
  lookup4(address: u32, missing: u32 = 0): u32 {
    const half = tableAddress(changetype<usize>(this));
    if (half == 0) return missing;
    if (load<u32>(half, COUNT) == 0) return scan(half, <u64>address << 32, 0, missing);
    const first = <u32>load<u64>(half, FIRST);
    if (address < first) return missing;
    const base = segmentBase();
    const keys = base + <usize>load<u32>(half, KEYS);
    const place = address - first >>> load<u32>(half, SHIFT);
    let from = startAt(half, base, place);
    let to = endAt(half, base, place);
    while (from < to) {
      const middle = from + to >>> 1;
      if (load<u32>(keys + (<usize>middle << 2)) <= address) from = middle + 1;
      else to = middle;
    }
    return valueAt(half, base, from, missing);
  }
  /** Value of the longest prefix that holds the IPv6 address, or `missing`. */
  lookup6(address: Ipv6Address, missing: u32 = 0): u32 {
    const table = tableAddress(changetype<usize>(this));
    if (table == 0) return missing;
    const half = table + HALF;
    const high = address.high;
    if (load<u32>(half, COUNT) == 0) return scan(half, high, address.low, missing);
    const first = load<u64>(half, FIRST);
    if (high < first) return missing;
    const base = segmentBase();
    const keys = base + <usize>load<u32>(half, KEYS);
    const place = <u32>min<u64>(high - first >>> <u64>load<u32>(half, SHIFT), u32.MAX_VALUE);
    let from = startAt(half, base, place);
    let to = endAt(half, base, place);
    while (from < to) {
      const middle = from + to >>> 1;
      const key = keys + (<usize>middle << 4);
      const found = load<u64>(key);
      if (found < high || found == high && load<u64>(key, 8) <= address.low) from = middle + 1;
      else to = middle;
    }
    return valueAt(half, base, from, missing);
  }

  /** Configure only: sets the value of a prefix of either family; true when that was done. As `add4` otherwise. */
  add(prefix: Prefix, value: u32): bool {
    if (prefix.family == 4) return this.add4(prefix.address4, prefix.length, value);
    return prefix.family == 6 && this.add6(prefix.address6, prefix.length, value);
  }
  /**
   * Configure only: sets the value of a prefix; bits behind `length` are ignored. Of a prefix that is added twice the
   * last value stays. False when `length` is above 32, or the segment is too small; configure then ends with TOO_LARGE.
   */
  add4(address: u32, length: u32, value: u32): bool {
    if (length > 32) return false;
    return add(changetype<usize>(this), 0, <u64>address << 32 & mask64(length), 0, length, value);
  }
  /** Configure only: as `add4`, with `length` up to 128. */
  add6(address: Ipv6Address, length: u32, value: u32): bool {
    if (length > 128) return false;
    const low = address.low & mask64(<i32>length - 64);
    return add(changetype<usize>(this), HALF, address.high & mask64(length), low, length, value);
  }
  /**
   * Configure only: makes room for so many IPv4 prefixes at once; without it the table grows by doubling, and wastes as
   * much.
   */
  reserve4(prefixes: u32): void { reserve(changetype<usize>(this), 0, prefixes); }
  /** Configure only: as `reserve4`, for IPv6. */
  reserve6(prefixes: u32): void { reserve(changetype<usize>(this), HALF, prefixes); }
}

// @ts-ignore: decorator
@inline function startAt(half: usize, base: usize, place: u32): u32 {
  if (place > load<u32>(half, LAST)) return load<u32>(half, COUNT);
  return load<u32>(base + <usize>load<u32>(half, INDEX) + (<usize>place << 2));
}
// @ts-ignore: decorator
@inline function endAt(half: usize, base: usize, place: u32): u32 {
  if (place >= load<u32>(half, LAST)) return load<u32>(half, COUNT);
  return load<u32>(base + <usize>load<u32>(half, INDEX) + (<usize>place << 2), 4);
}
/** Value behind the boundary before `next`. */
// @ts-ignore: decorator
@inline function valueAt(half: usize, base: usize, next: u32, missing: u32): u32 {
  if (next == 0) return missing;
  const value = load<u64>(base + <usize>load<u32>(half, VALUES) + (<usize>(next - 1) << 3));
  return (value & PRESENT) == 0 ? missing : <u32>value;
}
// @ts-ignore: decorator
@inline function mask64(length: i32): u64 {
  return length <= 0 ? 0 : length >= 64 ? u64.MAX_VALUE : u64.MAX_VALUE << (64 - <u64>length);
}

/** While the configuration is read: the longest of the prefixes so far, and of equal ones the last. */
function scan(half: usize, high: u64, low: u64, missing: u32): u32 {
  let found = missing;
  let longest: u32 = 0;
  let prefix = segmentBase() + <usize>load<u32>(half, 8);
  for (let i = load<u32>(half); i > 0; i--, prefix += PREFIX) {
    const length = load<u32>(prefix, 16) >>> 24;
    if (length < longest || (load<u64>(prefix) ^ high) & mask64(length)) continue;
    if ((load<u64>(prefix, 8) ^ low) & mask64(<i32>length - 64)) continue;
    longest = length;
    found = load<u32>(prefix, 20);
  }
  return found;
}

function add(entry: usize, offset: usize, high: u64, low: u64, length: u32, value: u32): bool {
  const table = makeTable(entry, HALF * 2);
  if (table == 0) return false;
  const half = table + offset;
  const order = load<u32>(half);
  if (order == MAX_PREFIXES) return false;
  const prefix = appendItem(half, PREFIX);
  if (prefix == 0) return false;
  store<u64>(prefix, high);
  store<u64>(prefix, low, 8);
  store<u32>(prefix, length << 24 | order, 16);
  store<u32>(prefix, value, 20);
  finishLater(entry, finish);
  return true;
}

function reserve(entry: usize, offset: usize, prefixes: u32): void {
  const table = makeTable(entry, HALF * 2);
  if (table != 0) growList(table + offset, PREFIX, prefixes);
}

function finish(entry: usize): void {
  const table = tableAddress(entry);
  new Boundaries(table, 32).build();
  new Boundaries(table + HALF, 128).build();
}

/** A prefix that holds the address in work; the one before it on the stack holds it too, and is shorter. */
class Open {
  /** The first address behind it; `isLast`: there is none. */
  high: u64 = 0;
  low: u64 = 0;
  isLast: bool = false;
  value: u64 = 0;
}

/** Makes one half's boundaries of its prefixes. */
class Boundaries {
  private open: Array<Open> = new Array<Open>();
  private depth: i32 = 0;
  private count: u32 = 0;
  private keys: usize = 0;
  private values: usize = 0;
  /** Bytes of a key. */
  private width: usize;

  constructor(private half: usize, private bits: u32) { this.width = bits == 32 ? 4 : 16; }

  build(): void {
    const prefixes = load<u32>(this.half);
    if (prefixes == 0) return;
    const keys = allocateOffset(<u64>prefixes * 2 * <u64>this.width);
    const values = allocateOffset(<u64>prefixes * 16);
    if (keys == 0 || values == 0) return;
    const base = segmentBase();
    this.keys = base + <usize>keys;
    this.values = base + <usize>values;
    const first = base + <usize>load<u32>(this.half, 8);
    sortPrefixes(first, prefixes);
    for (let i: u32 = 0; i < prefixes; i++) this.enter(first + <usize>i * PREFIX);
    while (this.depth > 0) this.leave();
    store<u32>(this.half, keys, KEYS);
    store<u32>(this.half, values, VALUES);
    if (this.bits == 32) store<u64>(this.half, <u64>load<u32>(this.keys), FIRST);
    else store<u64>(this.half, load<u64>(this.keys), FIRST);
    if (this.makeIndex()) store<u32>(this.half, this.count, COUNT);
  }

  private enter(prefix: usize): void {
    const high = load<u64>(prefix);
    const low = load<u64>(prefix, 8);
    while (this.depth > 0 && endsBefore(this.open[this.depth - 1], high, low)) this.leave();
    if (this.depth == this.open.length) this.open.push(new Open());
    const open = this.open[this.depth++];
    const length = load<u32>(prefix, 16) >>> 24;
    open.value = PRESENT | <u64>load<u32>(prefix, 20);
    // The last address, and one more.
    const lastHigh = high | ~mask64(length);
    const lastLow = low | ~mask64(<i32>length - 64);
    open.low = lastLow + 1;
    open.high = lastHigh + <u64>(open.low == 0);
    open.isLast = open.high == 0 && open.low == 0;
    this.mark(high, low, open.value);
  }

  private leave(): void {
    const open = this.open[--this.depth];
    if (!open.isLast) this.mark(open.high, open.low, this.depth > 0 ? this.open[this.depth - 1].value : 0);
  }

  /** From this address on it is this value, whatever was said of the same address before. */
  private mark(high: u64, low: u64, value: u64): void {
    let at = this.count;
    if (at > 0) {
      const last = this.keys + <usize>(at - 1) * this.width;
      const isSame4 = this.bits == 32 && load<u32>(last) == <u32>(high >>> 32);
      if (isSame4 || this.bits != 32 && load<u64>(last) == high && load<u64>(last, 8) == low) at--;
    }
    const key = this.keys + <usize>at * this.width;
    if (this.bits == 32) {
      store<u32>(key, <u32>(high >>> 32));
    } else {
      store<u64>(key, high);
      store<u64>(key, low, 8);
    }
    store<u64>(this.values + (<usize>at << 3), value);
    this.count = at + 1;
  }

  /** What the index is made by: an IPv4 key, or an IPv6 key's high half. */
  private distance(boundary: u32): u64 {
    const key = this.keys + <usize>boundary * this.width;
    return (this.bits == 32 ? <u64>load<u32>(key) : load<u64>(key)) - load<u64>(this.half, FIRST);
  }

  private makeIndex(): bool {
    let most: u32 = 1;
    while (most < this.count && most < MAX_PLACES) most <<= 1;
    const farthest = this.distance(this.count - 1);
    let shift: u64 = 0;
    while (farthest >>> shift >= <u64>most) shift++;
    const last = <u32>(farthest >>> shift);
    const offset = allocateOffset(<u64>(last + 1) << 2);
    if (offset == 0) return false;
    const index = segmentBase() + <usize>offset;
    let place: u32 = 0;
    for (let i: u32 = 0; i < this.count; i++) {
      const own = <u32>(this.distance(i) >>> shift);
      for (; place <= own; place++) store<u32>(index + (<usize>place << 2), i);
    }
    store<u32>(this.half, <u32>shift, SHIFT);
    store<u32>(this.half, last, LAST);
    store<u32>(this.half, offset, INDEX);
    return true;
  }
}

function endsBefore(open: Open, high: u64, low: u64): bool {
  if (open.isLast) return false;
  return open.high < high || open.high == high && open.low <= low;
}

/** Heap sort: by address, then shorter prefixes first, then in the order in which they were added. */
function sortPrefixes(first: usize, count: u32): void {
  for (let root = count >>> 1; root-- > 0;) sink(first, root, count);
  for (let end = count; end-- > 1;) {
    swap(first, first + <usize>end * PREFIX);
    sink(first, 0, end);
  }
}

function sink(first: usize, root: u32, count: u32): void {
  while (true) {
    let child = root * 2 + 1;
    if (child >= count) return;
    const left = first + <usize>child * PREFIX;
    if (child + 1 < count && isBefore(left, left + PREFIX)) child++;
    if (!isBefore(first + <usize>root * PREFIX, first + <usize>child * PREFIX)) return;
    swap(first + <usize>root * PREFIX, first + <usize>child * PREFIX);
    root = child;
  }
}

function isBefore(a: usize, b: usize): bool {
  if (load<u64>(a) != load<u64>(b)) return load<u64>(a) < load<u64>(b);
  if (load<u64>(a, 8) != load<u64>(b, 8)) return load<u64>(a, 8) < load<u64>(b, 8);
  return load<u32>(a, 16) < load<u32>(b, 16);
}

function swap(a: usize, b: usize): void {
  for (let at: usize = 0; at < PREFIX; at += 8) {
    const word = load<u64>(a + at);
    store<u64>(a + at, load<u64>(b + at));
    store<u64>(b + at, word);
  }
}
