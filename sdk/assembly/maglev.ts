// Maglev's consistent hashing (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer",
// section 3.4): when a member comes or goes few choices of other members change, and the order in which they are added
// changes none.

import { mixPair } from "./hash";
import { allocateOffset, appendItem, finishLater, makeTable, segmentBase, tableAddress } from "./segment";

const SIZES: StaticArray<u32> = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521]; // primes
const CHOICES_PER_MEMBER: u32 = 100;
const EMPTY: u16 = 0xffff;

class Candidate {
  credit: u32 = 0;
  next: u32;
  skip: u32;
  constructor(public index: u32, public weight: u32, public hash: u64, size: u32) {
    this.next = <u32>(hash % size);
    this.skip = <u32>(mixPair(hash, 1) % (size - 1)) + 1;
  }
}

/**
 * Configure only: how many choices so many members are given: a prime, 100 for each member where that is up to 65521.
 */
export function maglevSize(members: u32): u32 {
  for (let i = 0; i < SIZES.length; i++) if (SIZES[i] >= members * CHOICES_PER_MEMBER) return SIZES[i];
  return SIZES[SIZES.length - 1];
}

/**
 * Configure only: `size` choices (of `maglevSize`) among members, in proportion to their weights: each is a member's
 * index. A member's hash is its identity, such as that of its address; it must be the same in each configuration. Empty
 * without a member of a weight above 0. At most 65535 members. What is returned is good until the next call with this
 * size, which has the same memory: a configuration of thousands of services takes no more of it than one.
 */
export function maglevChoices(hashes: Array<u64>, weights: Array<u32>, size: u32): StaticArray<u16> {
  const table = tableOf(size);
  const mark = heap.alloc(0);
  const chosen = fill(table, hashes, weights, size);
  __release(mark);
  return chosen ? table : NONE;
}

// @ts-ignore: decorator
@lazy const NONE = new StaticArray<u16>(0);
/** One of each size that was asked for. */
// @ts-ignore: decorator
@lazy const tables = new Array<StaticArray<u16>>();

function tableOf(size: u32): StaticArray<u16> {
  for (let i = 0; i < tables.length; i++) if (tables[i].length == size) return tables[i];
  tables.push(new StaticArray<u16>(size));
  return tables[tables.length - 1];
}

/** False without a member that can be chosen. */
function fill(table: StaticArray<u16>, hashes: Array<u64>, weights: Array<u32>, size: u32): bool {
  const candidates = new Array<Candidate>();
  let heaviest: u32 = 0;
  for (let i = 0; i < hashes.length; i++) {
    if (weights[i] == 0) continue;
    heaviest = max(heaviest, weights[i]);
    candidates.push(new Candidate(i, weights[i], hashes[i], size));
  }
  if (candidates.length == 0) return false;
  candidates.sort((a: Candidate, b: Candidate): i32 => a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0);
  for (let i: u32 = 0; i < size; i++) table[i] = EMPTY;
  let filled: u32 = 0;
  while (filled < size) {
    for (let i = 0; i < candidates.length && filled < size; i++) {
      const candidate = candidates[i];
      candidate.credit += candidate.weight;
      if (candidate.credit < heaviest) continue;
      candidate.credit -= heaviest;
      while (table[candidate.next] != EMPTY) step(candidate, size);
      table[candidate.next] = <u16>candidate.index;
      filled++;
    }
  }
  return true;
}

function step(candidate: Candidate, size: u32): void {
  candidate.next += candidate.skip;
  if (candidate.next >= size) candidate.next -= size;
}

// Header, 24 bytes: a list of members as `appendItem` has it, u32 choices, u32 offset of them from the segment's base,
// u32 spare. Member, 16 bytes: u64 hash, u32 weight, u32 value. Choices: u32 values.
const HEADER: u32 = 24;
const MEMBER: usize = 16;
const CHOICES: usize = 12;
const FIRST_CHOICE: usize = 16;

/**
 * Consistent hashing among weighted members, in the config segment: `const links = new MaglevTable("links")` at a
 * file's top level. Members are added in configure and chosen when it has ended; a choice is two loads. When a member
 * comes or goes, few packets change between the others. Takes 4 bytes of the segment for each choice (100 for each
 * member, at least 251, at most 65521), and up to 32 for each member.
 */
@unmanaged
export class MaglevTable {
  constructor(name: string) { unreachable(); }

  /** The value of the member that has this hash, such as one made by `mixSymmetric`; `missing` without members. */
  pick(hash: u64, missing: u32 = 0): u32 {
    const table = tableAddress(changetype<usize>(this));
    if (table == 0) return missing;
    const size = load<u32>(table, CHOICES);
    if (size == 0) return missing;
    return load<u32>(segmentBase() + <usize>load<u32>(table, FIRST_CHOICE) + (<usize>(hash % <u64>size) << 2));
  }
  /**
   * Configure only: adds a member. `identity`: a hash of what it is, the same in each configuration, such as `mix` of
   * its address. False when the segment is too small, or there are 65535 members.
   */
  add(identity: u64, value: u32, weight: u32 = 1): bool {
    const table = makeTable(changetype<usize>(this), HEADER);
    if (table == 0 || load<u32>(table) >= <u32>EMPTY) return false;
    const member = appendItem(table, MEMBER);
    if (member == 0) return false;
    store<u64>(member, identity);
    store<u32>(member, weight, 8);
    store<u32>(member, value, 12);
    finishLater(changetype<usize>(this), choose);
    return true;
  }
}

function choose(entry: usize): void {
  const table = tableAddress(entry);
  const count = load<u32>(table);
  const members = segmentBase() + <usize>load<u32>(table, 8);
  const hashes = new Array<u64>();
  const weights = new Array<u32>();
  for (let i: u32 = 0; i < count; i++) {
    hashes.push(load<u64>(members + <usize>i * MEMBER));
    weights.push(load<u32>(members + <usize>i * MEMBER, 8));
  }
  const chosen = maglevChoices(hashes, weights, maglevSize(count));
  const offset = allocateOffset(<u64>chosen.length << 2);
  if (offset == 0) return;
  const choices = segmentBase() + <usize>offset;
  for (let i = 0; i < chosen.length; i++) {
    store<u32>(choices + (<usize>i << 2), load<u32>(members + <usize>chosen[i] * MEMBER, 12));
  }
  store<u32>(table, chosen.length, CHOICES);
  store<u32>(table, offset, FIRST_CHOICE);
}
