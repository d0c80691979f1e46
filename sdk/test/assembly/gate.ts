// A stage that does a bit of everything, by the destination port: for the harness's own tests.
import { Batch, Counter, definePlugin, DropReason, dropReason, generation, isSourceTaken, Json, Packet } from "@sluice/sdk";
import { Prefix, Scratch, Settings } from "@sluice/sdk";

definePlugin({ name: "gate", version: "1.0.0" });

@unmanaged
class Backend { address: u32; }

@flowState(1)
@unmanaged
class Session { packets: u32; }

const telnet = dropReason("telnet", "Telnet is not for this network");
const seen = new Counter("packets", "Packets of all kinds");
const sessions = new Counter("sessions", "Flows begun");
const backend = new Settings<Backend>("backend");
const worker = new Scratch(8);
const prefix = new Prefix();

@configure
function build(config: Json): void {
  const address = config.need("backend");
  const made = backend.make();
  if (address.prefix(prefix) && made) made.address = prefix.address4;
}

function toBackend(packet: Packet): void {
  const found = backend.value;
  if (found && packet.isIpv4) packet.setDestination4(found.address);
}

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    seen.add();
    worker.set<u32>(0, worker.get<u32>(0) + 1);
    if (packet.hasFlow) {
      if (packet.isFlowStateNew) sessions.add();
      packet.updateFlow<Session>().packets++;
    }
    const port = packet.destinationPort;
    if (port == 22) packet.drop(DropReason.Policy);
    else if (port == 23) packet.drop(telnet);
    else if (port == 80) toBackend(packet);
    else if (port == 443) packet.redirect4(3, 0x0a000009);
    else if (port == 1) packet.mark = worker.get<u32>(0);
    else if (port == 2) packet.mark = generation();
    else if (port == 7) for (;;) worker.set<u32>(4, 1);
    else if (port == 9) unreachable();
    else if (port == 8) packet.mark = <u32>isSourceTaken(packet, 0, 0x0a010002, 40000);
  }
}
