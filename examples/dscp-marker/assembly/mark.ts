import { Batch, Counter, TraceValue } from "@sluice/sdk";
import { dscpOf, KEEP } from "./classes";
export { build } from "./classes";

/** What a flow carries from one version of the marker to the next. */
@flowState(1)
@unmanaged
export class Session {
  packets: u32;
  /** Version of the marker that saw the flow last. */
  version: u32;
}

const marked = new Counter("marked_packets", "Packets marked");
const sessions = new Counter("new_sessions", "Flows that began while this version ran");
const kept = new Counter("kept_sessions", "Flows taken over from another version");
const packetsSeen = new TraceValue("session_packets", "Packets of the flow so far");

/** `unset`: what everything is marked with while there is no configuration. */
export function mark(batch: Batch, unset: u32, version: u32): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const dscp = dscpOf(packet, unset);
    if (dscp != KEEP && packet.setDscp(dscp)) marked.add();
    if (!packet.hasFlow) continue;
    const session = packet.updateFlow<Session>();
    if (packet.isFlowStateNew && session.packets == 0) sessions.add();
    else if (session.version != version) kept.add();
    session.packets++;
    session.version = version;
    packetsSeen.note(packet, session.packets);
  }
}
