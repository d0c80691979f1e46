// Writes example.pcap: `node example.mjs`.
import { filler, ipv4, ipv6, packet, tcp, udp, writePcap } from "@sluice/sdk/testing";

const web = tcp({ sourcePort: 40000, destinationPort: 80 });
const dns = udp({ sourcePort: 40000, destinationPort: 53 });
const there = ipv4({ source: "10.0.0.1", destination: "198.51.100.1" });
const back = ipv4({ source: "198.51.100.1", destination: "10.0.0.1" });
const there6 = ipv6({ source: "2001:db8::1", destination: "2001:db8:9::1" });

writePcap("example.pcap", [
  packet(there, web, filler(500)),
  packet(back, tcp({ sourcePort: 80, destinationPort: 40000 }), filler(500)),
  packet(there6, web, filler(100)),
  packet(there, dns, filler(40)),
  packet(ipv4({ source: "11.0.0.1", destination: "198.51.100.1" }), web),
  packet(ipv6({ source: "fd00::1", destination: "fd00::2" }), web),
]);
