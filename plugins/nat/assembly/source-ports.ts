import { isSourceTaken, mix, mixPair, now, Packet, reduce } from "@sluice/sdk";
import { Pool } from "./tables";

/** No port of the pool is free, of those that were tried. */
// @ts-ignore: decorator
@inline export const NO_PORT: u32 = 0xffffffff;

// Which replies are a flow's is conntrack's to say, but for flows that this worker has begun in the burst in work: those
// are noted here. Buckets of places: u32 tag of the tuple, u32 time of the burst (ns, the low half). What is of another
// burst is free.
const BUCKETS: u32 = 4096;
const BUCKET: u32 = 4;
const begun = new StaticArray<u64>(BUCKETS * BUCKET);

// Tries cost a call of the host each. A call of the hook has SEARCH of them for flows that need many, and after that LEAST
// for each flow: two milliseconds for a burst of new flows to places to which all ports are taken.
const SEARCH: u32 = 16384;
const LEAST: u32 = 16;
let left: u32 = SEARCH;

// Places to which no port was free: u32 tag of pool and peer, u32 millisecond. For so long nobody searches there in full.
const FULL_PLACES: u32 = 256;
const FULL_MS: u32 = 100;
const full = new StaticArray<u64>(FULL_PLACES);

/** A call of the hook begins. */
export function beginPorts(): void {
  left = SEARCH;
}

/** Notes that a flow of this burst has the tuple; false when another has it. */
function note(tuple: u64, burst: u32): bool {
  const first = (<u32>tuple & (BUCKETS - 1)) * BUCKET;
  const entry = tuple >> 32 << 32 | <u64>burst;
  let place: i32 = -1;
  for (let i = first; i < first + BUCKET; i++) {
    const found = unchecked(begun[i]);
    if (found == entry) return false;
    if (place < 0 && <u32>found != burst) place = i;
  }
  if (place < 0) return false;
  unchecked((begun[place] = entry));
  return true;
}

function claim(packet: Packet, pool: Pool, to: u64, port: u32, burst: u32): bool {
  return !isSourceTaken(packet, pool.high, pool.low, port) && note(mixPair(to, port), burst);
}

/** Of pool and peer: flows with the same hash must have different ports. */
function placeOf(packet: Packet, pool: Pool, peerPort: u32): u64 {
  const own = mixPair(mixPair(pool.high, pool.low), <u64>packet.protocol << 16 | <u64>peerPort);
  if (!packet.isIpv6) return mixPair(own, packet.ipv4.destination);
  const peer = packet.ipv6.destination;
  return mixPair(mixPair(own, peer.high), peer.low);
}

/** A step that leads through all of `size` ports. */
function strideOf(hash: u64, size: u32): u32 {
  let step: u32 = size > 2 ? 1 + reduce(hash, size - 1) : 1;
  while (!isCoprime(step, size)) step = step + 1 < size ? step + 1 : 1;
  return step;
}

function isCoprime(a: u32, b: u32): bool {
  while (b != 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return a == 1;
}

/** The source port or ICMP identifier for a new flow: its own if the pool has it free, else one by the flow's hash. */
export function choosePort(packet: Packet, pool: Pool, own: u32, peerPort: u32): u32 {
  const to = placeOf(packet, pool, peerPort);
  const nanoseconds = now();
  const burst = <u32>nanoseconds;
  if (own >= pool.first && own <= pool.last && claim(packet, pool, to, own, burst)) return own;

  const millisecond = <u32>(nanoseconds / 1000000);
  const size = pool.last - pool.first + 1;
  const tries = min(size, isFull(to, millisecond) ? LEAST : max(left, LEAST));
  const hash = mixPair(packet.hash, own);
  const step = strideOf(mix(hash), size);
  let offset = reduce(hash, size);
  for (let i: u32 = 0; i < tries; i++) {
    const port = pool.first + offset;
    if (claim(packet, pool, to, port, burst)) {
      spend(i);
      return port;
    }
    offset = offset < size - step ? offset + step : offset - (size - step);
  }
  spend(tries);
  if (tries == size) noteFull(to, millisecond);
  return NO_PORT;
}

function spend(tries: u32): void {
  left = left > tries ? left - tries : 0;
}

function isFull(to: u64, millisecond: u32): bool {
  const found = unchecked(full[<i32>(<u32>to & (FULL_PLACES - 1))]);
  return <u32>(found >>> 32) == <u32>(to >>> 32) && millisecond - <u32>found < FULL_MS;
}

function noteFull(to: u64, millisecond: u32): void {
  unchecked((full[<i32>(<u32>to & (FULL_PLACES - 1))] = to >> 32 << 32 | <u64>millisecond));
}
