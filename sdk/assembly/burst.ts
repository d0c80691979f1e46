import {
  BURST_COUNT, BURST_CURRENT, BURST_GENERATION, BURST_NOW_NS, BURST_RANDOM, BURST_WALL_NS, BURST_WORKER,
  BURST_WORKERS, SLOT_LIST_OFFSET, WINDOW_BASE
} from "./generated/abi";
import { Packet } from "./packet";

/** Monotonic time in nanoseconds; one reading a burst. */
// @ts-ignore: decorator
@inline export function now(): u64 { return load<u64>(WINDOW_BASE + BURST_NOW_NS); }

/** Unix time in nanoseconds; one reading a burst. */
// @ts-ignore: decorator
@inline export function wallTime(): u64 { return load<u64>(WINDOW_BASE + BURST_WALL_NS); }

/** A random number, fresh each burst and the same throughout it; mix it with `packet.hash` for one per packet. */
// @ts-ignore: decorator
@inline export function random(): u64 { return load<u64>(WINDOW_BASE + BURST_RANDOM); }

/** Number of the worker that runs this instance, from 0. */
// @ts-ignore: decorator
@inline export function worker(): u32 { return load<u32>(WINDOW_BASE + BURST_WORKER); }

/** Number of workers, each with an instance of its own. */
// @ts-ignore: decorator
@inline export function workers(): u32 { return load<u32>(WINDOW_BASE + BURST_WORKERS); }

/** Configuration generation; changes with each publish. */
// @ts-ignore: decorator
@inline export function generation(): u32 { return load<u32>(WINDOW_BASE + BURST_GENERATION); }

/** The packets of one call, in the order of arrival. A view over the burst header at WINDOW_BASE. */
@unmanaged
export class Batch {
  /** Number of packets. */
  // @ts-ignore: decorator
  @inline get length(): i32 { return load<i32>(WINDOW_BASE + BURST_COUNT); }

  /** The packet at `index`, and notes it as the one in work. Traps when `index` is not below `length`. */
  // @ts-ignore: decorator
  @inline at(index: i32): Packet {
    if (<u32>index >= load<u32>(WINDOW_BASE + BURST_COUNT)) unreachable();
    store<u32>(WINDOW_BASE + BURST_CURRENT, index);
    return changetype<Packet>(<usize>load<u32>(<usize>index << 2, WINDOW_BASE + SLOT_LIST_OFFSET));
  }
}
