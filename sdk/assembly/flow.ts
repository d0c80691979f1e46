import { Flag, SLOT_FLAGS, source_taken } from "./generated/abi";
import { Packet } from "./packet";

/**
 * Says that the flow's reply tuple is no longer right: the host takes it anew from this packet as it leaves. For a stage
 * that translates an established flow to another place than before; only packets in the original direction can say it.
 */
export function renewReply(packet: Packet): void {
  const flags = changetype<usize>(packet) + SLOT_FLAGS;
  store<u16>(flags, load<u16>(flags) | Flag.REPLY_CHANGED);
}

/**
 * Whether another flow owns the replies that this packet's flow would get if the packet left with another source: with the
 * address `high`, `low` (of IPv4 in the lowest 32 bits of `low`) and `port`, an ICMP query with it as its identifier. For a
 * stage that chooses a source for a new flow: a packet whose replies are another flow's is dropped as `reply-tuple-clash`.
 * The packet's destination counts as it was before this call of the hook. What is free may be taken before the packet has
 * left, by another worker's flow or by one that this call has begun: a stage notes what it gave out in this burst itself.
 * Costs a call of the host.
 */
export function isSourceTaken(packet: Packet, high: u64, low: u64, port: u32): bool {
  return source_taken(<i32>changetype<usize>(packet), high, low, port) != 0;
}
