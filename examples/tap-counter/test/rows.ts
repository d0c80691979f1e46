import { icmpv6, ipv4, ipv6, packetHex, type Row, tcp } from "@sluice/sdk/testing";

const syn = packetHex(
  ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
  tcp({ sourcePort: 40000, destinationPort: 80, flags: "S" }),
);
const ack = packetHex(
  ipv4({ source: "10.1.0.1", destination: "10.2.0.2" }),
  tcp({ sourcePort: 40000, destinationPort: 80, flags: "A" }),
);
const echo = packetHex(ipv6({ source: "fd00:1::1", destination: "fd00:2::2" }), icmpv6({ type: 128 }), "ping");

export const rows: Row[] = [
  {
    name: "counts packets, bytes and connections, and changes nothing",
    hook: "forward",
    packets: [syn, ack, echo].map((bytes) => ({ in: bytes, expect: { verdict: "pass", out: "same" } })),
    counters: { ipv4_packets: 2, ipv6_packets: 1, bytes: 40 + 40 + 52, tcp_connections: 1 },
  },
];
