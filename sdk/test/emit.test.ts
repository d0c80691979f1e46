// Packets that a stage makes: held against the packet builder's, whose checksums are computed in full.

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
  tcp,
  udp,
} from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { numbers, stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("emit");
}, 120_000);

const client4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const client6 = { source: "fd00::1", destination: "fd00::2" };
const in4 = packetHex(ipv4(client4), udp({ sourcePort: 1, destinationPort: 2 }));
const in6 = packetHex(ipv6(client6), udp({ sourcePort: 1, destinationPort: 2 }));
const from4 = ipv4({ source: "10.0.0.9", destination: "10.0.0.1", dontFragment: true });
const from6 = ipv6({ source: "2001:db8::9", destination: "fd00::1", hopLimit: 3, dscp: 46 });

const run = (packets: Omit<PacketRow, "expect">[]) =>
  stage.run({ name: "", hook: "forward", packets: packets.map((each) => ({ ...each, expect: { verdict: "pass" } })) });
const sends = async (input: string, mark: number, out: string) => {
  const expected = { verdict: "pass" as const, mark: 1, out: "same" };
  const row = { name: "", hook: "forward" as const, packets: [{ in: input, mark, expect: expected }], emitted: [out] };
  expect((await runRows(stage, [row]))[0]?.failures).toEqual([]);
};

const address = "20010db8000000000000000000000009";
/** What the fixture's `numbers` writes: 43 bytes. */
const written = Buffer.from(`000a002afffeedface0102030405060708${address}6e613f7665000000`, "hex");
const message = (lengthAt2: number) => {
  const bytes = Buffer.from(written);
  bytes.writeUInt16BE(lengthAt2, 2);
  return bytes;
};

describe("a message", () => {
  const payload = message(written.length);
  const flow = { sourcePort: 80, destinationPort: 1024, window: 65535, flags: "SA" };
  const long = { sequence: 0x11223344, acknowledgment: 0x55667788 };
  const options = Buffer.from("020405b401000000", "hex");
  const rows: [string, number, ReturnType<typeof udp>[], Buffer][] = [
    ["UDP", 1, [udp({ sourcePort: 4739, destinationPort: 9995 })], payload],
    ["TCP", 2, [tcp({ ...flow, ...long })], payload],
    ["TCP with options", 3, [tcp({ ...flow, sequence: 1, acknowledgment: 2, options })], Buffer.from("after")],
  ];
  test.each(rows)("of %s, in IPv4", (_name, mark, layers, body) => sends(in4, mark, packetHex(from4, ...layers, body)));
  test.each(rows)("of %s, in IPv6", (_name, mark, layers, body) => sends(in6, mark, packetHex(from6, ...layers, body)));
  const echo = { identifier: 7, sequence: 9 };
  test("of ICMP", () => sends(in4, 4, packetHex(from4, icmp({ type: 8, ...echo }), payload)));
  test("of ICMPv6", () => sends(in6, 4, packetHex(from6, icmpv6({ type: 8, ...echo }), payload)));
  test("of a protocol of its own", async () => {
    const header = { source: "10.0.0.9", destination: "10.0.0.1", dontFragment: true, protocol: 89 };
    await sends(in4, 5, packetHex(ipv4(header), payload));
  });
  test("of a packet's bytes", async () => {
    const body = Buffer.from(in4, "hex").subarray(0, 20);
    await sends(in4, 6, packetHex(from4, udp({ sourcePort: 1, destinationPort: 2 }), body));
  });
  test("of the largest size", async () => {
    const { emitted } = await run([{ in: in4, mark: 10 }]);
    expect(emitted[0]).toBe(packetHex(from4, udp({ sourcePort: 1, destinationPort: 2 }), Buffer.alloc(65507)));
  });
  test("has right checksums at any length", async () => {
    const random = numbers(7);
    const lengths = Array.from({ length: 60 }, () => random.next().value % 1400);
    const bytes = Buffer.from(Array.from({ length: 1400 }, (_, i) => i * 7));
    const { emitted } = await run(lengths.map((length, i) => ({ in: i % 2 ? in4 : in6, mark: 100 + length })));
    expect(emitted).toEqual(
      lengths.map((length, i) =>
        packetHex(
          i % 2 ? from4 : from6,
          udp({ sourcePort: 100 + length, destinationPort: 2 }),
          bytes.subarray(0, length),
        ),
      ),
    );
  });
  test("is not sent beyond 64 a call", async () => {
    const { emitted, packets } = await run([{ in: in4, mark: 21 }]);
    expect([emitted.length, packets[0]?.mark]).toEqual([64, 0]);
  });
  test("is not sent with an address that no packet may carry", async () => {
    const { emitted, packets } = await run([{ in: in4, mark: 22 }]);
    expect([emitted, packets[0]?.mark]).toEqual([[], 0]);
  });
  test("is not sent when the call traps", async () => {
    expect(await run([{ in: in4, mark: 23 }])).toMatchObject({ emitted: [], trap: { message: "unreachable" } });
  });
  test.each([
    ["a byte more than the largest packet has", 11],
    ["a byte before the L4 header", 12],
    ["a second L4 header", 13],
    ["a byte in a packet that another one ended", 14],
    ["a byte in a packet that was sent", 15],
    ["a number over bytes that were not written", 16],
    ["more options than TCP has room for", 17],
    ["a packet without anything in it", 18],
  ])("traps: %s", async (_name, mark) => {
    expect((await run([{ in: in4, mark }])).trap).toMatchObject({ message: "unreachable", packet: 0 });
  });
  test("may grow over several bursts", async () => {
    const { emitted } = await run([
      { in: in4, mark: 19 },
      { in: in4, mark: 20, at: 1 },
    ]);
    expect(emitted).toEqual([packetHex(from4, udp({ sourcePort: 1, destinationPort: 2 }), Uint8Array.of(1))]);
  });
});

describe("a TCP reset", () => {
  const ports = { sourcePort: 1000, destinationPort: 80 };
  const back = { sourcePort: 80, destinationPort: 1000, window: 0 };
  const to4 = ipv4({ source: client4.destination, destination: client4.source, dontFragment: true });
  const to6 = ipv6({ source: client6.destination, destination: client6.source });
  test("answers a SYN with what it would have acknowledged", async () => {
    const syn = packetHex(ipv4(client4), tcp({ ...ports, flags: "S", sequence: 0xffffffff }), "data");
    await sends(syn, 7, packetHex(to4, tcp({ ...back, flags: "RA", sequence: 0, acknowledgment: 4 })));
  });
  test("answers an ACK with the number that it acknowledges", async () => {
    const ack = packetHex(ipv6(client6), tcp({ ...ports, flags: "A", sequence: 5, acknowledgment: 77 }), "data");
    await sends(ack, 7, packetHex(to6, tcp({ ...back, flags: "R", sequence: 77, acknowledgment: 0 })));
  });
  test.each([
    ["a reset", packetHex(ipv4(client4), tcp({ ...ports, flags: "R" }))],
    ["UDP", in4],
  ])("does not answer %s", async (_name, input) => {
    const { emitted, packets } = await run([{ in: input, mark: 7 }]);
    expect([emitted, packets[0]?.mark]).toEqual([[], 0]);
  });
});

describe("destination unreachable", () => {
  const to4 = ipv4({ source: client4.destination, destination: client4.source, dontFragment: true });
  const to6 = ipv6({ source: client6.destination, destination: client6.source });
  test("prohibited, in IPv4", () =>
    sends(in4, 8, packetHex(to4, icmp({ type: 3, code: 13 }), Buffer.from(in4, "hex"))));
  test("port, in IPv6", () => sends(in6, 9, packetHex(to6, icmpv6({ type: 1, code: 4 }), Buffer.from(in6, "hex"))));
  test("quotes what the window has of a long packet", async () => {
    const long = packetHex(ipv4(client4), udp({ sourcePort: 1, destinationPort: 2 }), Buffer.alloc(1000));
    await sends(long, 8, packetHex(to4, icmp({ type: 3, code: 13 }), Buffer.from(long, "hex").subarray(0, 320)));
  });
  test.each([
    ["an ICMP error", packetHex(ipv4(client4), icmp({ type: 3 }), Buffer.from(in4, "hex"))],
    ["a later fragment", packetHex(ipv6(client6), fragment({ offset: 8 }), "12345678")],
    [
      "what was sent to a group",
      packetHex(ipv4({ ...client4, destination: "224.0.0.5" }), udp({ sourcePort: 1, destinationPort: 2 })),
    ],
  ])("does not answer %s", async (_name, input) => {
    const { emitted, packets } = await run([{ in: input, mark: 8 }]);
    expect([emitted, packets[0]?.mark]).toEqual([[], 0]);
  });
});
