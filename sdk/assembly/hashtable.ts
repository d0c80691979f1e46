// Exact match: open addressing with linear probing, at most half full.
//
// Header, 16 bytes: u32 capacity - 1, u32 entries, u32 offset of the slots from the segment's base (0: none), u32 spare.
// Slot: u32 tag (0: free; else from the hash, odd), the value (at 4, or at 8 when it is larger than 4 bytes), the key
// (aligned to 8).

import { mix, mixPair } from "./hash";
import { allocate, makeTable, segmentBase, tableAddress, tableOrZeroes } from "./segment";

// @ts-ignore: decorator
@inline export const HASH_HEADER: u32 = 16;
const FIRST_CAPACITY: u32 = 8;

/** Bytes of a number, or of an unmanaged class's fields. */
// @ts-ignore: decorator
@inline export function sizeOf<T>(): usize { return isReference<T>() ? offsetof<T>() : sizeof<T>(); }
// @ts-ignore: decorator
@inline function valueOffset<V>(): usize { return sizeOf<V>() <= 4 ? 4 : 8; }
// @ts-ignore: decorator
@inline function keyOffset<V>(): usize { return (valueOffset<V>() + sizeOf<V>() + 7) & ~7; }
// @ts-ignore: decorator
@inline function stride<K, V>(): usize { return (keyOffset<V>() + sizeOf<K>() + 7) & ~7; }

/** Hash of a number, or of an unmanaged class's bytes. */
// @ts-ignore: decorator
@inline export function hashOf<K>(key: K): u64 {
  if (!isReference<K>()) return mix(<u64>key);
  const at = changetype<usize>(key);
  let hash: u64 = 0;
  let i: usize = 0;
  for (; i + 8 <= offsetof<K>(); i += 8) hash = mixPair(hash, load<u64>(at + i));
  for (; i < offsetof<K>(); i++) hash = mixPair(hash, load<u8>(at + i));
  return hash;
}

/** True when the key at an address is this one. */
// @ts-ignore: decorator
@inline export function keysEqual<K>(at: usize, key: K): bool {
  if (!isReference<K>()) return load<K>(at) == key;
  const other = changetype<usize>(key);
  let i: usize = 0;
  for (; i + 8 <= offsetof<K>(); i += 8) if (load<u64>(at + i) != load<u64>(other + i)) return false;
  for (; i < offsetof<K>(); i++) if (load<u8>(at + i) != load<u8>(other + i)) return false;
  return true;
}

/** Address of the value for `key`; 0 when there is none. A header of an empty table may be 0, or the segment's own. */
// @ts-ignore: decorator
@inline export function hashFind<K, V>(header: usize, key: K): usize {
  const offset: usize = load<u32>(header, 8);
  if (offset == 0) return 0;
  const hash = hashOf<K>(key);
  const tag = <u32>(hash >>> 32) | 1;
  const mask: u32 = load<u32>(header);
  const slots = segmentBase() + offset;
  const first = <u32>hash & mask;
  const slot = slots + <usize>first * stride<K, V>();
  const found: u32 = load<u32>(slot);
  // Most keys are at the first place.
  if (found == tag) {
    if (keysEqual<K>(slot + keyOffset<V>(), key)) return slot + valueOffset<V>();
  }
  return found == 0 ? 0 : rarelyProbe<K, V>(slots, mask, first, tag, key);
}

/** Address of the value for a key that is not at the first place; 0 when there is none. */
function rarelyProbe<K, V>(slots: usize, mask: u32, first: u32, tag: u32, key: K): usize {
  let i = first;
  while (true) {
    i = (i + 1) & mask;
    const slot = slots + <usize>i * stride<K, V>();
    const found: u32 = load<u32>(slot);
    if (found == 0) return 0;
    if (found != tag) continue;
    if (keysEqual<K>(slot + keyOffset<V>(), key)) return slot + valueOffset<V>();
  }
}

/** Configure only: address of the value for `key`, which is made when it is new; 0 when the segment is too small. */
export function hashInsert<K, V>(header: usize, key: K): usize {
  if (header == 0) return 0;
  const present = hashFind<K, V>(header, key);
  if (present != 0) return present;
  const count: u32 = load<u32>(header, 4);
  if (load<u32>(header, 8) == 0 || (count + 1) * 2 > load<u32>(header) + 1) {
    if (!resize<K, V>(header, (count + 1) * 2)) return 0;
  }
  store<u32>(header, count + 1, 4);
  const slot = claim(header, hashOf<K>(key), stride<K, V>());
  if (isReference<K>()) memory.copy(slot + keyOffset<V>(), changetype<usize>(key), offsetof<K>());
  else store<K>(slot + keyOffset<V>(), key);
  return slot + valueOffset<V>();
}

/** Configure only: makes room for `entries` entries at once. */
export function hashReserve<K, V>(header: usize, entries: u32): void {
  if (header != 0 && entries * 2 > load<u32>(header) + 1) resize<K, V>(header, entries * 2);
}

/** The first free slot for a hash, tagged. */
function claim(header: usize, hash: u64, stride: usize): usize {
  const mask: u32 = load<u32>(header);
  const slots = segmentBase() + <usize>load<u32>(header, 8);
  let i = <u32>hash & mask;
  while (load<u32>(slots + <usize>i * stride) != 0) i = (i + 1) & mask;
  const slot = slots + <usize>i * stride;
  store<u32>(slot, <u32>(hash >>> 32) | 1);
  return slot;
}

/** Moves the entries to new slots, of a capacity that is the next power of two. */
function resize<K, V>(header: usize, atLeast: u32): bool {
  let capacity = FIRST_CAPACITY;
  while (capacity < atLeast && capacity < 0x40000000) capacity <<= 1;
  const slots = allocate(<u64>capacity * <u64>stride<K, V>());
  if (slots == 0) return false;
  const oldMask: u32 = load<u32>(header);
  const oldOffset: usize = load<u32>(header, 8);
  store<u32>(header, capacity - 1);
  store<u32>(header, <u32>(slots - segmentBase()), 8);
  if (oldOffset == 0) return true;
  for (let i: u32 = 0; i <= oldMask; i++) {
    const from = segmentBase() + oldOffset + <usize>i * stride<K, V>();
    if (load<u32>(from) == 0) continue;
    const key = from + keyOffset<V>();
    const hash = isReference<K>() ? hashOf<K>(changetype<K>(key)) : hashOf<K>(load<K>(key));
    memory.copy(claim(header, hash, stride<K, V>()), from, stride<K, V>());
  }
  return true;
}

/**
 * Exact match on a number or on the bytes of an unmanaged class, in the config segment. Declared at a file's top level:
 * `const services = new HashTable<u64, u32>("services")`. Values are numbers (`get`) or unmanaged classes (`find`).
 * A key class's padding counts: make keys by `new`, at the top level, and reuse them.
 */
@unmanaged
export class HashTable<K, V> {
  constructor(name: string) { unreachable(); }

  /** The value, or `missing`. For values that are numbers. */
  // @ts-ignore: decorator
  @inline get(key: K, missing: V): V {
    const at = hashFind<K, V>(tableOrZeroes(changetype<usize>(this)), key);
    return at == 0 ? missing : load<V>(at);
  }
  /** A view of the value, or null. For values that are unmanaged classes. */
  // @ts-ignore: decorator
  @inline find(key: K): V | null {
    return changetype<V | null>(hashFind<K, V>(tableOrZeroes(changetype<usize>(this)), key));
  }
  /** True when the key is in the table. */
  // @ts-ignore: decorator
  @inline has(key: K): bool { return hashFind<K, V>(tableOrZeroes(changetype<usize>(this)), key) != 0; }
  /** Number of keys. */
  get size(): u32 {
    const header = tableAddress(changetype<usize>(this));
    return header == 0 ? 0 : load<u32>(header, 4);
  }

  /** Configure only: makes room for so many entries at once; without it the table grows by doubling, and wastes as much. */
  reserve(entries: u32): void { hashReserve<K, V>(makeTable(changetype<usize>(this), HASH_HEADER), entries); }
  /** Configure only: sets a number. False when the segment is too small; configure then ends with TOO_LARGE. */
  set(key: K, value: V): bool {
    const at = hashInsert<K, V>(makeTable(changetype<usize>(this), HASH_HEADER), key);
    if (at == 0) return false;
    store<V>(at, value);
    return true;
  }
  /** Configure only: a view of the value for `key`, zeroed when new, valid until the next `add`; null: segment too small. */
  add(key: K): V | null {
    return changetype<V | null>(hashInsert<K, V>(makeTable(changetype<usize>(this), HASH_HEADER), key));
  }
}
