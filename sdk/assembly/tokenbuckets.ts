import { now, workers } from "./burst";
import { LruTable } from "./lru";

/** Steps of time in a second: sixteenths of a nanosecond, so that high rates keep their precision. */
const STEPS: u64 = 16000000000;

/** When the bucket is full again, in steps; 0: it is. */
@unmanaged
class Bucket { fullAt: u64; }

/**
 * A token bucket for each key: `const limits = new TokenBuckets<u32>(65536)` at a file's top level,
 * `limits.take(source, 1, 1000, 100)` on the packet path. A bucket starts full and fills with time (`now`). Keys are as
 * LruTable's; when there are more than `capacity`, the key not seen for longest loses its bucket, and starts with a
 * full one when it comes back: make the capacity larger than the number of keys that are seen while a bucket fills.
 *
 * Memory: an LruTable's with values of 8 bytes. Each worker has its own: packets of one key may reach several workers,
 * and together get several times the rate; `workerShare` divides it among them.
 */
@final @unmanaged
export class TokenBuckets<K> {
  /** `capacity`: the most keys. */
  constructor(capacity: u32) {
    return changetype<TokenBuckets<K>>(changetype<usize>(new LruTable<K, Bucket>(capacity)));
  }

  /** Keys that have a bucket. */
  get size(): u32 { return this.buckets.size; }

  /**
   * Takes `cost` tokens from the key's bucket, which gets `rate` tokens a second (at most 2^32) and holds `burst`.
   * False, and none taken, when there are not as many. A cost above `burst` never passes, nor does anything at rate 0.
   */
  take(key: K, cost: u32, rate: u64, burst: u64): bool {
    if (rate == 0 || <u64>cost > burst) return false;
    const bucket = this.buckets.add(key);
    const time = now() << 4;
    const fullAt = max<u64>(bucket.fullAt, time) + (<u64>cost * STEPS + (rate >>> 1)) / rate;
    if (fullAt - time > fillTime(burst, rate)) return false;
    bucket.fullAt = fullAt;
    return true;
  }
  /** Tokens in the key's bucket, of the same rate and burst as `take` has. Does not make one. */
  tokens(key: K, rate: u64, burst: u64): u64 {
    const bucket = this.buckets.find(key);
    const time = now() << 4;
    if (!bucket || bucket.fullAt <= time) return burst;
    const missing = <f64>(bucket.fullAt - time) * <f64>rate / <f64>STEPS;
    return missing >= <f64>burst ? 0 : <u64>(<f64>burst - missing);
  }

  // @ts-ignore: decorator
  @inline private get buckets(): LruTable<K, Bucket> {
    return changetype<LruTable<K, Bucket>>(changetype<usize>(this));
  }
}

/** Steps in which an empty bucket becomes full; at most a year's. */
// @ts-ignore: decorator
@inline function fillTime(burst: u64, rate: u64): u64 {
  return burst > 1000000000 ? <u64>min<f64>(<f64>burst / <f64>rate * <f64>STEPS, 5e17) : burst * STEPS / rate;
}

/** This worker's part of a rate or a burst for all workers; at least 1 when that is. */
export function workerShare(amount: u64): u64 {
  const count = <u64>workers();
  return (amount + count - 1) / count;
}
