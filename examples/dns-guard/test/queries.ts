import { dnsQuery, hex, ipv4, ipv6, packet, type UdpFields, udp } from "@sluice/sdk/testing";

const client4 = { source: "10.1.0.1", destination: "192.0.2.53" };
const client6 = { source: "2001:db8:1::1", destination: "2001:db8:2::53" };
const ports = (more: Partial<UdpFields> = {}) => udp({ sourcePort: 40000, destinationPort: 53, ...more });

export const query4 = (message: Uint8Array, more: Partial<UdpFields> = {}) =>
  packet(ipv4(client4), ports(more), message);
export const query6 = (message: Uint8Array, more: Partial<UdpFields> = {}) =>
  packet(ipv6(client6), ports(more), message);
/** What the server would send. */
export const answer4 = (message: Uint8Array) =>
  packet(
    ipv4({ source: client4.destination, destination: client4.source }),
    udp({ sourcePort: 53, destinationPort: 40000 }),
    message,
  );
export const answer6 = (message: Uint8Array) =>
  packet(
    ipv6({ source: client6.destination, destination: client6.source }),
    udp({ sourcePort: 53, destinationPort: 40000 }),
    message,
  );

/** A header with these counts, and what follows it. */
export const message = (rest: Uint8Array, counts: [number, number, number, number] = [1, 0, 0, 0], flags = 0x0100) => {
  const header = Buffer.alloc(12);
  [7, flags, ...counts].forEach((word, i) => {
    header.writeUInt16BE(word, 2 * i);
  });
  return Buffer.concat([header, rest]);
};
/** A question for A of a name in wire format: its labels' lengths and bytes, without the root. */
export const question = (name: Uint8Array) => Buffer.concat([name, hex("00 0001 0001")]);
/** EDNS's OPT record (RFC 6891), with padding of so many bytes. */
export const opt = (padding = 0) => {
  const record = hex("00 0029 04d0 00000000 0000");
  return padding === 0
    ? record
    : Buffer.concat([record.subarray(0, 9), word(padding + 4), hex("000c"), word(padding), Buffer.alloc(padding)]);
};
const word = (value: number) => Buffer.from([value >> 8, value & 255]);
export const ask = (name: string, type: Parameters<typeof dnsQuery>[0]["type"] = "A") => dnsQuery({ name, type });
