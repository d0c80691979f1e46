import { icmp, ipv4, ipv6, type PacketRow, packetHex, type Row, tcp, udp } from "@sluice/sdk/testing";

export { build } from "../build.mjs";

const BGP = 179;
const CS6 = 48;
type Ports = { sourcePort: number; destinationPort: number };
const session: Ports = { sourcePort: 40000, destinationPort: BGP };
const packet4 = (ttl: number, dscp = 0, ports = session): string =>
  packetHex(ipv4({ source: "192.0.2.1", destination: "192.0.2.2", ttl, dscp, ecn: 1 }), tcp(ports));
const packet6 = (hopLimit: number, dscp = 0, ports = session): string =>
  packetHex(
    ipv6({ source: "fe80::1", destination: "fe80::2", hopLimit, dscp, ecn: 1, flowLabel: 0xf1234 }),
    tcp(ports),
  );

const refused = (bytes: string, more: Partial<PacketRow> = {}): PacketRow => ({
  in: bytes,
  ...more,
  expect: { verdict: "drop", reason: "ttl-too-low" },
});
const marked = (before: string, after: string): PacketRow => ({ in: before, expect: { verdict: "pass", out: after } });
const same = (bytes: string): PacketRow => marked(bytes, "same");
const counted = (packets: number, flows = 0) => ({ refused_packets: packets, refused_flows: flows });

export const rows: Row[] = [
  {
    name: "a neighbour's packets pass, marked CS6 with ECN and flow label kept",
    hook: "prerouting",
    packets: [marked(packet4(255), packet4(255, CS6)), marked(packet6(255), packet6(255, CS6))],
    counters: counted(0),
  },
  {
    name: "packets that are marked already are not written",
    hook: "prerouting",
    packets: [same(packet4(255, CS6)), same(packet6(255, CS6))],
  },
  {
    name: "packets that came over a router are dropped",
    hook: "prerouting",
    packets: [refused(packet4(254)), refused(packet6(254)), refused(packet4(1))],
    counters: counted(3),
  },
  {
    name: "both directions of a session are guarded",
    hook: "prerouting",
    packets: [refused(packet4(64, 0, { sourcePort: BGP, destinationPort: 40000 }))],
    counters: counted(1),
  },
  {
    name: "other services, protocols and fragments without ports are left alone",
    hook: "prerouting",
    packets: [
      same(packet4(64, 0, { sourcePort: 40000, destinationPort: 80 })),
      same(packetHex(ipv4({ source: "192.0.2.1", destination: "192.0.2.2" }), udp(session), "x")),
      same(packetHex(ipv4({ source: "192.0.2.1", destination: "192.0.2.2" }), icmp({ type: 8 }), "ping")),
      same(
        packetHex(
          ipv4({ source: "192.0.2.1", destination: "192.0.2.2", fragmentOffset: 64, protocol: 6 }),
          new Uint8Array(24),
        ),
      ),
    ],
    counters: counted(0),
  },
  {
    name: "a flow is counted once, however many of its packets are refused",
    hook: "prerouting",
    packets: [
      refused(packet4(3), { flow: "a", at: 0 }),
      refused(packet4(3), { flow: "a", at: 1 }),
      refused(packet6(3), { flow: "b", at: 2 }),
      { in: packet4(255), flow: "a", at: 3, expect: { verdict: "pass", flowState: "02000000" } },
    ],
    counters: counted(3, 2),
  },
  {
    name: "port and distance are the configuration's",
    hook: "prerouting",
    config: { port: 646, hops: 3 },
    packets: [
      marked(
        packet4(253, 0, { sourcePort: 40000, destinationPort: 646 }),
        packet4(253, CS6, { sourcePort: 40000, destinationPort: 646 }),
      ),
      refused(packet4(252, 0, { sourcePort: 646, destinationPort: 40000 })),
      same(packet4(1)),
    ],
    counters: counted(1),
  },
  {
    name: "what the configuration leaves out is the default",
    hook: "prerouting",
    config: {},
    packets: [refused(packet4(254)), marked(packet4(255), packet4(255, CS6))],
  },
];

export const badConfigs = [
  { config: [], error: "the configuration must be an object" },
  { config: { hops: 0 }, error: "hops must be an integer from 1 to 255" },
  { config: { port: 179, hops: 256 }, error: "hops must be an integer from 1 to 255" },
  { config: { port: "bgp" }, error: "port must be an integer from 1 to 65535" },
  { config: { port: 1.5 }, error: "port must be an integer from 1 to 65535" },
  { config: { ttl: 3 }, error: "the configuration has another key than port and hops" },
];
