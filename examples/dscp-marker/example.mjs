// Writes example.pcap: `node example.mjs`.
import { filler, ipv4, ipv6, packet, tcp, udp, writePcap } from "@sluice/sdk/testing";

const header4 = ipv4({ source: "10.1.0.1", destination: "10.2.0.2" });
const header6 = ipv6({ source: "fd00:1::1", destination: "fd00:2::2" });
const to = (destinationPort) => ({ sourcePort: 40000, destinationPort });

writePcap("example.pcap", [
  packet(header4, udp(to(5060)), "OPTIONS"),
  packet(header4, udp(to(20002)), filler(160)),
  packet(header6, udp(to(20002)), filler(160)),
  packet(header4, tcp(to(80))),
]);
