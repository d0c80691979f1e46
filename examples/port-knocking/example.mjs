// Writes example.pcap: `node example.mjs`.
import { ipv4, ipv6, packet, tcp, writePcap } from "@sluice/sdk/testing";

let sourcePort = 40000;
const from4 = (destinationPort) =>
  packet(
    ipv4({ source: "10.0.0.1", destination: "192.0.2.1" }),
    tcp({ sourcePort: sourcePort++, destinationPort, flags: "S" }),
  );
const from6 = (destinationPort) =>
  packet(
    ipv6({ source: "2001:db8::1", destination: "2001:db8:2::1" }),
    tcp({ sourcePort: sourcePort++, destinationPort, flags: "S" }),
  );

writePcap("example.pcap", [...[22, 7000, 9000, 8000, 22].map(from4), ...[7000, 8000, 9000, 22].map(from6)]);
