import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ headerBytes: 64, failure: "FailOpen" });

const packets4 = new Counter("ipv4_packets", "IPv4 packets seen");
const packets6 = new Counter("ipv6_packets", "IPv6 packets seen");
const bytes = new Counter("bytes", "Their bytes, from the L3 header");
const connections = new Counter("tcp_connections", "TCP connection requests");

// @ts-ignore: decorator
@hook("forward")
export function observe(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.isIpv4) packets4.add();
    else packets6.add();
    bytes.add(packet.length);
    if (packet.isTcp && packet.tcp.syn && !packet.tcp.hasAck) connections.add();
  }
}
