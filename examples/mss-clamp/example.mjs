// Writes example.pcap: `node example.mjs`.
import { ipv4, ipv6, packet, tcp, writePcap } from "@sluice/sdk/testing";

const ends4 = { source: "10.1.0.1", destination: "192.0.2.1" };
const ends6 = { source: "2001:db8:1::1", destination: "2001:db8:2::1" };
const syn = (mss, flags = "S") => tcp({ sourcePort: 40000, destinationPort: 443, flags, options: { mss } });

writePcap("example.pcap", [
  packet(ipv4(ends4), syn(1460)),
  packet(
    ipv4({ source: ends4.destination, destination: ends4.source }),
    tcp({ sourcePort: 443, destinationPort: 40000, flags: "SA", options: { mss: 1460 } }),
  ),
  packet(ipv4(ends4), tcp({ sourcePort: 40000, destinationPort: 443 }), "data"),
  packet(ipv6(ends6), syn(1440)),
  packet(ipv6({ ...ends6, source: "2001:db8:1::2" }), syn(1220)),
]);
