// Packets as they are built, read by tcpdump and named by describeFrame().

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  arp,
  describeFrame,
  dnsQuery,
  ethernet,
  filler,
  fragment,
  fragmentsOf,
  hex,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  options,
  type Part,
  packet,
  packetDiff,
  packetHex,
  quoted,
  sctp,
  sctpChunk,
  srh,
  tcp,
  udp,
  vlan,
  vxlan,
  writePcap,
} from "@sluice/sdk/testing";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "builders-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What tcpdump says of a frame, in one line. */
function tcpdump(...parts: Part[]): string {
  const file = join(folder, "one.pcap");
  writePcap(file, [{ bytes: packet(...parts), linkType: "ethernet" }]);
  const text = execFileSync("tcpdump", ["-n", "-e", "-vv", "-t", "-r", file], { encoding: "utf8", stdio: "pipe" });
  return text.trim().replaceAll(/\s+/g, " ");
}

const four = { source: "10.0.0.1", destination: "10.0.0.2" };
const six = { source: "fd00::1", destination: "fd00::2" };
const ports = { sourcePort: 1000, destinationPort: 2000 };
const inner = packet(ipv4(four), udp(ports), "quoted");

/** Layers behind an Ethernet header, what tcpdump says of them, what some of their fields are. */
const rows: [string, Part[], string[], Record<string, string>][] = [
  [
    "ARP",
    [
      arp({
        operation: "request",
        senderMac: "02:00:00:00:00:01",
        senderAddress: "10.0.0.1",
        targetAddress: "10.0.0.2",
      }),
    ],
    ["02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype ARP (0x0806)", "Request who-has 10.0.0.2 tell 10.0.0.1"],
    { "arp.operation": "1", "arp.senderMac": "02:00:00:00:00:01", "arp.targetAddress": "10.0.0.2" },
  ],
  [
    "two VLAN tags",
    [vlan({ id: 7, isService: true }), vlan({ id: 100, priority: 5, dropEligible: true }), ipv4(four), udp(ports)],
    [
      "ethertype 802.1Q-QinQ (0x88a8)",
      "vlan 7, p 0, ethertype 802.1Q (0x8100), vlan 100, p 5, DEI, ethertype IPv4",
      "[udp sum ok]",
    ],
    { "vlan.id": "100", "vlan.priority": "5", "vlan.dropEligible": "1", "vlan.etherType": "0800" },
  ],
  [
    "IPv4 with options, TCP with options",
    [
      ipv4({ ...four, options: hex("94 04 00 00"), ttl: 9, dscp: 46, dontFragment: true }),
      tcp({
        ...ports,
        flags: "S",
        options: { mss: 1460, windowScale: 7, sackPermitted: true, timestamps: { value: 5, echo: 0 } },
      }),
    ],
    [
      "tos 0xb8, ttl 9",
      "flags [DF]",
      "options (RA)",
      "Flags [S], cksum",
      "(correct)",
      "options [mss 1460,nop,wscale 7,nop,nop,sackOK,nop,nop,TS val 5 ecr 0]",
    ],
    { "ipv4.options": "94040000", "tcp.options.mss": "1460", "tcp.options.timestamps": "5 0", "tcp.flags": "S" },
  ],
  [
    "selective acknowledgments",
    [ipv6(six), tcp({ ...ports, acknowledgment: 1, options: { sack: [[10, 20]] } }), "text"],
    ["cksum", "(correct)", "options [nop,nop,sack 1 {10:20}]", "length 4"],
    { "tcp.options.5": "0000000a00000014", payload: "74657874" },
  ],
  [
    "UDP without a checksum",
    [ipv4(four), udp({ ...ports, checksum: 0 }), "a"],
    ["[no cksum]"],
    { "udp.checksum": "0000" },
  ],
  [
    "a wrong checksum",
    [ipv4(four), udp({ ...ports, checksum: 1 }), "a"],
    ["[bad udp cksum 0x0001 -> "],
    { "udp.checksum": "0001" },
  ],
  [
    "DNS",
    [
      ipv4(four),
      udp({ sourcePort: 4000, destinationPort: 53 }),
      dnsQuery({ name: "www.example.com", type: "AAAA", id: 7 }),
    ],
    ["7+ AAAA? www.example.com. (33)"],
    {},
  ],
  [
    "HTTP",
    [ipv4(four), tcp({ sourcePort: 4000, destinationPort: 80 }), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["HTTP, length: 27 GET / HTTP/1.1 Host: a"],
    {},
  ],
  [
    "SCTP",
    [
      ipv6(six),
      sctp({ ...ports, tag: 5 }),
      sctpChunk({ type: 0, flags: 3, value: Buffer.concat([hex("00000001 0002 0003 00000000"), Buffer.from("abc")]) }),
    ],
    ["[DATA] (B)(E) [TSN: 1] [SID: 2] [SSEQ 3] [PPID 0x0]"],
    { "sctp.verificationTag": "00000005" },
  ],
  [
    "an ICMP error with what it quotes",
    [ipv4(four), icmp({ type: 3, code: 4, sequence: 1400 }), quoted(inner)],
    [
      "ICMP 10.0.0.2 unreachable - need to frag (mtu 1400)",
      "proto UDP (17), length 34) 10.0.0.1.1000 > 10.0.0.2.2000: UDP, length 6",
    ],
    { "quoted.udp.destinationPort": "2000", "icmp.sequence": "1400" },
  ],
  [
    "ICMPv6",
    [ipv6(six), icmpv6({ type: 128, identifier: 3, sequence: 4 }), filler(8)],
    ["[icmp6 sum ok] ICMP6, echo request, id 3, seq 4"],
    { "icmpv6.identifier": "3", payload: "0001020304050607" },
  ],
  [
    "IPv6 extension headers",
    [
      ipv6({ ...six, hopLimit: 7 }),
      options(0),
      options(60),
      fragment({ more: true, identification: 9 }),
      udp({ ...ports, checksum: 1 }),
      filler(8),
    ],
    ["hlim 7", "HBH (padn)", "DSTOPT (padn)", "frag (0x00000009:0|16)"],
    { "hopByHop.nextHeader": "60", "fragment.more": "1", "fragment.identification": "9" },
  ],
  [
    "a segment routing header",
    [ipv6(six), srh({ segments: ["fd00::3", "fd00::2"], tag: 1 }), udp(ports)],
    ["(len=4, type=4, segleft=1, last-entry=1, flags=0x0, tag=1, [0]fd00::3, [1]fd00::2)"],
    { "routing.segmentsLeft": "1", "routing.segments[0]": "fd00::3", "routing.tag": "1" },
  ],
  [
    "VXLAN",
    [
      ipv4(four),
      udp({ sourcePort: 5, destinationPort: 4789 }),
      vxlan({ vni: 70_000 }),
      ethernet(),
      ipv6(six),
      icmpv6({ type: 128 }),
    ],
    ["VXLAN, flags [I] (0x08), vni 70000", "[icmp6 sum ok]"],
    { "vxlan.vni": "70000", "inner.ethernet.etherType": "86dd", "inner.ipv6.source": "fd00::1" },
  ],
];
test.each(rows)("%s", (_name, layers, said, fields) => {
  const text = tcpdump(ethernet(), ...layers);
  for (const part of said) expect(text).toContain(part);
  expect(describeFrame(packet(ethernet(), ...layers))).toMatchObject(fields);
});

test("the whole of a TCP super-frame has the pseudo-header's sum", () => {
  const big = packet(ipv4(four), tcp({ ...ports, checksum: "partial" }), filler(20_000));
  expect(big.length).toBe(20_040);
  expect(describeFrame(packet(ethernet(), big))).toMatchObject({ payload: expect.any(String) });
  expect(Buffer.from(big).readUInt16BE(36)).toBe(0x0a00 + 1 + 0x0a00 + 2 + 6 + 20_020);
});

describe("fragments", () => {
  test.each([
    ["IPv4", packet(ipv4(four), udp(ports), filler(100)), 68, ["frag", "ipv4.flags", "ipv4.fragmentOffset"]],
    ["IPv6", packet(ipv6(six), udp(ports), filler(100)), 96, ["frag", "fragment.more", "fragment.offset"]],
  ])(
    "%s: as many as it takes, each within the MTU, together the packet",
    (_name, whole, mtu, [, more = "", offset = ""]) => {
      const found = fragmentsOf(whole, { mtu, identification: 5 });
      expect(found.map((each) => each.length <= mtu)).toEqual([true, true, true]);
      const header = whole.length - 108;
      const extra = header === 40 ? 48 : 20;
      expect(Buffer.concat(found.map((each) => each.subarray(extra)))).toEqual(Buffer.from(whole.subarray(header)));
      const fields = found.map((each) =>
        describeFrame(packet(ethernet({ etherType: header === 40 ? 0x86dd : 0x0800 }), each)),
      );
      expect(fields.map((each) => each[more])).toEqual(["1", "1", "0"]);
      expect(new Set(fields.map((each) => each[offset])).size).toBe(3);
    },
  );
  test("tcpdump puts no fault on them", () => {
    const [first = Buffer.of()] = fragmentsOf(packet(ipv4(four), udp(ports), filler(100)), { mtu: 68 });
    expect(tcpdump(ethernet({ etherType: 0x0800 }), first)).not.toContain("bad cksum");
  });
  test("a packet that fits stays whole", () => {
    const whole = packet(ipv4(four), udp(ports));
    expect(fragmentsOf(whole, { mtu: 1500 })).toEqual([whole]);
  });
});

describe("wrong use is said", () => {
  const wrong: [string, () => unknown, string][] = [
    ["a MAC address", () => packet(ethernet({ source: "1:2:3:4:5:6" })), "'1:2:3:4:5:6' is no MAC address"],
    ["hex", () => hex("0g"), "'0g' is no bytes in hex"],
    [
      "TCP flags",
      () => packet(ipv4(four), tcp({ ...ports, flags: "SX" })),
      "'X' is no TCP flag; there are F, S, R, P, A, U, E, C",
    ],
    [
      "options",
      () => packet(ipv4({ ...four, options: filler(41) })),
      "IPv4 has room for 40 bytes of options, not for 41",
    ],
    ["a port", () => packet(ipv4(four), udp({ ...ports, sourcePort: 70_000 })), "out of range"],
    ["no IP header", () => packet(udp(ports)), "needs an IP header before it"],
    ["an MTU", () => fragmentsOf(packet(ipv4(four), filler(100)), { mtu: 27 }), "no room for 8 bytes"],
  ];
  test.each(wrong)("%s", (_name, make, message) => {
    expect(make).toThrow(message);
  });
});

describe("packets that differ in what they carry", () => {
  const of = (...layers: Part[]) => packetHex(...layers);
  const differences: [string, Part[], Part[], string][] = [
    [
      "a TCP option",
      [ipv4(four), tcp({ ...ports, checksum: 0, options: { mss: 1460 } })],
      [ipv4(four), tcp({ ...ports, checksum: 0, options: { mss: 1400 } })],
      "tcp.options.mss is 1400, expected 1460",
    ],
    [
      "a segment",
      [ipv6(six), srh({ segments: ["fd00::3"] })],
      [ipv6(six), srh({ segments: ["fd00::4"] })],
      "routing.segments[0] is fd00::4, expected fd00::3",
    ],
    [
      "a VNI",
      [ipv4(four), udp({ sourcePort: 1, destinationPort: 4789, checksum: 0 }), vxlan({ vni: 1 })],
      [ipv4(four), udp({ sourcePort: 1, destinationPort: 4789, checksum: 0 }), vxlan({ vni: 2 })],
      "vxlan.vni is 2, expected 1",
    ],
    [
      "a byte that no field names",
      [hex("4500001400000000 4006 66c0 0a000001 0a000002 00")],
      [hex("4500001400000000 4006 66c0 0a000001 0a000002")],
      "bytes are 4500001400000000400666c00a0000010a000002, expected 4500001400000000400666c00a0000010a00000200",
    ],
  ];
  test.each(differences)("%s", (_name, expected, found, line) => {
    expect(packetDiff(of(...expected), of(...found))).toEqual([line]);
  });
});
