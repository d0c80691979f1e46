// Writes example.pcap: `node example.mjs`.
import { icmp, ipv4, ipv6, packet, tcp, udp, writePcap } from "@sluice/sdk/testing";

const ports = { sourcePort: 40000, destinationPort: 443 };
const flow4 = packet(ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }), tcp(ports));
const flow6 = packet(ipv6({ source: "2001:db8:1::1", destination: "2001:db8:2::2" }), udp(ports), "data");
const ping = packet(ipv4({ source: "10.9.9.9", destination: "10.9.9.8" }), icmp({ type: 8 }));

// Two flows, and packets of another one for a second and a half when they are idle: the stage looks at its cache as they come.
const at = (milliseconds) => BigInt(milliseconds) * 1_000_000n + 1_700_000_000_000_000_000n;
writePcap("example.pcap", [
  ...[flow4, flow4, flow6, flow4, flow6, flow6].map((bytes, i) => ({ bytes, at: at(i) })),
  ...Array.from({ length: 40 }, (_, i) => ({ bytes: ping, at: at(6000 + 36 * i) })),
]);
