// What the views read, in the header of the packet that it is in and nowhere else.

import {
  fragment,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type NodeStage,
  options,
  type PacketRow,
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
  stage = await stageOf("views");
}, 120_000);

const v4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const v6 = { source: "fd00::1", destination: "fd00::2" };
const ports = { sourcePort: 1000, destinationPort: 2000 };
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const udp4 = packetHex(ipv4(v4), udp(ports), "payload");

const run = (input: string, mark: number, more: Partial<PacketRow> = {}) =>
  stage.run({
    name: "",
    hook: "forward",
    packets: [{ in: input, mark, traced: true, ...more, expect: { verdict: "pass" } }],
  });
async function seen(input: string, mark: number, more: Partial<PacketRow> = {}): Promise<number[]> {
  const result = await run(input, mark, more);
  expect(result.trap).toBeUndefined();
  return Object.values(result.packets[0]?.trace ?? {});
}
const traps = async (input: string, mark: number, more: Partial<PacketRow> = {}) =>
  expect((await run(input, mark, more)).trap).toMatchObject({ message: "unreachable", packet: 0 });
const word = (high: number, middle: number, low: number) => (high << 16) | (middle << 8) | low;

describe("the link header", () => {
  const untagged = "020000000001 0e0000000002 0800".replaceAll(" ", "");
  const tagged = "ffffffffffff 0e0000000002 88a8b064 81002fff 0800".replaceAll(" ", "");
  test("of a frame", async () => {
    expect(await seen(udp4, 1, { link: untagged })).toEqual([0x020000000001, 0x0e0000000002, 0x0800, 0, 0]);
  });
  test("with two VLAN tags", async () => {
    expect(await seen(udp4, 1, { link: tagged })).toEqual([0xffffffffffff, 0x0e0000000002, 0x88a8, 1, 2]);
    expect(await seen(udp4, 2, { link: tagged })).toEqual([0x88a8, 0x064, 0b1011, 0x8100, 0xfff, 0b0010]);
  });
  test("is there until a header is pushed", async () => {
    expect(await seen(udp4, 4, { link: untagged })).toEqual([1, 0]);
    expect(await seen(udp4, 4)).toEqual([0, 0]);
  });
  test("that is not there traps", async () => {
    await traps(udp4, 1);
    await traps(udp4, 5, { link: untagged });
    await traps(udp4, 3, { link: untagged });
    await traps(udp4, 3, { link: tagged });
  });
  test("ARP in a payload", async () => {
    const arp = hex("0001 0800 06 04 0002 020000000001 0a000001 0e0000000002 0a000002");
    const values = [1, 2, 0x020000000001, 0x0a000001, 0x0e0000000002, 0x0a000002];
    expect(await seen(packetHex(ipv4(v4), udp(ports), arp), 6)).toEqual(values);
    await traps(packetHex(ipv4(v4), udp(ports), arp.subarray(1)), 6);
  });
});

describe("IPv4", () => {
  test("its fields", async () => {
    const fields = { ...v4, dscp: 46, ecn: 1, identification: 0x1234, ttl: 9, moreFragments: true, fragmentOffset: 64 };
    const input = packetHex(ipv4({ ...fields, protocol: 17 }), "12345678");
    const values = [20, (46 << 2) | 1, 28, 0x1234, word(0, 1, 64), 9, 17, 0x0a000001];
    expect(await seen(input, 10)).toEqual(values);
  });
  const listed = (bytes: string) => seen(packetHex(ipv4({ ...v4, options: hex(bytes) }), udp(ports)), 11);
  test("its options, without those that only fill", async () => {
    expect(await listed("94040000 01 8807 0102030405")).toEqual([word(0x94, 20, 2), word(0x88, 25, 5)]);
  });
  test.each([
    ["none", "", []],
    ["the end of the list before others", "00 94040000 000000", []],
    ["a length below 2", "94010000", []],
    ["a length beyond the header", "9404 0000 9405 0000", [word(0x94, 20, 2)]],
    ["a kind without a length", "010101 94", []],
  ])("its options: %s", async (_name, bytes, values) => {
    expect(await listed(bytes)).toEqual(values);
  });
});

describe("IPv6", () => {
  const udpBytes = Buffer.from(packetHex(ipv6(v6), udp(ports)), "hex").subarray(40);
  test("its fields", async () => {
    const input = packetHex(ipv6({ ...v6, dscp: 46, ecn: 1, flowLabel: 0xabcde, hopLimit: 9 }), udp(ports), "x");
    expect(await seen(input, 12)).toEqual([(46 << 2) | 1, 0xabcde, 9, 17, 9, 2, 0]);
  });
  test("its extension headers up to L4", async () => {
    const parts = [options(0), srh({ segments: ["fd00::9"], segmentsLeft: 0 }), fragment({}), options(60, 16)];
    const values = [word(0, 40, 8), word(43, 48, 24), word(44, 72, 8), word(60, 80, 16)];
    expect(await seen(packetHex(ipv6(v6), ...parts, udp(ports)), 13)).toEqual(values);
  });
  test("its extension headers end at a later fragment's payload", async () => {
    const input = packetHex(ipv6(v6), fragment({ offset: 8 }), hex("3c00000000000000"));
    expect(await seen(input, 13)).toEqual([word(44, 40, 8)]);
  });
  test("a fragment header", async () => {
    const input = packetHex(ipv6(v6), fragment({ offset: 64, more: true, identification: 0x12345678 }), "12345678");
    expect((await seen(input, 14)).slice(0, 3)).toEqual([64, 1, 0x12345678]);
  });
  test("an authentication header", async () => {
    const header = hex("1104 0000 00001234 00000007 000102030405060708090a0b");
    const input = packetHex(ipv6({ ...v6, nextHeader: 51 }), header, udpBytes);
    expect(await seen(input, 15)).toEqual([24, 0x1234, 7, 17]);
    expect(await seen(input, 13)).toEqual([word(51, 40, 24)]);
  });
  test("a segment routing header", async () => {
    const input = packetHex(ipv6(v6), srh({ segments: ["fd00::9", "fd00::8"], segmentsLeft: 1 }), udp(ports));
    const values = await seen(input, 16);
    expect(values.slice(0, 2)).toEqual([4, 1]);
    expect([8, 9]).toContain(values[2]);
  });
  const withOptions = (bytes: string) => packetHex(ipv6({ ...v6, nextHeader: 60 }), hex(bytes), udpBytes);
  test.each([
    ["with padding between", "1101 00 0101ff 0504aabbccdd 0102ffff", [0x0504, 0xaabbccdd]],
    ["one that is longer than its header", "1100 0506 01020304", []],
    ["one without a length", "1100 0102 ffff 00 05", []],
  ])("options of a header: %s", async (_name, bytes, values) => {
    expect(await seen(withOptions(bytes), 17)).toEqual(values);
  });
  test("a header that is another, or its bytes behind its end, trap", async () => {
    const input = packetHex(ipv6(v6), options(0), udp(ports));
    await traps(input, 18);
    await traps(input, 19);
    await traps(packetHex(ipv6(v6), udp(ports)), 14);
  });
  test("extension headers behind the window are not seen", async () => {
    const input = packetHex(ipv6(v6), options(0, 256), options(60, 32), udp(ports));
    expect(await seen(input, 13)).toEqual([(40 << 8) | 256, word(60, 0, 0) + (296 << 8) + 32]);
    const longer = packetHex(ipv6(v6), options(0, 280), options(60, 32), udp(ports));
    expect(await seen(longer, 13)).toEqual([(40 << 8) | 280]);
  });
});

/** The first eight options of a TCP header, as the fixture shows them. */
function optionsIn(bytes: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const length = bytes[at] === 1 ? 1 : (bytes[at + 1] ?? 0);
    if (bytes[at] !== 1 && (length < 2 || at + length > bytes.length)) break;
    if (bytes[at] !== 1) found.push(word(bytes[at] as number, 40 + at, length - 2));
    at += length;
  }
  return found.slice(0, 8);
}

describe("TCP", () => {
  const flow = { ...ports, sequence: 0xfffffff0, acknowledgment: 7, flags: "SA", window: 512 };
  const all = "020405b4 01 030307 0402 080a 11111111 22222222 00000000";
  const of = (bytes: string) => packetHex(ipv4(v4), tcp({ ...flow, options: hex(bytes) }), "payload");
  test("its fields", async () => {
    expect(await seen(of("020405b4"), 20)).toEqual([0xfffffff0, 7, 24, 18, 12, 512, 1460]);
    expect((await seen(of(""), 20)).at(-1)).toBe(0);
  });
  test("its options", async () => {
    expect(await seen(of(all), 21)).toEqual([word(2, 40, 2), word(3, 45, 1), word(4, 48, 0), word(8, 50, 8)]);
    expect(await seen(of(all), 22)).toEqual([7, 0x22222222, 0]);
  });
  test.each([
    ["a length below 2", "020405b4 0301 0000", [word(2, 40, 2)]],
    ["a length beyond the header", "020405b4 0505 0000", [word(2, 40, 2)]],
    ["not the payload", "01010101", []],
  ])("its options: %s", async (_name, bytes, values) => {
    expect(await seen(of(bytes), 21)).toEqual(values);
  });
  test("an option's bytes behind its end, and those of one that is not there, trap", async () => {
    await traps(of(all), 23);
    await traps(of(all), 24);
    await traps(udp4, 20);
  });
  test("options behind the window are not seen", async () => {
    const input = packetHex(ipv6(v6), options(60, 256), tcp({ ...flow, options: hex("0101 020405b4 0000") }));
    expect(await seen(input, 21)).toEqual([]);
  });
  test("any bytes as options: a list of what lies within them", async () => {
    const random = numbers(5);
    const lists = Array.from({ length: 200 }, () =>
      Buffer.from(Array.from({ length: 4 * (random.next().value % 11) }, () => random.next().value % 12)),
    );
    const packets = lists.map((bytes) => ({
      ...{ in: packetHex(ipv4(v4), tcp({ ...flow, options: bytes })), mark: 21, traced: true },
      expect: { verdict: "pass" as const },
    }));
    const result = await stage.run({ name: "", hook: "forward", packets });
    expect(result.trap).toBeUndefined();
    expect(result.packets.map(({ trace }) => Object.values(trace ?? {}))).toEqual(lists.map(optionsIn));
  });
});

describe("UDP, SCTP and ICMP", () => {
  const vxlan = hex("08000000 12345600");
  const tunnel = { sourcePort: 1, destinationPort: 4789 };
  test("UDP and VXLAN", async () => {
    expect(await seen(packetHex(ipv4(v4), udp(tunnel), vxlan), 30)).toEqual([16, 1, 1, 1, 0x123456]);
    expect(await seen(packetHex(ipv4(v4), udp({ ...tunnel, checksum: 0 }), vxlan.subarray(1)), 30)).toEqual([15, 0, 0]);
    expect(await seen(packetHex(ipv4(v4), udp(ports), vxlan), 30)).toEqual([16, 1, 0]);
  });
  test("SCTP and its chunks", async () => {
    const chunks = hex("0103 0009 0a0b0c0d 0e000000 0e00 0004 0300 0010 01020304");
    const input = packetHex(ipv4(v4), sctp({ ...ports, tag: 0xdeadbeef }), chunks);
    const values = [0xdeadbeef, word(1, 3, 5), 0x0a0b0c0d, word(14, 0, 0), word(3, 0, 12), 0x01020304];
    expect(await seen(input, 31)).toEqual(values);
    await traps(input, 32);
  });
  test("SCTP without chunks, or with one of an impossible length", async () => {
    expect(await seen(packetHex(ipv4(v4), sctp({ ...ports, tag: 1 })), 31)).toEqual([1]);
    expect(await seen(packetHex(ipv4(v4), sctp({ ...ports, tag: 1 }), hex("01000003")), 31)).toEqual([1]);
  });
  test("ICMP", async () => {
    const quoted = Buffer.from(udp4, "hex");
    const tooBig = packetHex(ipv4(v4), icmp({ type: 3, code: 4, sequence: 1400 }), quoted);
    expect(await seen(tooBig, 33)).toEqual([0x0304, 0, 1400]);
    await traps(tooBig, 34);
  });
  test("ICMPv6", async () => {
    const quoted = Buffer.from(packetHex(ipv6(v6), udp(ports)), "hex");
    const tooBig = packetHex(ipv6(v6), icmpv6({ type: 2, identifier: 1, sequence: 2 }), quoted);
    expect(await seen(tooBig, 33)).toEqual([0x0200, 1, 2, 0x10002]);
    expect(await seen(tooBig, 34)).toEqual([0x10002]);
  });
  test("ICMPv6 of 4 bytes has no view", async () => {
    const input = packetHex(ipv6({ ...v6, nextHeader: 58 }), hex("82000000"));
    expect(await seen(input, 36)).toEqual([0]);
    await traps(input, 37);
  });
  test("ESP", async () => {
    const input = packetHex(ipv4({ ...v4, protocol: 50 }), hex("00001234 00000009 ffff"));
    expect(await seen(input, 35)).toEqual([0x1234, 9]);
    await traps(packetHex(ipv4({ ...v4, protocol: 50 }), hex("00001234 000000")), 35);
  });
});

test("pushed bytes are zero, and lists of a packet that was pushed are empty", async () => {
  expect(await seen(packetHex(ipv4(v4), tcp({ ...ports, options: hex("020405b4") })), 40)).toEqual([0, 20, 0]);
});
