// A hash lookup by destination, and its rewriting with incremental checksums: the algorithm of dnat.h in AssemblyScript.
// Each mapping is there in both directions, so that a packet may go through again and again.
import { Batch, HashTable, Json, Protocol, definePlugin } from "@sluice/sdk";

definePlugin({ name: "dnat", version: "1.0.0", headerBytes: 64, segmentBytes: 8388608 });

@unmanaged
class Target {
  address: u32;
  port: u32;
}

const targets = new HashTable<u64, Target>("targets");

// @ts-ignore: decorator
@inline function keyOf(address: u32, port: u32, protocol: u32): u64 {
  return <u64>address << 32 | <u64>(port << 8 | protocol);
}

function map(fromAddress: u32, fromPort: u32, toAddress: u32, toPort: u32): void {
  const target = targets.add(keyOf(fromAddress, fromPort, Protocol.Udp));
  if (target == null) return;
  target.address = toAddress;
  target.port = toPort;
}

@configure
function build(config: Json): void {
  const count = config.need("targets").unsigned();
  targets.reserve(2 * count);
  for (let i: u32 = 0; i < count; i++) {
    map(0x0a000000 + i, 80, 0x0b000000 + i, 8080);
    map(0x0b000000 + i, 8080, 0x0a000000 + i, 80);
  }
}

@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isIpv4) continue;
    if (!packet.isUdp) continue;
    const target = targets.find(keyOf(packet.ipv4.destination, packet.udp.destinationPort, Protocol.Udp));
    if (target == null) continue;
    packet.setDestinationEndpoint4(target.address, target.port);
  }
}
