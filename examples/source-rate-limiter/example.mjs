// Writes example.pcap: `node example.mjs`.
import { filler, ipv4, ipv6, packet, udp, writePcap } from "@sluice/sdk/testing";

const ports = udp({ sourcePort: 40000, destinationPort: 9 });
const from4 = (source) => packet(ipv4({ source, destination: "198.51.100.1" }), ports, filler(72));
const from6 = (source) => packet(ipv6({ source, destination: "2001:db8:2::1" }), ports, filler(52));

// 100 bytes each, 1 ms after the one before.
writePcap("example.pcap", [
  ...Array.from({ length: 16 }, () => from4("10.0.0.1")),
  from4("10.0.0.2"),
  from6("2001:db8::1"),
  from6("2001:db8::2"),
]);
