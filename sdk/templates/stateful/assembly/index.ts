import { Batch, Counter, dropReason, Json, Settings } from "@sluice/sdk";

/** What the stage keeps in each flow. Another layout needs another schema number. */
@unmanaged
@flowState(1)
export class Session {
  packets: u32;
  private spare: u32;
  bytes: u64;
}

@unmanaged
class Limits {
  /** A flow may send so many bytes, both directions together. */
  bytes: u64;
}

const limits = new Settings<Limits>("limits");
const used = dropReason("quota-used", "The flow has sent all that it may");
const cut = new Counter("cut_flows", "Flows that used up their quota");

// @ts-ignore: decorator
@configure
export function build(config: Json): void {
  const made = limits.make();
  if (made != null) made.bytes = <u64>config.need("bytes").integer(1, i64.MAX_VALUE);
}

// @ts-ignore: decorator
@hook("forward")
export function limit(batch: Batch): void {
  const all = limits.value;
  if (all == null) return;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.hasFlow) continue;
    const session = packet.updateFlow<Session>();
    const before = session.bytes;
    session.packets++;
    session.bytes += packet.length;
    if (session.bytes <= all.bytes) continue;
    if (before <= all.bytes) cut.add();
    packet.drop(used);
  }
}
