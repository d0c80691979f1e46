// A stage that does more than let packets pass: for the harness's own tests.
import { Batch, definePlugin, DropReason, emitReset, Gauge, Histogram, TraceValue } from "@sluice/sdk";

definePlugin({ name: "speaker", version: "1.0.0" });

const last = new Gauge("last_port", "Destination port of the last packet");
const sizes = new Histogram("packet_bytes", "Packets by length", [30, 60]);
const rule = new TraceValue("rule", "What was decided");

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const port = packet.destinationPort;
    last.set(port);
    sizes.observe(packet.length);
    rule.note(packet, port);
    if (port == 5) packet.mirror(5);
    else if (port == 7) packet.reply();
    else if (port == 81) {
      emitReset(packet);
      packet.drop(DropReason.Policy);
    } else if (port == 41) packet.reinput(1);
  }
}
