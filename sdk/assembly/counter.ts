/**
 * A counter that the host reads and exports: `const denied = new Counter("denied_packets", "Packets denied")` at a file's
 * top level. One value for each worker; the host adds them up. Names are [a-z][a-z0-9_]*. A view over a u64.
 */
@unmanaged
export class Counter {
  private value: u64;

  /** The build gives each declared counter its place in the COUNTERS region; there is none to make at run time. */
  constructor(name: string, help: string = "") { unreachable(); }

  // @ts-ignore: decorator
  @inline add(amount: u64 = 1): void { this.value += amount; }
  // @ts-ignore: decorator
  @inline get current(): u64 { return this.value; }
}

/**
 * Declares a drop reason of the stage's own: `const notAllowed = dropReason("not-allowed", "why")` at a file's top level.
 * The build replaces the call by the reason's number. Names are [a-z][a-z0-9-]*.
 */
export function dropReason(name: string, help: string = ""): i32 {
  ERROR("dropReason() can only be the value of a const at a file's top level");
  return 0;
}
