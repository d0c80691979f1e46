// Writes example.pcap: `node example.mjs`.
import { ipv4, ipv6, packet, tcp, writePcap } from "@sluice/sdk/testing";

const ports = (sourcePort) => ({ sourcePort, destinationPort: 443 });
const syn = (sourcePort) => tcp({ ...ports(sourcePort), flags: "S", sequence: sourcePort, options: { mss: 1460 } });
const from4 = (i) => packet(ipv4({ source: `10.7.${i}.1`, destination: "192.0.2.1" }), syn(20000 + i));
const from6 = (i) => packet(ipv6({ source: `2001:db8:${i}::1`, destination: "2001:db8:2::1" }), syn(30000 + i));
const elsewhere = packet(ipv4({ source: "10.7.0.1", destination: "198.51.100.1" }), syn(20000));
const data = packet(ipv4({ source: "10.7.0.1", destination: "192.0.2.1" }), tcp(ports(20000)), "data");

const ten = Array.from({ length: 10 }, (_, i) => i);
writePcap("example.pcap", [...ten.map(from4), elsewhere, data, ...ten.map(from6)]);
