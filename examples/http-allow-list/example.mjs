// Writes example.pcap: `node example.mjs`.
import { ipv4, ipv6, packet, tcp, writePcap } from "@sluice/sdk/testing";

const ends4 = { source: "10.1.0.1", destination: "192.0.2.80" };
const ends6 = { source: "2001:db8:1::1", destination: "2001:db8:2::80" };
const turned = ({ source, destination }) => ({ source: destination, destination: source });
const data = (ip, sourcePort, sequence, payload) =>
  packet(ip, tcp({ sourcePort, destinationPort: 80, sequence, acknowledgment: 5001, flags: "AP" }), payload);
/** SYN and SYN+ACK: the client's first byte is number 1001. */
const begin = (ip, back, port) => [
  packet(ip, tcp({ sourcePort: port, destinationPort: 80, sequence: 1000, flags: "S" })),
  packet(back, tcp({ sourcePort: 80, destinationPort: port, sequence: 5000, acknowledgment: 1001, flags: "SA" })),
];
const begin4 = (port) => begin(ipv4(ends4), ipv4(turned(ends4)), port);
const part = "GET / HTTP/1.1\r\nHost: exam";

writePcap("example.pcap", [
  ...begin4(40000),
  data(ipv4(ends4), 40000, 1001, part),
  data(ipv4(ends4), 40000, 1001 + part.length, "ple.com\r\n\r\n"),
  data(ipv4(ends4), 40000, 1001 + part.length + 11, "later requests are not read"),
  ...begin(ipv6(ends6), ipv6(turned(ends6)), 40001),
  data(ipv6(ends6), 40001, 1001, "GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n"),
  ...begin4(40002),
  data(ipv4(ends4), 40002, 1001, "GET / HTTP/1.0\r\n\r\n"),
  data(ipv4(ends4), 40003, 1001, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
]);
