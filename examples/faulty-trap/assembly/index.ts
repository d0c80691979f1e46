// Wrong on purpose: a UDP packet to port 667 makes this stage read past the packet's end, which traps.
import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ name: "faulty-trap", headerBytes: 64, failure: "Reload" });

const sum = new Counter("last_bytes", "Sum of bytes read");

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packet.setDscp(1); // thrown away with the burst when a later packet traps
    if (packet.isUdp && packet.destinationPort == 667) sum.add(packet.u8At(packet.viewLength));
  }
}
