// Capture files, read and written; tcpdump reads what was written.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ipv4,
  type PcapPacket,
  packet,
  packetsOf,
  readPcap,
  udp,
  type WritablePacket,
  writePcap,
} from "@sluice/sdk/testing";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "pcap-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const write = (name: string, ...parts: (string | Uint8Array)[]) => {
  const bytes = parts.map((part) => (typeof part === "string" ? Buffer.from(part.replaceAll(" ", ""), "hex") : part));
  writeFileSync(path(name), Buffer.concat(bytes));
  return path(name);
};

const datagram = (text: string) =>
  packet(ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }), udp({ sourcePort: 1, destinationPort: 2 }), text);
const at = 1_700_000_000_123_456_789n;

describe.each(["file.pcap", "file.pcapng"])("%s", (name) => {
  const packets: WritablePacket[] = [
    { bytes: datagram("a"), at },
    { bytes: datagram("bcd").subarray(0, 24), at: at + 1n, length: 31 },
  ];
  test("is read as it was written", () => {
    writePcap(path(name), packets);
    const face = name.endsWith("ng") ? { interface: "raw" } : {};
    expect(readPcap(path(name)).map((each) => ({ ...each, bytes: new Uint8Array(each.bytes) }))).toEqual([
      { bytes: datagram("a"), linkType: "raw", at, length: 29, ...face },
      { bytes: datagram("bcd").subarray(0, 24), linkType: "raw", at: at + 1n, length: 31, ...face },
    ]);
  });
  test("is read by tcpdump", () => {
    writePcap(path(name), packets);
    const lines = execFileSync("tcpdump", ["-n", "-tt", "--nano", "-r", path(name)], {
      encoding: "utf8",
      stdio: "pipe",
    });
    expect(lines.trim().replaceAll("  ", " ").split("\n")).toEqual([
      "1700000000.123456789 IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 1",
      "1700000000.123456790 IP 10.0.0.1.1 > 10.0.0.2.2: [|udp]",
    ]);
  });
  test("holds no packets, or bytes alone", () => {
    writePcap(path(name), []);
    expect(readPcap(path(name))).toEqual([]);
    writePcap(path(name), [datagram("a"), datagram("b")]);
    expect(readPcap(path(name)).map((each) => each.at)).toEqual([0n, 1_000_000n]);
  });
  test("is longer than what is read at once", () => {
    const many = Array.from({ length: 3000 }, (_, i) => ({ bytes: datagram("x".repeat(i % 1400)), at: BigInt(i) }));
    writePcap(path(name), many);
    let count = 0;
    for (const each of packetsOf(path(name))) {
      if (each.at !== BigInt(count) || !Buffer.from(each.bytes).equals(many[count]?.bytes ?? Buffer.of())) break;
      count++;
    }
    expect(count).toBe(3000);
  });
  test("as tcpdump writes it", () => {
    writePcap(path(name), packets);
    execFileSync("tcpdump", ["-r", path(name), "-w", path("copy.pcap"), "udp"], { stdio: "pipe" });
    expect(readPcap(path("copy.pcap")).map((each) => each.length)).toEqual([29, 31]);
  });
});

const one = (changes: Partial<PcapPacket>) => [
  { linkType: "raw", length: 2, ...changes, bytes: Buffer.from("4500", "hex") },
];
const forms: [string, string[], Partial<PcapPacket>][] = [
  [
    "little-endian, microseconds",
    ["d4c3b2a1 02000400 00000000 00000000 ffff0000 65000000", "01000000 02000000 02000000 02000000 4500"],
    { at: 1_000_002_000n },
  ],
  [
    "big-endian, microseconds",
    ["a1b2c3d4 00020004 00000000 00000000 0000ffff 00000065", "00000001 00000002 00000002 00000009 4500"],
    { at: 1_000_002_000n, length: 9 },
  ],
  [
    "big-endian, nanoseconds, Ethernet with a checksum's length",
    ["a1b23c4d 00020004 00000000 00000000 0000ffff 24000001", "00000001 00000002 00000002 00000002 4500"],
    { at: 1_000_000_002n, linkType: "ethernet" },
  ],
  [
    "pcapng, big-endian, microseconds, an interface with a name, a block that is not known, a simple packet",
    [
      "0a0d0d0a 0000001c 1a2b3c4d 00010000 ffffffffffffffff 0000001c",
      "00000001 00000020 00650000 00000000 00020002 61620000 00000000 00000020",
      "00000bad 00000010 01020304 00000010",
      "00000003 00000014 00000002 45000000 00000014",
    ],
    { at: 0n, interface: "ab" },
  ],
  [
    "pcapng, little-endian, times in 2^-10 s from an offset",
    [
      "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000",
      "01000000 2c000000 65000000 00000000 09000100 8a000000 0e000800 0500000000000000 00000000 2c000000",
      "06000000 24000000 00000000 00000000 00020000 02000000 02000000 45000000 24000000",
    ],
    { at: 5_500_000_000n },
  ],
];
test.each(forms)("%s", (_name, parts, expected) => {
  expect(readPcap(write("form", ...parts))).toEqual(one(expected));
});

const header = "d4c3b2a1 02000400 00000000 00000000 ffff0000 65000000";
const section = "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000";
const face = "01000000 14000000 65000000 00000000 14000000";
const broken: [string, string[], string, string][] = [
  ["nothing", [], ": the file is empty", "Capture anew"],
  [
    "text",
    [Buffer.from("hello").toString("hex")],
    ", byte 0: this is no capture file: it begins with 68656c6c",
    "Give a .pcap or .pcapng file",
  ],
  ["one byte", ["d4"], ", byte 0: this is no capture file: it begins with d4", "Give a .pcap"],
  ["gzip", ["1f8b0800"], ": the file is compressed", "gunzip"],
  ["half a header", [header.slice(0, 20)], ", byte 0: the file header has 9 of 24 bytes", "The file was cut short"],
  [
    "another link type",
    [`${header.slice(0, -8)}71000000`],
    ", byte 20: its packets are of link type 113",
    "capture on one interface, not on 'any'",
  ],
  [
    "half a packet's header",
    [header, "01000000"],
    ", packet 1, byte 24: the packet's header has 4 of 16 bytes",
    "editcap",
  ],
  [
    "half a packet",
    [header, "01000000 00000000 04000000 04000000 4500"],
    ", packet 1, byte 24: the packet has 2 of 4 bytes",
    "editcap",
  ],
  [
    "a giant",
    [header, "01000000 00000000 00000000 00000000", "01000000 00000000 ffffff7f 04000000"],
    ", packet 2, byte 40: the packet is said to have 2147483647 bytes",
    "damaged",
  ],
  ["half a block", [section, face.slice(0, -9)], ", byte 28: a block has 16 of 20 bytes (after packet 0)", "editcap"],
  [
    "a block of an impossible length",
    [section, "06000000 0d000000 00000000"],
    ", byte 28: a block is said to have 13 bytes",
    "damaged",
  ],
  [
    "a section without a byte order",
    ["0a0d0d0a 1c000000 00000000"],
    ", byte 0: a section has no byte order",
    "damaged",
  ],
  [
    "a packet of no interface",
    [section, "06000000 20000000 00000000 00000000 00000000 00000000 00000000 20000000"],
    ", packet 1, byte 28: the packet is of interface 0, which there is not",
    "damaged",
  ],
  [
    "a packet longer than its block",
    [section, face, "06000000 20000000 00000000 00000000 00000000 09000000 09000000 20000000"],
    ", packet 1, byte 48: a packet's block has 20 bytes for what needs 29",
    "damaged",
  ],
];
describe("one error with file, packet, byte and remedy:", () => {
  test.each(broken)("%s", (name, parts, problem, remedy) => {
    const file = write(`${name}.pcap`, ...parts);
    expect(() => readPcap(file)).toThrow(`${file}${problem}`);
    expect(() => readPcap(file)).toThrow(remedy);
  });
  test("what stands before it is read", () => {
    const file = write("cut", header, "01000000 00000000 02000000 02000000 4500", "01");
    const packets = packetsOf(file);
    expect(packets.next().value).toMatchObject({ length: 2 });
    expect(() => packets.next()).toThrow("packet 2, byte 42");
  });
  test("a file that is not there, or cannot be", () => {
    const none = path("none/file.pcap");
    expect(() => readPcap(none)).toThrow(`${none}: cannot be read: no such file or directory`);
    expect(() => writePcap(none, [])).toThrow(`${none}: cannot be written: no such file or directory`);
    expect(() => readPcap(folder)).toThrow(`${folder}: cannot be read: illegal operation on a directory`);
  });
  test("packets of two link types for one pcap file", () => {
    const mixed: WritablePacket[] = [datagram("a"), { bytes: Buffer.alloc(14), linkType: "ethernet" }];
    expect(() => writePcap(path("mixed.pcap"), mixed)).toThrow(
      "packets of link type raw and ethernet do not go into one pcap file",
    );
    writePcap(path("mixed.pcapng"), mixed);
    expect(readPcap(path("mixed.pcapng")).map((each) => each.linkType)).toEqual(["raw", "ethernet"]);
  });
});

test("a pcap file is little-endian with nanoseconds", () => {
  writePcap(path("plain.pcap"), [{ bytes: Buffer.from("4500", "hex"), at: 1_000_000_002n }]);
  expect(readFileSync(path("plain.pcap"), "hex")).toBe(
    "4d3cb2a1020004000000000000000000000004006500000001000000020000000200000002000000" + "4500",
  );
});
