import { random } from "./burst";
import { mixPair } from "./hash";
import { hashOf, keysEqual, sizeOf } from "./hashtable";
import { takePrivate } from "./private";

// Header, 40 bytes: u32 capacity, u32 buckets - 1, u32 entries, u32 newest, u32 oldest, u32 free, u32 stride of nodes,
// u32 spare, u64 seed. Then u32[buckets]: the first node of each; then the nodes. Nodes are numbered from 1; 0 is none.
// Node: u32 next in its bucket, u32 of the hash, u32 newer, u32 older, the key (aligned to 8), the value (aligned to
// 8).
const ENTRIES: usize = 8;
const NEWEST: usize = 12;
const OLDEST: usize = 16;
const FREE: usize = 20;
const SEED: usize = 32;
const BUCKETS: usize = 40;
const NODE_HASH: usize = 4;
const NEWER: usize = 8;
const OLDER: usize = 12;
const KEY: usize = 16;

// @ts-ignore: decorator
@inline function valueOffset<K>(): usize { return KEY + ((sizeOf<K>() + 7) & ~7); }
// @ts-ignore: decorator
@inline function stride<K, V>(): usize { return valueOffset<K>() + ((sizeOf<V>() + 7) & ~7); }

/**
 * Exact match that the packet path itself fills, in the worker's own memory: `const seen = new LruTable<u32,
 * u32>(1024)` at a file's top level. Keys are numbers, or unmanaged classes of up to 40 bytes without padding (see
 * FlowKey, Ipv6Address); values are numbers (`get`, `set`) or unmanaged classes (`find`, `add`). It never holds more
 * than `capacity` entries: a new one takes the place of the one that was not used for longest. Finding, adding and
 * removing cost the same at any size.
 *
 * Memory, at module start: for each entry 16 bytes, the key and the value, both rounded up to 8, and 4 to 8 bytes of
 * bucket; all of a stage's own tables share 8 MiB. They live as long as the instance: a hot swap or a failed stage's
 * reload starts empty. Each worker has its own.
 */
@final @unmanaged
export class LruTable<K, V> {
  /** `capacity`: the most entries, 1 or more. */
  constructor(capacity: u32) {
    if (capacity == 0) capacity = 1;
    let buckets: u32 = 1;
    while (buckets < capacity && buckets < 0x40000000) buckets <<= 1;
    const nodes = BUCKETS + ((<usize>buckets << 2) + 7 & ~7);
    const made = takePrivate(<u64>nodes + <u64>capacity * <u64>stride<K, V>());
    store<u32>(made, capacity);
    store<u32>(made, buckets - 1, 4);
    store<u32>(made, <u32>nodes, 24);
    return changetype<LruTable<K, V>>(made);
  }

  /** The most entries. */
  get capacity(): u32 { return load<u32>(changetype<usize>(this)); }
  /** Entries that there are. */
  get size(): u32 { return load<u32>(changetype<usize>(this), ENTRIES); }

  /** The value, or `missing`. Counts as use. For values that are numbers. */
  get(key: K, missing: V): V {
    const node = this.findNode(key);
    if (node == 0) return missing;
    this.use(node);
    return load<V>(this.node(node) + valueOffset<K>());
  }
  /** Sets a value; a new key takes the oldest entry's place when the table is full. For values that are numbers. */
  set(key: K, value: V): void { store<V>(this.node(this.claim(key)) + valueOffset<K>(), value); }
  /** A view of the value, or null. Counts as use. For values that are unmanaged classes. */
  find(key: K): V | null {
    const node = this.findNode(key);
    if (node == 0) return changetype<V | null>(0);
    this.use(node);
    return changetype<V | null>(this.node(node) + valueOffset<K>());
  }
  /**
   * A view of the value, all zeroes when the key is new; a new key takes the oldest entry's place when the table is
   * full, and views of that one's value are then views of this one's. Counts as use. For values that are unmanaged
   * classes.
   */
  add(key: K): V { return changetype<V>(this.node(this.claim(key)) + valueOffset<K>()); }
  /** True when there is an entry. Does not count as use. */
  has(key: K): bool { return this.findNode(key) != 0; }
  /** Takes the entry out; false when there is none. */
  remove(key: K): bool {
    const node = this.findNode(key);
    if (node == 0) return false;
    const table = changetype<usize>(this);
    this.unlink(node);
    this.leaveBucket(node);
    store<u32>(this.node(node), load<u32>(table, FREE));
    store<u32>(table, node, FREE);
    store<u32>(table, this.size - 1, ENTRIES);
    return true;
  }

  // Nodes go to FREE when they are removed; those never used yet are the ones above ENTRIES while FREE is empty.

  // @ts-ignore: decorator
  @inline private node(number: u32): usize {
    const table = changetype<usize>(this);
    return table + <usize>load<u32>(table, 24) + <usize>(number - 1) * stride<K, V>();
  }
  // @ts-ignore: decorator
  @inline private bucket(hash: u32): usize {
    const table = changetype<usize>(this);
    return table + BUCKETS + (<usize>(hash & load<u32>(table, 4)) << 2);
  }
  // @ts-ignore: decorator
  @inline private hash(key: K): u32 {
    return <u32>mixPair(hashOf<K>(key), load<u64>(changetype<usize>(this), SEED));
  }

  private findNode(key: K): u32 {
    const hash = this.hash(key);
    let number = load<u32>(this.bucket(hash));
    while (number != 0) {
      const node = this.node(number);
      if (load<u32>(node, NODE_HASH) == hash && keysEqual<K>(node + KEY, key)) return number;
      number = load<u32>(node);
    }
    return 0;
  }

  /** The key's node, now the newest; made when there is none. */
  private claim(key: K): u32 {
    const table = changetype<usize>(this);
    // Who does not know the seed cannot fill one bucket on purpose.
    if (load<u64>(table, SEED) == 0) store<u64>(table, random() | 1, SEED);
    const found = this.findNode(key);
    if (found != 0) {
      this.use(found);
      return found;
    }
    const number = this.freeNode();
    const node = this.node(number);
    const hash = this.hash(key);
    const bucket = this.bucket(hash);
    store<u32>(node, load<u32>(bucket));
    store<u32>(node, hash, NODE_HASH);
    store<u32>(bucket, number);
    if (isReference<K>()) memory.copy(node + KEY, changetype<usize>(key), offsetof<K>());
    else store<K>(node + KEY, key);
    for (let at = valueOffset<K>(); at < stride<K, V>(); at += 8) store<u64>(node + at, 0);
    this.link(number);
    return number;
  }

  private freeNode(): u32 {
    const table = changetype<usize>(this);
    const free = load<u32>(table, FREE);
    const entries = load<u32>(table, ENTRIES);
    if (free != 0) {
      store<u32>(table, load<u32>(this.node(free)), FREE);
    } else if (entries == load<u32>(table)) {
      const oldest = load<u32>(table, OLDEST);
      this.unlink(oldest);
      this.leaveBucket(oldest);
      return oldest;
    }
    store<u32>(table, entries + 1, ENTRIES);
    return free != 0 ? free : entries + 1;
  }

  private leaveBucket(number: u32): void {
    let at = this.bucket(load<u32>(this.node(number), NODE_HASH));
    while (load<u32>(at) != number) at = this.node(load<u32>(at));
    store<u32>(at, load<u32>(this.node(number)));
  }

  private use(number: u32): void {
    if (load<u32>(changetype<usize>(this), NEWEST) == number) return;
    this.unlink(number);
    this.link(number);
  }
  /** Makes it the newest. */
  private link(number: u32): void {
    const table = changetype<usize>(this);
    const newest = load<u32>(table, NEWEST);
    const node = this.node(number);
    store<u32>(node, 0, NEWER);
    store<u32>(node, newest, OLDER);
    if (newest != 0) store<u32>(this.node(newest), number, NEWER);
    else store<u32>(table, number, OLDEST);
    store<u32>(table, number, NEWEST);
  }
  private unlink(number: u32): void {
    const table = changetype<usize>(this);
    const node = this.node(number);
    const newer = load<u32>(node, NEWER);
    const older = load<u32>(node, OLDER);
    if (newer != 0) store<u32>(this.node(newer), older, OLDER);
    else store<u32>(table, older, NEWEST);
    if (older != 0) store<u32>(this.node(older), newer, NEWER);
    else store<u32>(table, newer, OLDEST);
  }
}
