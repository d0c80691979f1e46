// A capture through a stage in Node.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  describePacket,
  ipv4,
  ipv6,
  packet,
  type RunPcapOptions,
  readPcap,
  runPcap,
  tcp,
  udp,
  type WritablePacket,
  writePcap,
} from "@sluice/sdk/testing";
import { afterAll, describe, expect, test } from "vitest";
import { fixture } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "offline-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);

const there = { source: "10.1.0.1", destination: "10.96.0.10" };
const syn = (destinationPort: number) => packet(ipv4(there), tcp({ sourcePort: 40000, destinationPort, flags: "S" }));
const datagram = (destinationPort: number) => packet(ipv4(there), udp({ sourcePort: 40000, destinationPort }));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const taggedLink = Buffer.from("020000000002020000000001810000050800", "hex");
const config = { backend: "10.0.0.7" };
const at = 1_700_000_000_000_000_000n;

/** Runs the gate on packets 1 s apart. */
async function run(packets: WritablePacket[], more: Partial<RunPcapOptions> = {}) {
  const timed = packets.map((each, i) => ({
    ...{ at: at + BigInt(i) * 1_000_000_000n },
    ...(each instanceof Uint8Array ? { bytes: each } : each),
  }));
  writePcap(path("in.pcap"), timed);
  const files = { in: path("in.pcap"), out: path("out.pcap") };
  return runPcap({ plugin: fixture("gate"), ...files, ...more });
}

test("says what became of the packets, and writes those that leave, as tcpdump reads them", async () => {
  const summary = await run([syn(25), syn(22), syn(23), syn(80), syn(443), packet(ipv4({ ...there, checksum: 1 }))], {
    config,
  });
  expect(summary).toEqual({
    plugin: { name: "gate", version: "1.0.0" },
    packets: 6,
    leftOut: { notIp: 0, cut: 0 },
    verdicts: { pass: 2, drop: 3, redirect: 1, reinput: 0, reply: 0 },
    reasons: { policy: 1, telnet: 1, "bad-ipv4-checksum": 1 },
    ...{ emitted: 0, mirrored: 0, written: 3, seconds: 5, isAborted: false },
    ...{ counters: { packets: 5, sessions: 5 }, gauges: {}, histograms: {} },
  });
  const lines = execFileSync("tcpdump", ["-n", "-tt", "-r", path("out.pcap")], { encoding: "utf8", stdio: "pipe" });
  expect(
    lines
      .trim()
      .split("\n")
      .map((line) => line.split(":")[0]),
  ).toEqual([
    "1700000000.000000 IP 10.1.0.1.40000 > 10.96.0.10.25",
    "1700000003.000000 IP 10.1.0.1.40000 > 10.0.0.7.80",
    "1700000004.000000 IP 10.1.0.1.40000 > 10.96.0.10.443",
  ]);
}, 60_000);

test("finds flows", async () => {
  const reply = packet(
    ipv4({ source: "10.96.0.10", destination: "10.1.0.1" }),
    udp({ sourcePort: 5, destinationPort: 40000 }),
  );
  const { counters } = await run([datagram(5), datagram(6), reply, datagram(5)]);
  expect(counters).toEqual({ packets: 4, sessions: 2 });
}, 60_000);

test("keeps link headers, and leaves out what is no IP packet or cut", async () => {
  const frame = (bytes: Uint8Array): WritablePacket => ({
    bytes: Buffer.concat([taggedLink, bytes]),
    linkType: "ethernet",
  });
  const arp = Buffer.alloc(42);
  arp.writeUInt16BE(0x0806, 12);
  const cut = { ...(frame(syn(25)) as object), bytes: taggedLink, length: 100, linkType: "ethernet" } as WritablePacket;
  const summary = await run([
    frame(syn(80)),
    { bytes: arp, linkType: "ethernet" },
    cut,
    { bytes: Buffer.alloc(9), linkType: "ethernet" },
  ]);
  expect(summary).toMatchObject({ packets: 4, leftOut: { notIp: 2, cut: 1 }, written: 1 });
  const [out] = readPcap(path("out.pcap"));
  expect(out).toMatchObject({ linkType: "ethernet", at });
  expect(hex(out?.bytes ?? Buffer.of()).slice(0, 36)).toBe(hex(taggedLink));
}, 60_000);

test("a pcapng file says which way each packet went", async () => {
  await run([syn(25), syn(443)], { out: path("out.pcapng") });
  expect(readPcap(path("out.pcapng")).map((each) => each.interface)).toEqual(["pass", "port 3"]);
}, 60_000);

test("copies that the stage mirrored come before the packet, what it emitted after it", async () => {
  const files = { out: path("out.pcapng"), plugin: fixture("speaker") };
  const summary = await run([datagram(5), datagram(7), syn(81)], files);
  expect(summary).toMatchObject({ emitted: 1, mirrored: 1, written: 4, verdicts: { pass: 1, reply: 1, drop: 1 } });
  const found = readPcap(path("out.pcapng")).map(
    (each) => `${each.interface} ${describePacket(hex(each.bytes))["ipv4.source"]}`,
  );
  expect(found).toEqual(["mirror to port 5 10.1.0.1", "pass 10.1.0.1", "reply 10.96.0.10", "emitted 10.96.0.10"]);
}, 60_000);

describe("ends with the packet", () => {
  test("at which the stage traps", async () => {
    const { trap, packets, written } = await run([datagram(5), datagram(9), datagram(5)]);
    expect({ trap, packets, written }).toMatchObject({
      ...{ trap: { message: "unreachable", packet: 2 }, packets: 2, written: 1 },
    });
  }, 60_000);
  test("at which it does not return", async () => {
    const { trap, written } = await run([datagram(5), datagram(7), datagram(5)], { timeLimit: 100 });
    expect({ trap, written }).toMatchObject({
      trap: { message: "the stage did not return within 100 ms", packet: 2 },
      written: 1,
    });
  }, 60_000);
});

test("ends early when it is told so", async () => {
  const summary = await run([datagram(5), datagram(5)], { signal: AbortSignal.abort() });
  expect(summary).toMatchObject({ isAborted: true, packets: 1 });
  expect(readPcap(path("out.pcap"))).toHaveLength(1);
}, 60_000);

describe("refuses", () => {
  test("to write over what it reads", async () => {
    await expect(run([datagram(5)], { out: path("./in.pcap") })).rejects.toThrow(
      "the file to write is the one to read",
    );
    expect(readPcap(path("in.pcap"))).toHaveLength(1);
  }, 60_000);
  test("a configuration that the stage refuses", async () => {
    await expect(run([datagram(5)], { config: { backend: 1 } })).rejects.toThrow("backend must be");
  }, 60_000);
  test("a capture that is cut, when it has run what is whole", async () => {
    await run([datagram(5), datagram(5)]);
    truncateSync(path("in.pcap"), statSync(path("in.pcap")).size - 1);
    const files = { in: path("in.pcap"), out: path("out.pcap") };
    const options = { plugin: fixture("gate"), config, ...files };
    await expect(runPcap(options)).rejects.toThrow(/in\.pcap, packet 2, byte 68: the packet has 27 of 28 bytes/);
    expect(readPcap(path("out.pcap"))).toHaveLength(1);
  }, 60_000);
});

test("IPv6 as well", async () => {
  const six = packet(ipv6({ source: "fd00::1", destination: "fd00::2" }), udp({ sourcePort: 1, destinationPort: 5 }));
  expect(await run([six])).toMatchObject({ verdicts: { pass: 1 } });
  expect(readFileSync(path("out.pcap"), "hex").slice(80)).toBe(hex(six));
}, 60_000);
