// Wrong on purpose: a UDP packet to port 666 keeps this stage in a loop without end. The host's time budget stops it.
import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ name: "faulty-loop", headerBytes: 64, failure: "FailOpen" });

const rounds = new Counter("rounds", "Rounds in the endless loop");

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    while (packet.isUdp && packet.destinationPort == 666) rounds.add();
  }
}
