// Every rewrite call against packets that are made anew with the changed field, checksums computed in full.

import {
  type ChecksumMode,
  fragment,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type Layer,
  type NodeStage,
  options,
  type Part,
  packet,
  packetDiff,
  packetHex,
  sctp,
  srh,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { numbers, stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("rewrite");
}, 120_000);

/** A packet's fields that the rewrites change. */
interface Fields {
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  hopLimit: number;
  dscp: number;
  identifier: number;
  ecn: number;
  identification: number;
  dontFragment: boolean;
  flags: string;
  sequence: number;
  acknowledgment: number;
  window: number;
  mss: number;
  payload: string;
}
type Change = Partial<Fields>;
type Protocol = "tcp" | "udp" | "udp without checksum" | "sctp" | "icmp";

const NEW4 = "192.168.201.9";
const NEW6 = "2001:db8:ffff:1234::9";
const PORT = 54321;

function fieldsOf(family: 4 | 6, random: Generator<number, never>): Fields {
  const next = (below: number) => random.next().value % below;
  const group = () => next(65536).toString(16);
  const address = () =>
    family === 4 ? `10.${next(256)}.${next(256)}.${next(256)}` : `fd00:${group()}::${group()}:${group()}`;
  return {
    source: address(),
    destination: address(),
    sourcePort: next(65536),
    destinationPort: next(65536),
    hopLimit: 1 + next(255),
    dscp: next(64),
    identifier: next(65536),
    ecn: next(4),
    identification: next(65536),
    dontFragment: next(2) === 1,
    flags: "S",
    sequence: next(0x1000000) * 256,
    acknowledgment: next(0x1000000) * 256,
    window: next(65536),
    mss: next(65536),
    payload: "x".repeat(next(30)),
  };
}

function layersOf(family: 4 | 6, protocol: Protocol, fields: Fields, checksum: ChecksumMode): Part[] {
  const { source, destination, hopLimit, dscp, ecn, identification, dontFragment, payload } = fields;
  const ip =
    family === 4
      ? ipv4({ source, destination, ttl: hopLimit, dscp, ecn, identification, dontFragment })
      : ipv6({ source, destination, hopLimit, dscp, ecn, flowLabel: 0xabcde });
  const echo = { type: family === 4 ? 8 : 128, identifier: fields.identifier, sequence: 3 };
  // The largest segment's size stands at an odd offset.
  const mss = Buffer.from(`010204${fields.mss.toString(16).padStart(4, "0")}010000`, "hex");
  const l4: Record<Protocol, () => Layer> = {
    tcp: () => tcp({ ...fields, checksum, options: mss }),
    udp: () => udp({ ...fields, checksum }),
    "udp without checksum": () => udp({ ...fields, checksum: 0 }),
    sctp: () => sctp(fields),
    icmp: () => (family === 4 ? icmp(echo) : icmpv6({ ...echo, checksum })),
  };
  return [ip, l4[protocol](), payload];
}

interface Call {
  name: string;
  /** The fixture's number of the call; of a quoted packet 10 more. */
  mark: number;
  families: (4 | 6)[];
  protocols: Protocol[];
  change: Change;
  /** Also for the quoted packet. */
  quoted: boolean;
}
const every: Protocol[] = ["tcp", "udp", "udp without checksum", "sctp", "icmp"];
const ports: Protocol[] = ["tcp", "udp", "udp without checksum", "sctp"];
const calls: Call[] = [
  { name: "setSource4", mark: 1, families: [4], protocols: every, change: { source: NEW4 }, quoted: true },
  { name: "setDestination4", mark: 2, families: [4], protocols: every, change: { destination: NEW4 }, quoted: true },
  { name: "setSource6", mark: 3, families: [6], protocols: every, change: { source: NEW6 }, quoted: true },
  { name: "setDestination6", mark: 4, families: [6], protocols: every, change: { destination: NEW6 }, quoted: true },
  { name: "setSourcePort", mark: 5, families: [4, 6], protocols: ports, change: { sourcePort: PORT }, quoted: true },
  {
    name: "setDestinationPort",
    mark: 6,
    families: [4, 6],
    protocols: ports,
    change: { destinationPort: PORT },
    quoted: true,
  },
  { name: "setHopLimit", mark: 7, families: [4, 6], protocols: every, change: { hopLimit: 7 }, quoted: false },
  { name: "setDscp", mark: 8, families: [4, 6], protocols: every, change: { dscp: 46 }, quoted: false },
  {
    name: "setIcmpIdentifier",
    mark: 9,
    families: [4, 6],
    protocols: ["icmp"],
    change: { identifier: PORT },
    quoted: true,
  },
  ...[
    ...once("setTcpFlags", 31, [4, 6], ["tcp"], { flags: "SAE" }),
    ...once("setTcpSequence", 32, [4, 6], ["tcp"], { sequence: 0xfffefdfc }),
    ...once("setTcpAcknowledgment", 33, [4, 6], ["tcp"], { acknowledgment: 0xfffefdfc }),
    ...once("setTcpWindow", 34, [4, 6], ["tcp"], { window: 0 }),
    ...once("setTcpMss", 35, [4, 6], ["tcp"], { mss: 1220 }),
    ...once("setIdentification", 36, [4], every, { identification: 0xffff }),
    ...once("setDontFragment", 37, [4], every, { dontFragment: true }),
    ...once("setEcn", 38, [4, 6], every, { ecn: 3 }),
    ...once("setSourceEndpoint4", 81, [4], ports, { source: NEW4, sourcePort: PORT }),
    ...once("setDestinationEndpoint4", 82, [4], ports, { destination: NEW4, destinationPort: PORT }),
    ...once("setSourceEndpoint6", 83, [6], ports, { source: NEW6, sourcePort: PORT }),
    ...once("setDestinationEndpoint6", 84, [6], ports, { destination: NEW6, destinationPort: PORT }),
    ...once("patch32 of ports", 39, [4, 6], ports, { sourcePort: 0xfffe, destinationPort: 0x0102 }),
  ],
];
/** A call that there is for the packet itself only. */
function once(name: string, mark: number, families: (4 | 6)[], protocols: Protocol[], change: Change): Call[] {
  return [{ name, mark, families, protocols, change, quoted: false }];
}
const PACKETS = 12;

describe.each(calls)("$name", ({ mark, families, protocols, change, quoted }) => {
  const cases = families.flatMap((family) => protocols.map((protocol) => ({ family, protocol })));

  test.each(cases)("IPv$family $protocol", async ({ family, protocol }) => {
    const random = numbers(mark);
    await expectRewrites(mark, false, () => {
      const fields = fieldsOf(family, random);
      const of = (these: Fields) => packetHex(...layersOf(family, protocol, these, "full"));
      return [of(fields), of({ ...fields, ...change })];
    });
  });

  const partial = cases.filter(({ protocol }) => protocol === "tcp" || protocol === "udp");
  test.each(partial)("IPv$family $protocol with a partial checksum", async ({ family, protocol }) => {
    const random = numbers(mark);
    await expectRewrites(mark, true, () => {
      const fields = fieldsOf(family, random);
      const of = (these: Fields) => packetHex(...layersOf(family, protocol, these, "partial"));
      return [of(fields), of({ ...fields, ...change })];
    });
  });

  // RFC 792 promises 8 bytes of the quoted L4 header; most senders quote more.
  const quotes = quoted
    ? cases.flatMap((each) => [
        { ...each, bytes: 8 },
        { ...each, bytes: 300 },
      ])
    : [];
  test.each(quotes)("IPv$family $protocol quoted with $bytes bytes of L4", async ({ family, protocol, bytes }) => {
    const random = numbers(mark);
    await expectRewrites(mark + 10, false, () => {
      const fields = fieldsOf(family, random);
      const outer = fieldsOf(family, random);
      const of = (these: Fields) => {
        const kept = packet(...layersOf(family, protocol, these, "full")).slice(0, (family === 4 ? 20 : 40) + bytes);
        return errorPacket(family, outer, kept);
      };
      const expected = of({ ...fields, ...change });
      const isCrcQuoted = protocol === "sctp" && bytes > 8;
      return [of(fields), isCrcQuoted ? keepQuotedCrc(family, of(fields), expected, outer) : expected];
    });
  });
});

const errorPacket = (family: 4 | 6, outer: Fields, quoted: Uint8Array): string =>
  family === 4
    ? packetHex(ipv4(outer), icmp({ type: 3, code: 1 }), quoted)
    : packetHex(ipv6(outer), icmpv6({ type: 1, code: 3 }), quoted);

/** The expected error, but with the quoted CRC as before: it covers what is not quoted, so it stays. */
function keepQuotedCrc(family: 4 | 6, before: string, after: string, outer: Fields): string {
  const quotedAt = (family === 4 ? 20 : 40) + 8;
  const crcAt = quotedAt + (family === 4 ? 20 : 40) + 8;
  const quoted = Buffer.from(after, "hex").subarray(quotedAt);
  Buffer.from(before, "hex").copy(quoted, crcAt - quotedAt, crcAt, crcAt + 4);
  return errorPacket(family, outer, quoted);
}

/** Runs a burst of made pairs (packet before, packet after) through one call. */
async function expectRewrites(mark: number, partial: boolean, make: () => [string, string]): Promise<void> {
  const pairs = Array.from({ length: PACKETS }, make);
  const packets = pairs.map(([input]) => ({ in: input, mark, partial, expect: { verdict: "pass" as const } }));
  const result = await stage.run({ name: "", hook: "forward", packets });
  expect(result.trap).toBeUndefined();
  pairs.forEach(([, expected], i) => {
    const found = result.packets[i];
    expect({ verdict: found?.verdict, done: found?.mark }).toEqual({ verdict: "pass", done: 1 });
    expect(packetDiff(expected, found?.out ?? "")).toEqual([]);
  });
}

async function rewritten(
  input: string,
  mark: number,
  partial = false,
): Promise<{ out: string | undefined; done: boolean; verdict: string | undefined; reason: string | undefined }> {
  const result = await stage.run({
    name: "",
    hook: "forward",
    packets: [{ in: input, mark, partial, expect: { verdict: "pass" } }],
  });
  expect(result.trap).toBeUndefined();
  const [found] = result.packets;
  return { out: found?.out, done: found?.mark === 1, verdict: found?.verdict, reason: found?.reason };
}

const v4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const v6 = { source: "fd00::1", destination: "fd00::2" };
const someUdp = udp({ sourcePort: 1, destinationPort: 2 });
const someTcp = tcp({ sourcePort: 1, destinationPort: 2 });
const sctpPacket = sctp({ sourcePort: 1, destinationPort: 2 });

describe("checksums that depend on more", () => {
  test("a UDP checksum that comes out as 0 is written as 0xffff", async () => {
    const of = (source: string, sourcePort: number) =>
      packetHex(ipv4({ ...v4, source }), udp({ sourcePort, destinationPort: 2 }));
    const zero = Array.from({ length: 65536 }, (_, port) => port).find(
      (port) => of(NEW4, port).slice(52, 56) === "ffff",
    );
    expect(zero).toBeDefined();
    expect((await rewritten(of("10.0.0.1", zero as number), 1)).out).toBe(of(NEW4, zero as number));
  });
  test("a later IPv4 fragment has no L4 checksum of its own", async () => {
    const of = (source: string) => packetHex(ipv4({ ...v4, source, fragmentOffset: 64, protocol: 17 }), "12345678");
    expect(await rewritten(of("10.0.0.1"), 1)).toMatchObject({ out: of(NEW4), done: true });
  });
  test("a later IPv6 fragment has no L4 checksum of its own", async () => {
    const of = (source: string) => packetHex(ipv6({ ...v6, source }), fragment({ offset: 64 }), "12345678");
    expect(await rewritten(of("fd00::1"), 3)).toMatchObject({ out: of(NEW6), done: true });
  });
  test("a first fragment's L4 checksum is updated", async () => {
    const of = (source: string) =>
      packetHex(ipv4({ ...v4, source, moreFragments: true }), udp({ sourcePort: 1, destinationPort: 2 }), "12345678");
    expect(await rewritten(of("10.0.0.1"), 1)).toMatchObject({ out: of(NEW4), done: true });
  });
  test("behind IPv6 extension headers", async () => {
    const of = (source: string) => packetHex(ipv6({ ...v6, source }), options(0), options(60, 16), someTcp, "abc");
    expect(await rewritten(of("fd00::1"), 3)).toMatchObject({ out: of(NEW6), done: true });
  });
  test("with segments left, the destination is not in the pseudo-header", async () => {
    const of = (destination: string) =>
      packetHex(ipv6({ ...v6, destination }), srh({ segments: ["fd00::9", "fd00::8"] }), someUdp, "abc");
    expect(await rewritten(of("fd00::2"), 4)).toMatchObject({ out: of(NEW6), done: true });
  });
  test("without segments left, it is", async () => {
    const of = (destination: string) =>
      packetHex(ipv6({ ...v6, destination }), srh({ segments: ["fd00::9"], segmentsLeft: 0 }), someUdp, "abc");
    expect(await rewritten(of("fd00::2"), 4)).toMatchObject({ out: of(NEW6), done: true });
  });
  test("behind IPv4 options", async () => {
    const of = (source: string) => packetHex(ipv4({ ...v4, source, options: Buffer.from("01010101", "hex") }), someTcp);
    expect(await rewritten(of("10.0.0.1"), 1)).toMatchObject({ out: of(NEW4), done: true });
  });
  test("an error's partial checksum does not change with what it quotes", async () => {
    const error = (quoted: Uint8Array) => packetHex(ipv6(v6), icmpv6({ type: 1, checksum: 0x1234 }), quoted);
    const of = (source: string) => packet(ipv6({ ...v6, source }), someUdp, "abc");
    expect(await rewritten(error(of("fd00::1")), 13, true)).toMatchObject({ out: error(of(NEW6)), done: true });
  });
  test("the L4 checksum outside the window: the address is not changed", async () => {
    const input = packetHex(ipv6(v6), options(60, 288), someTcp);
    expect(await rewritten(input, 3)).toMatchObject({ out: input, done: false });
  });
});

describe("calls that do not fit the packet change nothing", () => {
  const rows = [
    { name: "setSource4 of IPv6", mark: 1, in: packetHex(ipv6(v6), someUdp) },
    { name: "setSource6 of IPv4", mark: 3, in: packetHex(ipv4(v4), someUdp) },
    { name: "setSourcePort of ICMP", mark: 5, in: packetHex(ipv4(v4), icmp({ type: 8 })) },
    { name: "setIcmpIdentifier of UDP", mark: 9, in: packetHex(ipv4(v4), someUdp) },
    {
      name: "setIcmpIdentifier of an error",
      mark: 9,
      in: packetHex(ipv4(v4), icmp({ type: 3 }), packet(ipv4(v4), someUdp)),
    },
    { name: "setSource4 of UDP-Lite", mark: 1, in: packetHex(ipv4({ ...v4, protocol: 136 }), "0123456789") },
    { name: "setTcpFlags of UDP", mark: 31, in: packetHex(ipv4(v4), someUdp) },
    { name: "setSourceEndpoint4 of ICMP", mark: 81, in: packetHex(ipv4(v4), icmp({ type: 8 })) },
    { name: "setDestinationEndpoint6 of IPv4", mark: 84, in: packetHex(ipv4(v4), someUdp) },
    { name: "setTcpMss without the option", mark: 35, in: packetHex(ipv4(v4), someTcp) },
    { name: "setIdentification of IPv6", mark: 36, in: packetHex(ipv6(v6), someTcp) },
    {
      name: "setDontFragment of a fragment",
      mark: 37,
      in: packetHex(ipv4({ ...v4, moreFragments: true }), someUdp, "12345678"),
    },
    { name: "push beyond the headroom", mark: 23, in: packetHex(ipv4(v4), someUdp) },
    { name: "pop of the whole packet", mark: 24, in: packetHex(ipv4(v4), someUdp) },
  ];
  test.each(rows)("$name", async (row) => {
    expect(await rewritten(row.in, row.mark)).toMatchObject({ out: row.in, done: false, verdict: "pass" });
  });
  test("ICMPv6's number in IPv4 is no ICMPv6", async () => {
    const of = (source: string) => packetHex(ipv4({ ...v4, source, protocol: 58 }), "0123456789");
    expect(await rewritten(of("10.0.0.1"), 1)).toMatchObject({ out: of(NEW4), done: true });
  });
});

describe("bytes of the payload", () => {
  const payload = (text: string) => Buffer.from(text, "latin1");
  const of = (body: Buffer, l4: Layer) => packetHex(ipv4(v4), l4, body);
  /** Of 5 bytes: each place, so that odd ones and the odd last one are among them. */
  const patches: [number, number, string][] = [0, 1, 2, 3, 4].flatMap((at): [number, number, string][] => [
    [at, 1, "\xff"],
    [at, 1, "\0"],
    ...(at < 4 ? [[at, 2, "\xfe\x01"] as [number, number, string]] : []),
    ...(at < 2 ? [[at, 4, "\xfe\x01\x80\xff"] as [number, number, string]] : []),
  ]);
  test.each(patches)("at %i, %i of them", async (at, length, value) => {
    const before = payload("abcde");
    const after = payload(`abcde`.slice(0, at) + value + "abcde".slice(at + length));
    const mark = 40 + at * 4 + Math.log2(length);
    for (const l4 of [someTcp, someUdp, udp({ sourcePort: 1, destinationPort: 2, checksum: 0 }), sctpPacket]) {
      const input = of(before, l4);
      const number = BigInt(`0x${payload(value).toString("hex")}`);
      const result = await stage.run({
        name: "",
        hook: "forward",
        config: { value: Number(number) },
        packets: [{ in: input, mark, expect: { verdict: "pass" } }],
      });
      expect(result.trap).toBeUndefined();
      expect(result.packets[0]).toMatchObject({ mark: 1 });
      expect(packetDiff(of(after, l4), result.packets[0]?.out ?? "")).toEqual([]);
    }
  });
  test("a store that is not wholly behind L4 and in the window changes nothing", async () => {
    const input = of(payload("abcde"), someUdp);
    for (const mark of [70, 71, 72]) expect(await rewritten(input, mark)).toMatchObject({ out: input, done: false });
  });
});

describe("push and pop", () => {
  const inner: [Layer, Layer, string] = [ipv4(v4), someTcp, "payload"];
  test("a pushed header stands before the packet", async () => {
    const outer = ipv6({ source: NEW6, destination: NEW6, flowLabel: 0x12345 });
    const expected = packetHex(outer, options(60), ...inner);
    expect(await rewritten(packetHex(...inner), 21)).toMatchObject({ out: expected, done: true });
  });
  test("a popped header is gone", async () => {
    const input = packetHex(ipv6(v6), ...inner);
    expect(await rewritten(input, 22)).toMatchObject({ out: packetHex(...inner), done: true });
  });
  test("what a pop leaves must be a packet", async () => {
    const input = packetHex(ipv6({ ...v6, nextHeader: 253 }), "this is no IP packet");
    expect(await rewritten(input, 22)).toMatchObject({ verdict: "drop", reason: "malformed-ipv4" });
  });
  test("bytes behind the window move along", async () => {
    const long: Part[] = [ipv4(v4), someUdp, "y".repeat(1200)];
    expect(await rewritten(packetHex(ipv6(v6), ...long), 22)).toMatchObject({ out: packetHex(...long), done: true });
  });
});
