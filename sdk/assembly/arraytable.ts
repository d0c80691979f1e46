import { sizeOf } from "./hashtable";
import { appendItem, growList, makeTable, segmentBase, tableAddress } from "./segment";

// Header, 16 bytes: u32 length, u32 capacity, u32 offset of the items from the segment's base, u32 spare.
const HEADER: u32 = 16;

/**
 * Numbers or records one after the other, in the config segment. Declared at a file's top level:
 * `const backends = new ArrayTable<Backend>("backends")`, with `Backend` an unmanaged class, or a number type.
 */
@unmanaged
export class ArrayTable<T> {
  constructor(name: string) { unreachable(); }

  /** Number of entries. */
  // @ts-ignore: decorator
  @inline get length(): u32 {
    const header = tableAddress(changetype<usize>(this));
    return header == 0 ? 0 : load<u32>(header);
  }
  /** A number. Traps when `index` is not below `length`. */
  // @ts-ignore: decorator
  @inline get(index: u32): T { return load<T>(this.address(index)); }
  /** A view of a record. Traps when `index` is not below `length`. */
  // @ts-ignore: decorator
  @inline at(index: u32): T { return changetype<T>(this.address(index)); }

  /** Configure only: appends a number. False when the segment is too small; configure then ends with TOO_LARGE. */
  push(value: T): bool {
    const at = this.append();
    if (at == 0) return false;
    store<T>(at, value);
    return true;
  }
  /** Configure only: appends a zeroed record; a view of it, valid until the next `add`; null: the segment is too small. */
  add(): T | null { return changetype<T | null>(this.append()); }
  /**
   * Configure only: makes room for `count` items in all. A list that grows by itself takes up to twice what it needs, and what it
   * outgrew besides. False when the segment is too small.
   */
  reserve(count: u32): bool {
    const header = makeTable(changetype<usize>(this), HEADER);
    return header != 0 && growList(header, this.stride, count);
  }
  /** Configure only: sets a number. Traps when `index` is not below `length`. */
  set(index: u32, value: T): void { store<T>(this.address(index), value); }

  // @ts-ignore: decorator
  @inline private get stride(): usize { return isReference<T>() ? (sizeOf<T>() + 7) & ~7 : sizeOf<T>(); }

  // @ts-ignore: decorator
  @inline private address(index: u32): usize {
    const header = tableAddress(changetype<usize>(this));
    if (header == 0 || index >= load<u32>(header)) unreachable();
    return segmentBase() + <usize>load<u32>(header, 8) + <usize>index * this.stride;
  }

  private append(): usize {
    const header = makeTable(changetype<usize>(this), HEADER);
    return header == 0 ? 0 : appendItem(header, this.stride);
  }
}
