// A config segment: built by the builder instance during configure, read-only for workers afterwards, and found at
// another address with each publish. So everything in it is an offset from its base.
//
//   0   u32 bytes used (0: nothing was built)      4   u32 1 when it became too small      8   u64 zero
//   16  u32[60] directory: offset of each declared table, in the order of declaration; 0: empty
//   256 tables

import { BURST_SEGMENT_BASE, BURST_SEGMENT_SIZE, WINDOW_BASE } from "./generated/abi";

/** Behind the header and the directory. */
// @ts-ignore: decorator
@inline export const FIRST_BYTE: u32 = 256;
const MAX_TABLES: usize = 60;

// Tables that are completed when the configuration has been read: u32 directory entry, u32 index of the function.
const finishers = memory.data(480, 4);
let finisherCount: usize = 0;

// @ts-ignore: decorator
@inline export function segmentBase(): usize { return load<u32>(WINDOW_BASE + BURST_SEGMENT_BASE); }

/** Address of the table with this directory entry; 0 when it is empty or nothing was configured. */
// @ts-ignore: decorator
@inline export function tableAddress(entry: usize): usize {
  const base = segmentBase();
  if (base == 0) return 0;
  const offset: usize = load<u32>(base + entry);
  return offset == 0 ? 0 : base + offset;
}

/**
 * Address of the table with this directory entry. Of one that is empty, the segment's own, of which 8 bytes from 8 on are
 * zero; 0 when nothing was configured, where all bytes are. For lookups that a zero there ends.
 */
// @ts-ignore: decorator
@inline export function tableOrZeroes(entry: usize): usize {
  const base = segmentBase();
  return base + <usize>load<u32>(base + entry);
}

/** Configure only: starts the segment. False when it has no room for its own header. */
export function startSegment(): bool {
  const base = segmentBase();
  if (load<u32>(WINDOW_BASE + BURST_SEGMENT_SIZE) < FIRST_BYTE) return false;
  for (let at: usize = 0; at < FIRST_BYTE; at += 8) store<u64>(base + at, 0);
  store<u32>(base, FIRST_BYTE);
  finisherCount = 0;
  return true;
}

/** Configure only: has `finish` called with the table's directory entry when all is read, once. */
export function finishLater(entry: usize, finish: (entry: usize) => void): void {
  for (let i: usize = 0; i < finisherCount; i++) if (load<u32>(finishers + (i << 3)) == <u32>entry) return;
  if (finisherCount == MAX_TABLES) return;
  const at = finishers + (finisherCount++ << 3);
  store<u32>(at, <u32>entry);
  store<u32>(at, finish.index, 4);
}

/** Completes the tables that asked for it. */
export function finishTables(): void {
  for (let i: usize = 0; i < finisherCount; i++) {
    const at = finishers + (i << 3);
    call_indirect<void>(load<u32>(at, 4), <usize>load<u32>(at));
  }
}

/** True when an allocation did not fit. */
export function segmentIsTooSmall(): bool { return load<u32>(segmentBase(), 4) != 0; }

/**
 * Configure only: address of `bytes` zeroed bytes, aligned to 16; 0 when the segment is too small, which it remembers.
 */
export function allocate(bytes: u64): usize {
  const base = segmentBase();
  const used: u32 = load<u32>(base);
  if (bytes > <u64>load<u32>(WINDOW_BASE + BURST_SEGMENT_SIZE) - used) {
    store<u32>(base, 1, 4);
    return 0;
  }
  const start = base + used;
  const end = start + ((<usize>bytes + 15) & ~15);
  for (let at = start; at < end; at += 16) {
    store<u64>(at, 0);
    store<u64>(at, 0, 8);
  }
  store<u32>(base, <u32>(end - base));
  return start;
}

/** As `allocate`, as an offset from the segment's base. */
export function allocateOffset(bytes: u64): u32 {
  const made = allocate(bytes);
  return made == 0 ? 0 : <u32>(made - segmentBase());
}

/**
 * Configure only: makes room for one item more in a list that grows by doubling. At `list`: u32 items, u32 capacity,
 * u32 offset of the items from the segment's base. Address of the new item, zeroed; 0 when the segment is too small.
 */
export function appendItem(list: usize, stride: usize): usize {
  const count = load<u32>(list);
  if (count == load<u32>(list, 4) && !growList(list, stride, count == 0 ? 8 : count * 2)) return 0;
  store<u32>(list, count + 1);
  return segmentBase() + <usize>load<u32>(list, 8) + <usize>count * stride;
}

/** Configure only: makes room for so many items at once. False when the segment is too small. */
export function growList(list: usize, stride: usize, capacity: u32): bool {
  if (capacity <= load<u32>(list, 4)) return true;
  const items = allocate(<u64>capacity * <u64>stride);
  if (items == 0) return false;
  const base = segmentBase();
  memory.copy(items, base + <usize>load<u32>(list, 8), <usize>load<u32>(list) * stride);
  store<u32>(list, capacity, 4);
  store<u32>(list, <u32>(items - base), 8);
  return true;
}

/** Configure only: the table's own header of `bytes` bytes, made on first use; 0 when the segment is too small. */
export function makeTable(entry: usize, bytes: u32): usize {
  const found = tableAddress(entry);
  if (found != 0) return found;
  const made = allocate(bytes);
  if (made != 0) store<u32>(segmentBase() + entry, <u32>(made - segmentBase()));
  return made;
}
