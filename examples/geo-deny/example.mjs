// Writes example.pcap: `node example.mjs`.
import { ipv4, ipv6, packet, udp, writePcap } from "@sluice/sdk/testing";

const ports = udp({ sourcePort: 40000, destinationPort: 9 });
const from4 = (source) => packet(ipv4({ source, destination: "198.51.100.1" }), ports);
const from6 = (source) => packet(ipv6({ source, destination: "fd00::1" }), ports);

writePcap("example.pcap", [
  from4("203.0.113.9"),
  from4("192.0.2.1"),
  from6("2001:db8::1"),
  from6("2001:db8:1::1"),
  from6("2001:db9::1"),
]);
