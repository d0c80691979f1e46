import { now } from "./burst";
import { takePrivate } from "./private";

/**
 * Something to do from time to time: `const everySecond = new Interval(1000)` at a file's top level, and `if
 * (everySecond.isDue) ...` on the packet path. Time is looked at once a burst (`now`), so nothing is due while no
 * packets come.
 */
@final @unmanaged
export class Interval {
  private length: u64;
  private last: u64;

  /** `milliseconds`: 1 or more. */
  constructor(milliseconds: u32) {
    const made = changetype<Interval>(takePrivate(16));
    made.length = <u64>max<u32>(milliseconds, 1) * 1000000;
    return made;
  }

  /** True once in each interval; the first begins when this is first asked. */
  get isDue(): bool {
    const time = now();
    if (this.last == 0) this.last = time;
    if (time - this.last < this.length) return false;
    this.last = time - (time - this.last) % this.length;
    return true;
  }
}
