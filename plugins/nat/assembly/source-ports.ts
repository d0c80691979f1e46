import { Counter, mix, mixPair, now, Packet, random, reduce } from "@sluice/sdk";
import { Pool } from "./tables";

const exhausted = new Counter("source_port_guesses", "Flows that got a source port which may be in use");

// Which reply tuples this worker gave out of late: u32 tag of the tuple, u32 second when it was given. One place for each
// hash; a later tuple takes the place of an earlier one. It is a memory aid, not a truth: other workers' choices, and
// flows older than HOLD, are not in it. Where the guess is wrong conntrack refuses the packet (reply-tuple-clash), and the
// sender's next attempt finds the tuple noted here and gets another port.
const PLACES: u32 = 65536;
const HOLD: u32 = 120;
const PROBES: u32 = 16;
const taken = new StaticArray<u64>(PLACES);

/** Notes that the tuple is in use from now on; false when it was noted already. */
function claim(tuple: u64, second: u32): bool {
  const place = <i32>(<u32>tuple & (PLACES - 1));
  const tag = <u32>(tuple >>> 32);
  const found = unchecked(taken[place]);
  const isTaken = <u32>found == tag && found != 0 && second - <u32>(found >>> 32) < HOLD;
  if (isTaken) return false;
  unchecked((taken[place] = <u64>second << 32 | <u64>tag));
  return true;
}

/** The source port or ICMP identifier for a new flow: its own if the pool has it free, else one by the flow's hash. */
export function choosePort(packet: Packet, pool: Pool, own: u32, peerPort: u32): u32 {
  let tuple = mixPair(mixPair(pool.high, pool.low), <u64>packet.protocol << 16 | <u64>peerPort);
  if (packet.isIpv6) {
    const peer = packet.ipv6.destination;
    tuple = mixPair(mixPair(tuple, peer.high), peer.low);
  } else {
    tuple = mixPair(tuple, packet.ipv4.destination);
  }
  const second = <u32>(now() / 1000000000);
  if (own >= pool.first && own <= pool.last && claim(mixPair(tuple, own), second)) return own;
  const size = pool.last - pool.first + 1;
  let offset = reduce(mixPair(packet.hash, own), size);
  for (let i: u32 = 0; i < PROBES; i++) {
    const port = pool.first + offset;
    if (claim(mixPair(tuple, port), second)) return port;
    offset = offset + 1 == size ? 0 : offset + 1;
  }
  exhausted.add();
  return pool.first + reduce(mix(random() ^ <u64>packet.hash), size);
}
