import { Flag, SLOT_FLAGS } from "./generated/abi";
import { Packet } from "./packet";

/**
 * Says that the flow's reply tuple is no longer right: the host takes it anew from this packet as it leaves. For a stage
 * that translates an established flow to another place than before; only packets in the original direction can say it.
 */
export function renewReply(packet: Packet): void {
  const flags = changetype<usize>(packet) + SLOT_FLAGS;
  store<u16>(flags, load<u16>(flags) | Flag.REPLY_CHANGED);
}
