// What a stage asks of its host beyond the window, and what it counts.

import {
  fragment,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type NodeStage,
  type PacketRow,
  packetHex,
  runRows,
  sctp,
  srh,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("host");
}, 120_000);

const v4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const v6 = { source: "fd00::1", destination: "fd00::2" };
const ports = { sourcePort: 1000, destinationPort: 2000 };
const udp4 = packetHex(ipv4(v4), udp(ports), "payload");
const bytes = Buffer.from(Array.from({ length: 200 }, (_, i) => i));
const long = packetHex(ipv4(v4), udp(ports), bytes);
const text = (payload: string) => packetHex(ipv6(v6), udp(ports), payload.padEnd(100, "."));

const run = (packets: Omit<PacketRow, "expect">[]) =>
  stage.run({ name: "", hook: "forward", packets: packets.map((each) => ({ ...each, expect: { verdict: "pass" } })) });
const word = (high: number, low: number) => (high << 16) | low;

describe("the payload", () => {
  const rows: [string, number, string, number][] = [
    ["from its start", 1, long, word(4, 0 + 1 + 2 + 3)],
    ["to the packet's end, beyond the window", 2, long, word(100, 14950)],
    ["nothing behind its end", 4, long, 0],
    ["nothing of a packet without one", 1, packetHex(ipv4({ ...v4, protocol: 89 }), "12345678"), 0],
    ["nothing after a pop, which leaves no offsets", 12, long, 1],
    ["from the L3 header", 5, udp4, 17],
    ["a text in it", 8, text(`${"n".repeat(60)}needle`), 60],
    ["a text that is not in it", 8, text("Needle need leneedl"), -1 >>> 0],
    ["a text at its very end", 8, packetHex(ipv4(v4), udp(ports), "..needle"), 2],
    ["a text in any case, from an offset on", 9, text("Needle nEEdle"), 7],
    ["a decimal number", 10, text("65535,1"), 65535],
    ["a number of too many digits", 10, text("1234567890"), -1 >>> 0],
    ["no number", 10, text("x1"), -1 >>> 0],
    ["as it was before the call", 11, udp4, "p".charCodeAt(0)],
  ];
  test.each(rows)("%s", async (_name, mark, input, expected) => {
    const result = await run([{ in: input, mark }]);
    expect(result.trap).toBeUndefined();
    expect(result.packets[0]?.mark).toBe(expected);
  });
  test.each([
    ["more than the region holds", 3, "read_payload of 65537 bytes, at most 65536 fit"],
    ["an access that is partly behind what was read", 6, "unreachable"],
    ["an access to what an earlier read left", 7, "unreachable"],
  ])("traps: %s", async (_name, mark, message) => {
    expect((await run([{ in: long, mark }])).trap).toMatchObject({ message, packet: 0 });
  });
});

describe("a mirrored packet", () => {
  test("is sent once by each port, whole or cut", async () => {
    const [report] = await runRows(stage, [
      {
        name: "",
        hook: "forward",
        packets: [
          { in: udp4, mark: 20, expect: { verdict: "pass", mark: 2 } },
          { in: long, mark: 21, expect: { verdict: "pass", mark: 3 } },
          { in: long, mark: 20, at: 1, expect: { verdict: "pass", mark: 2 } },
        ],
        mirrored: [
          { packet: 0, port: 3, hex: udp4 },
          { packet: 1, port: 3, hex: long.slice(0, 48) },
          { packet: 1, port: 4, hex: long },
          { packet: 2, port: 3, hex: long },
        ],
      },
    ]);
    expect(report?.failures).toEqual([]);
  });
  test("is what it was before the call", async () => {
    const result = await run([{ in: udp4, mark: 23 }]);
    expect(result.mirrored).toEqual([{ packet: 0, port: 0, hex: udp4.slice(0, 48) }]);
    expect(result.packets[0]?.out).toBe(packetHex(ipv4({ ...v4, ttl: 1 }), udp(ports), "payload"));
  });
  test("is not sent by a port that there is not", async () => {
    const result = await run([{ in: udp4, mark: 22 }]);
    expect([result.packets[0]?.mark, result.mirrored]).toEqual([0, []]);
  });
  test("is not sent when the call traps", async () => {
    const result = await run([{ in: udp4, mark: 24 }]);
    expect([result.trap?.message, result.mirrored]).toEqual(["unreachable", []]);
  });
});

describe("a source", () => {
  test("is taken when the packet's replies would be another flow's", async () => {
    const v4Taken = [{ address: "192.0.2.1", port: 40000 }];
    const { packets } = await run([
      { in: udp4, mark: 42, flow: "a", takenSources: v4Taken },
      { in: udp4, mark: 42, flow: "b" },
      { in: text("."), mark: 43, flow: "c", takenSources: [{ address: "fd00::7", port: 40000 }] },
    ]);
    expect(packets.map(({ mark }) => mark)).toEqual([2, 0, 1]);
  });
  test("of a port that there cannot be traps", async () => {
    expect((await run([{ in: udp4, mark: 44 }])).trap).toMatchObject({
      message: "source_taken with port 65536, the largest is 65535",
    });
  });
});

describe("trace values", () => {
  test("are noted of traced packets only, the last of each name", async () => {
    const [report] = await runRows(stage, [
      {
        name: "",
        hook: "forward",
        packets: [
          {
            in: udp4,
            mark: 30,
            traced: true,
            expect: { verdict: "pass", trace: { rule: -5, depth: Number.MAX_SAFE_INTEGER } },
          },
          { in: udp4, mark: 30, expect: { verdict: "pass", trace: {} } },
          { in: udp4, traced: true, expect: { verdict: "pass", trace: {} } },
        ],
      },
    ]);
    expect(report?.failures).toEqual([]);
    expect(stage.manifest.traceValues).toEqual(["rule", "depth"]);
  });
  test("are kept of a packet that made the stage trap", async () => {
    const { packets } = await run([{ in: udp4, mark: 31, traced: true }]);
    expect(packets[0]).toMatchObject({ verdict: "pass", trace: { rule: 7 } });
  });
});

describe("a reply", () => {
  const back4 = { source: v4.destination, destination: v4.source };
  const back6 = { source: v6.destination, destination: v6.source };
  const backPorts = { sourcePort: 2000, destinationPort: 1000 };
  const echo = { identifier: 7, sequence: 9 };
  const answered: [string, string, string][] = [
    ["UDP", udp4, packetHex(ipv4({ ...back4, ttl: 64 }), udp(backPorts), "payload")],
    [
      "UDP without a checksum",
      packetHex(ipv4({ ...v4, ttl: 3 }), udp({ ...ports, checksum: 0 }), "payload"),
      packetHex(ipv4(back4), udp({ ...backPorts, checksum: 0 }), "payload"),
    ],
    [
      "TCP in IPv6",
      packetHex(ipv6({ ...v6, hopLimit: 1 }), tcp({ ...ports, flags: "S" })),
      packetHex(ipv6({ ...back6, hopLimit: 64 }), tcp({ ...backPorts, flags: "S" })),
    ],
    ["SCTP", packetHex(ipv4(v4), sctp(ports), "1234"), packetHex(ipv4(back4), sctp(backPorts), "1234")],
    [
      "an echo request",
      packetHex(ipv4(v4), icmp({ type: 8, ...echo }), "ping"),
      packetHex(ipv4(back4), icmp({ type: 0, ...echo }), "ping"),
    ],
    [
      "an ICMPv6 echo request",
      packetHex(ipv6(v6), icmpv6({ type: 128, ...echo }), "ping"),
      packetHex(ipv6(back6), icmpv6({ type: 129, ...echo }), "ping"),
    ],
    ["a protocol of no known checksum", packetHex(ipv6(v6), "12345678"), packetHex(ipv6(back6), "12345678")],
  ];
  test.each(answered)("%s", async (_name, input, out) => {
    const [report] = await runRows(stage, [
      { name: "", hook: "forward", packets: [{ in: input, mark: 40, expect: { verdict: "reply", mark: 1, out } }] },
    ]);
    expect(report?.failures).toEqual([]);
  });
  test.each([
    ["a group", packetHex(ipv4({ ...v4, destination: "224.0.0.1" }), udp(ports))],
    ["everybody", packetHex(ipv4({ ...v4, destination: "255.255.255.255" }), udp(ports))],
    ["a group, in IPv6", packetHex(ipv6({ ...v6, destination: "ff02::1" }), udp(ports))],
    ["nobody", packetHex(ipv6({ source: "::", destination: "ff02::1" }), udp(ports))],
    ["a fragment's sender", packetHex(ipv6(v6), fragment({ offset: 0, more: true }), udp(ports))],
    ["who has segments left", packetHex(ipv6(v6), srh({ segments: ["fd00::9"], segmentsLeft: 1 }), udp(ports))],
  ])("is not made to %s", async (_name, input) => {
    const { packets } = await run([{ in: input, mark: 40 }]);
    expect(packets[0]).toMatchObject({ verdict: "pass", mark: 0, out: input });
  });
  test("ends a flow that began with it", async () => {
    const result = await run([
      { in: udp4, mark: 40, flow: "a" },
      { in: udp4, mark: 0, flow: "a", at: 1 },
    ]);
    expect(result.packets.map(({ verdict }) => verdict)).toEqual(["reply", "pass"]);
  });
});

describe("metrics", () => {
  test("are read from their cells: counters, then gauges, then histograms", async () => {
    const [report] = await runRows(stage, [
      {
        name: "",
        hook: "forward",
        packets: [
          { in: udp4, mark: 51, expect: { verdict: "pass" } },
          { in: packetHex(ipv4(v4), udp(ports), "xx"), mark: 52, expect: { verdict: "pass" } },
          { in: packetHex(ipv4(v4), udp(ports), "x".repeat(12)), mark: 0, expect: { verdict: "pass" } },
          { in: packetHex(ipv4(v4), udp(ports), "x".repeat(1200)), mark: 0xffffffff, expect: { verdict: "pass" } },
        ],
        counters: { packets: 4, declared_last: 2 },
        gauges: { level: -7 },
        histograms: {
          sizes: { bounds: [30, 40, 1000], counts: [1, 2, 0, 1], sum: 35 + 30 + 40 + 1228 },
          marks: { bounds: [0, 4294967296], counts: [1, 3, 0], sum: 51 + 52 + 0xffffffff },
        },
      },
    ]);
    expect(report?.failures).toEqual([]);
    expect(stage.manifest.help).toMatchObject({ level: "Goes up and down", sizes: "Packets by length" });
  });
  test("of a row that expects others are told by name", async () => {
    const [report] = await runRows(stage, [
      {
        name: "",
        hook: "forward",
        packets: [{ in: udp4, mark: 51, expect: { verdict: "pass" } }],
        gauges: { level: 1 },
        histograms: { sizes: { counts: [1, 0, 0, 0], sum: 35 } },
        emitted: ["45"],
      },
    ]);
    expect(report?.failures).toEqual([
      "gauge level is -3, expected 1",
      "histogram sizes counts is [0,1,0,0], expected [1,0,0,0]",
      "number of emitted packets is 0, expected 1",
    ]);
  });
});

test("there is one worker, number 0", async () => {
  expect((await run([{ in: udp4, mark: 50 }])).packets[0]?.mark).toBe(1);
});
