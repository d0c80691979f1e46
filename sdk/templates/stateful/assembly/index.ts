import { Batch, Counter, dropReason, Settings } from "@sluice/sdk";

/** What the stage keeps in each flow. Another layout needs another schema number. */
@unmanaged
@flowState(1)
class Session {
  bytes: u64;
  packets: u32;
  private spare: u32;
}

@config
class Limits {
  /** Bytes that a flow may send, both directions together. */
  @minimum(1)
  bytes: u64;
}

const limits = new Settings<Limits>();
const used = dropReason("quota-used", "The flow has sent all that it may");
const cut = new Counter("cut_flows", "Flows that used up their quota");

// @ts-ignore: decorator
@hook("forward")
export function limit(batch: Batch): void {
  if (!limits.isSet) return;
  const quota = limits.value.bytes;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.hasFlow) continue;
    const session = packet.updateFlow<Session>();
    const before = session.bytes;
    session.packets++;
    session.bytes += packet.length;
    if (session.bytes <= quota) continue;
    if (before <= quota) cut.add();
    packet.drop(used);
  }
}
