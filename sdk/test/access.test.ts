// What a stage may reach, and what the harness makes of what it leaves: the native host's rules.

import {
  fragment,
  icmp,
  ipv4,
  ipv6,
  type NodeStage,
  options,
  type PacketRow,
  packetHex,
  runRows,
  srh,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("access");
}, 120_000);

const v4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const v6 = { source: "fd00::1", destination: "fd00::2" };
const ports = { sourcePort: 1000, destinationPort: 2000 };
const udp4 = packetHex(ipv4(v4), udp(ports), "payload");
const udp6 = packetHex(ipv6(v6), udp(ports), "payload");
const long = packetHex(ipv4(v4), udp(ports), "x".repeat(500));
const segments = { segments: ["fd00::9"] };

const run = (packets: Omit<PacketRow, "expect">[]) =>
  stage.run({ name: "", hook: "forward", packets: packets.map((each) => ({ ...each, expect: { verdict: "pass" } })) });

describe("an access outside the packet's part of the window traps", () => {
  test.each([
    ["a byte behind the window", 1, udp4],
    ["a byte behind the window of a longer packet", 1, long],
    ["half of a 16-bit field", 2, udp4],
    ["an offset that overflows", 3, udp4],
    ["a store", 4, udp4],
    ["a view of a header", 5, udp6],
    ["the TCP header of a UDP packet", 6, udp4],
    ["the IPv6 header of an IPv4 packet", 7, udp4],
    ["a packet behind the batch", 8, udp4],
    ["the quoted packet of what is no error", 9, udp4],
    ["scratch bytes, partly", 13, udp4],
    ["scratch bytes at an offset that overflows", 14, udp4],
    ["a segment that the routing header does not have", 10, packetHex(ipv6(v6), srh(segments), udp(ports))],
    [
      "a routing header that does not end in the window",
      11,
      packetHex(ipv6(v6), srh({ segments: ["fd00::9", "fd00::8"] }), udp(ports)),
    ],
  ])("%s", async (_name, mark, input) => {
    const result = await run([
      { in: udp4, mark: 20 },
      { in: input, mark },
    ]);
    expect(result.trap).toEqual({
      ...{ message: "unreachable", packet: 1 },
      ...{ source: expect.stringMatching(/^~sdk\/.*, called near .*access\.ts:\d+:\d+$/), about: expect.any(String) },
    });
    expect(result.packets.map(({ verdict, mark: left }) => [verdict, left])).toEqual([
      ["pass", 20],
      ["pass", mark],
    ]);
  });
  test("an exception is told with its message", async () => {
    const { trap } = await run([{ in: udp4, mark: 12 }]);
    expect(trap?.message).toMatch(/^thrown on purpose at access\.ts:\d+:\d+$/);
  });
  test("after a trap the stage runs no more", async () => {
    const result = await run([
      { in: udp4, mark: 12 },
      { in: udp4, mark: 25, at: 1 },
    ]);
    expect(result.packets[1]).toMatchObject({ verdict: "pass", mark: 25 });
  });
});

describe("what a stage is told", () => {
  const word = (high: number, low: number) => (high << 16) | low;
  const rows: [string, Omit<PacketRow, "expect">, number][] = [
    ["a short packet is whole in the window", { in: udp4, mark: 22 }, word(35, 0)],
    ["a long packet is cut at headerBytes", { in: long, mark: 22 }, word(64, 1)],
    ["the last byte in the window", { in: udp4, mark: 20 }, "d".charCodeAt(0)],
    ["the segment in turn", { in: packetHex(ipv6(v6), srh(segments), udp(ports)), mark: 21 }, 9],
    ["L4 behind IPv6 options", { in: packetHex(ipv6(v6), options(60), udp(ports)), mark: 23 }, word(48, 56)],
    [
      "TCP options before the payload",
      { in: packetHex(ipv4(v4), tcp({ ...ports, options: Buffer.alloc(8) })), mark: 23 },
      word(20, 48),
    ],
    ["no L4 in a later fragment", { in: packetHex(ipv6(v6), fragment({ offset: 8 }), "12345678"), mark: 23 }, 0],
    ["no L4 behind the window", { in: packetHex(ipv6(v6), options(60, 24), udp(ports)), mark: 23 }, word(0, 72)],
    ["a packet without a flow is untracked", { in: udp4, mark: 24 }, 0],
    ["a flow's first packet is new, and its state unwritten", { in: udp4, mark: 24, flow: "a" }, word(1, 1)],
    ["a reply", { in: udp4, mark: 24, flow: "a", ctState: "established", direction: "reply" }, word(2, 257)],
    ["monotonic and Unix time go together", { in: udp4, mark: 33, at: 5000 }, 1000],
    ["a random number", { in: udp4, mark: 34 }, 1],
  ];
  test.each(rows)("%s", async (_name, row, mark) => {
    const result = await run([row]);
    expect(result.trap).toBeUndefined();
    expect(result.packets[0]?.mark).toBe(mark);
  });
  test.each([
    ["truncated UDP", packetHex(ipv4({ ...v4, protocol: 17 }), "1234"), "malformed-udp"],
    ["an IPv4 checksum that is wrong", packetHex(ipv4({ ...v4, checksum: 1 }), udp(ports)), "bad-ipv4-checksum"],
    ["a total length that is too large", packetHex(ipv4({ ...v4, totalLength: 100 }), udp(ports)), "malformed-ipv4"],
    ["a loopback source", packetHex(ipv4({ ...v4, source: "127.0.0.1" }), udp(ports)), "martian-source"],
    ["IPv6 from a multicast address", packetHex(ipv6({ ...v6, source: "ff02::1" }), udp(ports)), "martian-source"],
    [
      "an IPv6 payload length that is too large",
      packetHex(ipv6({ ...v6, payloadLength: 100 }), udp(ports)),
      "malformed-ipv6",
    ],
    [
      "IPv6 options that do not end",
      packetHex(ipv6({ ...v6, nextHeader: 60 }), Buffer.from("11ff0000", "hex")),
      "malformed-extension-header",
    ],
    [
      "an ICMP echo of 4 bytes",
      packetHex(ipv4({ ...v4, protocol: 1 }), Buffer.from("08000000", "hex")),
      "malformed-icmp",
    ],
    ["an IPv4 fragment of odd length", packetHex(ipv4({ ...v4, moreFragments: true }), "12345"), "malformed-fragment"],
  ])("%s never gets to it", async (_name, input, reason) => {
    const result = await run([{ in: input, mark: 20 }]);
    expect(result.packets[0]).toMatchObject({ verdict: "drop", reason });
    expect(result.counters.calls).toBe(0);
  });
});

describe("what becomes of a packet", () => {
  const rows: [string, string, number, object][] = [
    ["a reason of its own", udp4, 25, { verdict: "drop", reason: "too-old" }],
    ["a drop without a reason", udp4, 26, { verdict: "drop", reason: "unspecified" }],
    ["a reason that there is not", udp4, 35, { verdict: "drop", reason: "stage-invalid-output" }],
    ["a reason that the stage did not declare", udp4, 36, { verdict: "drop", reason: "stage-invalid-output" }],
    ["a redirect to an IPv4 neighbour", udp4, 27, { verdict: "redirect", outPort: 3, nextHop: "10.0.0.1", out: udp4 }],
    ["a redirect to an IPv6 neighbour", udp6, 30, { verdict: "redirect", outPort: 3, nextHop: "fd00::1", out: udp6 }],
    ["a redirect to a port that there is not", udp4, 28, { verdict: "drop", reason: "stage-invalid-output" }],
    ["another reception", udp4, 29, { verdict: "reinput", table: 7, out: udp4 }],
  ];
  test.each(rows)("%s", async (_name, input, mark, expected) => {
    expect((await run([{ in: input, mark }])).packets[0]).toMatchObject(expected);
  });
});

describe("flow state", () => {
  const count = (flow: string, at: number) => ({ in: udp4, mark: 31, flow, at });
  test("is kept for a flow's later packets, apart from other flows", async () => {
    const result = await run([count("a", 0), count("b", 1), count("a", 2), { in: udp4, mark: 32, flow: "a", at: 3 }]);
    expect(result.packets.map((each) => each.mark)).toEqual([1, 1, 2, 2]);
    expect(result.packets[3]?.flowState).toBe(`02000000${"00".repeat(12)}`);
  });
  test("of a new flow is written before the flow's other packets in the burst are processed", async () => {
    const result = await run([count("a", 0), count("a", 0), count("b", 0), count("a", 0)]);
    expect(result.packets.map((each) => each.mark)).toEqual([1, 2, 1, 2]);
    expect(result.counters).toEqual({ calls: 2, packets: 4 });
  });
  test("of a packet without a flow is gone", async () => {
    const result = await run([
      { in: udp4, mark: 31 },
      { in: udp4, mark: 32, at: 1 },
    ]);
    expect(result.packets.map((each) => each.mark)).toEqual([1, 0]);
  });
});

test("scratch bytes are kept from packet to packet, and zero at first", async () => {
  const packets = [0, 0, 5].map((at) => ({ in: udp4, mark: 15, at }));
  expect((await run(packets)).packets.map((each) => each.mark)).toEqual([3, 6, 9]);
  expect((await run(packets)).packets.map((each) => each.mark)).toEqual([3, 6, 9]);
});

describe("rows", () => {
  test("failures name the packet and the field", async () => {
    const [report] = await runRows(stage, [
      {
        name: "wrong in every way",
        hook: "forward",
        counters: { calls: 2 },
        packets: [
          { in: udp4, mark: 25, expect: { verdict: "drop", reason: "policy" } },
          { in: udp4, expect: { verdict: "pass", out: packetHex(ipv4({ ...v4, ttl: 63 }), udp(ports), "payload") } },
        ],
      },
    ]);
    expect(report?.failures).toEqual([
      'packet 0: reason is "too-old", expected "policy"',
      "packet 1: ipv4.ttl is 64, expected 63",
      "packet 1: ipv4.checksum is 66c8, expected 67c8",
      "counter calls is 1, expected 2",
    ]);
  });
  test("a stage without configure refuses a configuration", async () => {
    const row = { name: "", hook: "forward" as const, config: {}, packets: [] };
    await expect(stage.run(row)).rejects.toThrow("the stage takes no configuration");
  });
  test("an ICMP error's flow hash is its quoted packet's", async () => {
    const { parsePacket } = await import("@sluice/sdk/testing");
    const quoted = Buffer.from(udp4, "hex");
    const error = Buffer.from(
      packetHex(ipv4({ source: "10.9.9.9", destination: "10.0.0.1" }), icmp({ type: 3 }), quoted),
      "hex",
    );
    expect(parsePacket(error)).toMatchObject({
      hash: (parsePacket(quoted) as { hash: number }).hash,
      innerL3Offset: 28,
      innerL4Offset: 48,
    });
  });
});
