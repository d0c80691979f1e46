/**
 * A counter that the host reads and exports: `const denied = new Counter("denied_packets", "Packets denied")` at a
 * file's top level. One value for each worker; the host adds them up. Names are [a-z][a-z0-9_]*. A view over a u64.
 */
@unmanaged
export class Counter {
  private value: u64;

  /** The build gives each declared counter its place in the COUNTERS region; there is none to make at run time. */
  constructor(name: string, help: string = "") { unreachable(); }

  /** Counts `amount` more; wraps at 2^64. */
  // @ts-ignore: decorator
  @inline add(amount: u64 = 1): void { this.value += amount; }
  /** What this worker has counted. */
  // @ts-ignore: decorator
  @inline get current(): u64 { return this.value; }
}

/**
 * A value that goes up and down: `const open = new Gauge("open_sessions", "Sessions that are open")` at a file's top
 * level. One value for each worker; the host adds them up, so a value that is the node's and not the worker's is for
 * worker 0 to set. Names are [a-z][a-z0-9_]*. A view over an i64.
 */
@unmanaged
export class Gauge {
  private value: i64;

  /** The build gives each declared gauge its place in the COUNTERS region; there is none to make at run time. */
  constructor(name: string, help: string = "") { unreachable(); }

  /** Makes it `value`. */
  // @ts-ignore: decorator
  @inline set(value: i64): void { this.value = value; }
  /** Adds `amount`, which may be negative. */
  // @ts-ignore: decorator
  @inline add(amount: i64 = 1): void { this.value += amount; }
  /** This worker's value. */
  // @ts-ignore: decorator
  @inline get current(): i64 { return this.value; }
}

/**
 * How values are distributed: `const sizes = new Histogram("packet_bytes", "Packets by length", [64, 512, 1500])` at a
 * file's top level, with ascending whole numbers as upper bounds, each included. It takes the room of two counters and
 * of one for each bound. Names are [a-z][a-z0-9_]*.
 *
 * A view over static data that the build makes: u64 address of the cells, u64 number of bounds, u64[] bounds. The
 * cells: a u64 for each bound, one for values above the last, one for the sum of all values.
 */
@unmanaged
export class Histogram {
  private cells: u64;
  private count: u64;

  /** The build gives each declared histogram its place in the COUNTERS region; there is none to make at run time. */
  constructor(name: string, help: string, bounds: u64[]) { unreachable(); }

  /** Counts a value. The cost grows with the number of bounds below it. */
  observe(value: u64): void {
    const cells = <usize>this.cells;
    const bounds = changetype<usize>(this) + 16;
    const n = <usize>this.count;
    let i: usize = 0;
    while (i < n && load<u64>(bounds + (i << 3)) < value) i++;
    const cell = cells + (i << 3);
    store<u64>(cell, load<u64>(cell) + 1);
    const sum = cells + (n + 1 << 3);
    store<u64>(sum, load<u64>(sum) + value);
  }
}

/**
 * Declares a drop reason of the stage's own: `const notAllowed = dropReason("not-allowed", "why")` at a file's top
 * level. The build replaces the call by the reason's number. Names are [a-z][a-z0-9-]*.
 */
export function dropReason(name: string, help: string = ""): i32 {
  ERROR("dropReason() can only be the value of a const at a file's top level");
  return 0;
}
