// The packet builder against checksums from elsewhere, and what the tests' own tools say of packets.

import {
  addressBytes,
  addressText,
  checksum,
  crc32c,
  describePacket,
  fragment,
  icmpv6,
  ipv4,
  ipv6,
  options,
  packet,
  packetDiff,
  packetHex,
  srh,
  udp,
} from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("checksums", () => {
  test("of RFC 1071's example", () => {
    expect(checksum(bytes("0001 f203 f4f5 f6f7"))).toBe(~0xddf2 & 0xffff);
  });
  test("of an odd number of bytes", () => {
    expect(checksum(bytes("0102 03"))).toBe(~(0x0102 + 0x0300) & 0xffff);
  });
  test("CRC32c's check value", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });
});

describe("packets, byte by byte", () => {
  test("a UDP datagram as in a well-known example of the IPv4 header checksum", () => {
    const header = ipv4({ source: "192.168.0.1", destination: "192.168.0.199", dontFragment: true, protocol: 17 });
    expect(packetHex(header, Buffer.alloc(95)).slice(0, 40)).toBe(
      "450000730000400040 11b861c0a80001c0a800c7".replaceAll(" ", ""),
    );
  });
  test("IPv6 with hop-by-hop options, a routing header and a fragment header in front of UDP", () => {
    const parts = [
      ipv6({ source: "::1:1", destination: "::2" }),
      options(0),
      srh({ segments: ["::3"] }),
      fragment({ more: true }),
      udp({ sourcePort: 1, destinationPort: 2 }),
    ];
    const hex = packetHex(...parts);
    const headers = [hex.slice(12, 14), hex.slice(80, 96), hex.slice(96, 144), hex.slice(144, 160)];
    expect(headers).toEqual(["00", "2b00010400000000", `2c02040000000000${"0".repeat(31)}3`, "1100000100000001"]);
  });
});

describe("addresses", () => {
  test.each([
    ["10.0.0.1", "0a000001", "10.0.0.1"],
    ["::", "0".repeat(32), "::"],
    ["fd00::1", `fd00${"0".repeat(27)}1`, "fd00::1"],
    ["1:0:0:2:0:0:0:3", "00010000000000020000000000000003", "1:0:0:2::3"],
    ["1:2:3:4:5:6:7:0", "00010002000300040005000600070000", "1:2:3:4:5:6:7:0"],
    ["::ffff:10.0.0.1", "00000000000000000000ffff0a000001", "::ffff:a00:1"],
  ])("%s", (text, hex, canonical) => {
    expect(Buffer.from(addressBytes(text)).toString("hex")).toBe(hex);
    expect(addressText(addressBytes(text))).toBe(canonical);
  });
  test.each(["10.0.0", "fd00::1%eth0", "host"])("%s is none", (text) => {
    expect(() => addressBytes(text)).toThrow(`'${text}' is no IPv4 or IPv6 address`);
  });
});

describe("packetDiff", () => {
  const v6 = { source: "fd00::1", destination: "fd00::2" };
  const of = (port: number, payload = "a") =>
    packetHex(ipv6(v6), udp({ sourcePort: port, destinationPort: 2, checksum: 0 }), payload);
  test("names the fields that differ", () => {
    expect(packetDiff(of(1), of(1))).toEqual([]);
    expect(packetDiff(of(1), of(3))).toEqual(["udp.sourcePort is 3, expected 1"]);
    const longer = [
      "ipv6.payloadLength is 10, expected 9",
      "udp.length is 10, expected 9",
      "payload is 6162, expected 61",
    ];
    expect(packetDiff(of(1), of(1, "ab"))).toEqual(longer);
  });
  test("looks into tunnels and errors", () => {
    const quoted = packet(ipv6(v6), udp({ sourcePort: 1, destinationPort: 2 }));
    expect(describePacket(packetHex(ipv6(v6), icmpv6({ type: 1 }), quoted))).toMatchObject({
      "quoted.udp.sourcePort": "1",
    });
    expect(describePacket(packetHex(ipv6({ ...v6, nextHeader: 41 }), quoted))).toMatchObject({
      "inner.udp.destinationPort": "2",
    });
  });
});
