import { takePrivate } from "./private";

/**
 * Zeroed bytes of a worker's own, for sketches, samples and small caches: `const seen = new Scratch(4096)` at a file's
 * top level. They live as long as the instance: a hot swap or a failed stage's reload starts with zeroes again; what
 * must outlive those belongs in flow state. Numbers are in the machine's byte order; offsets in bytes. Accesses outside
 * trap.
 */
@final @unmanaged
export class Scratch {
  // Layout: u64 size, then the bytes.
  constructor(bytes: u32) {
    const made = takePrivate(8 + <u64>bytes);
    store<u64>(made, bytes);
    return changetype<Scratch>(made);
  }

  /** In bytes. */
  // @ts-ignore: decorator
  @inline get size(): u32 { return load<u32>(changetype<usize>(this)); }
  /** A number of type `T` at `offset`. */
  // @ts-ignore: decorator
  @inline get<T>(offset: u32): T { return load<T>(this.address(offset, <u32>sizeof<T>())); }
  /** Stores a number of type `T` at `offset`. */
  // @ts-ignore: decorator
  @inline set<T>(offset: u32, value: T): void { store<T>(this.address(offset, <u32>sizeof<T>()), value); }
  /** A view of the unmanaged class `T` at `offset`. */
  // @ts-ignore: decorator
  @inline view<T>(offset: u32): T { return changetype<T>(this.address(offset, <u32>offsetof<T>())); }

  // @ts-ignore: decorator
  @inline private address(offset: u32, length: u32): usize {
    if (<u64>offset + <u64>length > <u64>this.size) unreachable();
    return changetype<usize>(this) + 8 + <usize>offset;
  }
}
