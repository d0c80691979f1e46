// Writes example.pcap: `node example.mjs`.
import { dnsQuery, ipv4, ipv6, packet, udp, writePcap } from "@sluice/sdk/testing";

const ends4 = { source: "10.1.0.1", destination: "192.0.2.53" };
const ends6 = { source: "2001:db8:1::1", destination: "2001:db8:2::53" };
const ports = udp({ sourcePort: 40000, destinationPort: 53 });

writePcap("example.pcap", [
  packet(ipv4(ends4), ports, dnsQuery({ name: "example.org" })),
  packet(ipv4(ends4), ports, dnsQuery({ name: "www.bad.example" })),
  packet(ipv6(ends6), ports, dnsQuery({ name: "example.org", type: "ANY" })),
  packet(ipv4(ends4), ports, dnsQuery({ name: "example.org" }).subarray(0, 20)),
  packet(ipv4(ends4), ports, dnsQuery({ name: "example.org" }), new Uint8Array(600)),
  packet(ipv4(ends4), udp({ sourcePort: 40000, destinationPort: 443 }), "not DNS"),
]);
