// The gate's next version: its flow state has another schema.
import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ name: "gate", version: "2.0.0" });

@flowState(2)
@unmanaged
class Session { bursts: u32; packets: u32; }

const seen = new Counter("packets", "Packets of all kinds");
const migrated = new Counter("migrated", "Flow states taken over");

@migrate(1)
export function fromFirst(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const state = batch.at(i).updateFlow<Session>();
    state.packets = state.bursts + 1000;
    state.bursts = 0;
    migrated.add();
  }
}

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    seen.add();
    if (packet.hasFlow) packet.mark = packet.updateFlow<Session>().packets++;
  }
}
