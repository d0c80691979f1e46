// Tables of ranges, prefixes, bits and choices, held against searches through all entries.

import { addressBytes, addressText, ipv4, ipv6, type NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { numbers, stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("ranges");
}, 120_000);

const MISSING = 0xffffffff;
const RANGE = 1;
const BIT = 2;
const MEMBER = 3;
const PREFIX = 4;
type Config = Parameters<NodeStage["run"]>[0]["config"];

/** The marks after a lookup of each key: a number as ports, or a source address. */
async function look(config: Config, mark: number, keys: (number | string)[]): Promise<number[]> {
  const packets = keys.map((key) => {
    const source = typeof key === "string" ? key : "10.0.0.1";
    const ip = source.includes(":")
      ? ipv6({ source, destination: "fd00::ff" })
      : ipv4({ source, destination: "10.9.9.9" });
    const ports = typeof key === "number" ? key : 0;
    const l4 = udp({ sourcePort: Math.floor(ports / 65536), destinationPort: ports % 65536 });
    return { in: packetHex(ip, l4), mark, expect: { verdict: "pass" as const } };
  });
  const row = { name: "", hook: "forward" as const, packets };
  const result = await stage.run(config === undefined ? row : { ...row, config });
  expect(result.trap).toBeUndefined();
  return result.packets.map(({ mark: found }) => found);
}

const random = numbers(17);
const next = (below: number) => random.next().value % below;

describe("a table of ranges", () => {
  const lookup = (ranges: object[], keys: (number | string)[]) => look({ ranges: ranges as never }, RANGE, keys);
  test("finds the range that holds a number, ends included", async () => {
    const ranges = [
      { first: 80, last: 80, value: 1 },
      { first: 8000, last: 8099, value: 2 },
      { first: 0xfffffff0, last: 0xffffffff, value: 3 },
    ];
    const keys = [0, 79, 80, 81, 7999, 8000, 8099, 8100, 0xffffffef, 0xfffffff0, 0xffffffff];
    expect(await lookup(ranges, keys)).toEqual([
      ...[MISSING, MISSING, 1, MISSING, MISSING, 2, 2, MISSING],
      ...[MISSING, 3, 3],
    ]);
  });
  test("gives what was added last where ranges overlap, as a list of all numbers does", async () => {
    for (let round = 0; round < 30; round++) {
      const model = new Array<number>(300).fill(MISSING);
      const ranges = Array.from({ length: 1 + next(40) }, (_, value) => {
        const first = next(300);
        const last = Math.min(299, first + next(round % 2 ? 10 : 200));
        model.fill(value, first, last + 1);
        return { first, last, value };
      });
      expect(
        await lookup(
          ranges,
          model.map((_, key) => key),
        ),
      ).toEqual(model);
    }
  });
  test("takes IPv6 addresses, beside numbers", async () => {
    const ranges = [
      { first: "fd00::", last: "fd00::ffff:ffff:ffff:ffff", value: 1 },
      { first: "fd00::10", last: "fd00::1f", value: 2 },
      { first: "fd00::ffff:ffff:ffff:fff0", last: "fd00:0:0:1::5", value: 3 },
      { first: 0, last: 100, value: 4 },
    ];
    const keys = ["fcff::1", "fd00::1", "fd00::10", "fd00::1f", "fd00::20", "fd00:0:0:1::5", "fd00:0:0:1::6", 50];
    expect(await lookup(ranges, keys)).toEqual([MISSING, 1, 2, 2, 1, 3, MISSING, 4]);
  });
  test("ignores a range whose end is before its start", async () => {
    expect(await lookup([{ first: 9, last: 8, value: 1 }], [8, 9])).toEqual([MISSING, MISSING]);
  });
});

describe("a set of numbers", () => {
  test("has what was added, and nothing else", async () => {
    const added = new Set(Array.from({ length: 500 }, () => next(70_000)));
    const keys = Array.from({ length: 1000 }, () => next(80_000)).concat([...added]);
    const expected = keys.map((key) => (added.has(key) ? 1 : 0));
    expect(await look({ open: [...added] }, BIT, keys)).toEqual(expected);
    expect(await look({ reserve: 70_000, open: [...added] }, BIT, keys)).toEqual(expected);
  });
  test("takes ranges, and no numbers that are too large", async () => {
    const open = [{ first: 63, last: 129 }, { first: 5, last: 4 }, 0xffffffff];
    const keys = [4, 5, 62, 63, 64, 128, 129, 130, 0xffffffff];
    expect(await look({ open }, BIT, keys)).toEqual([0, 0, 0, 1, 1, 1, 1, 0, 0]);
  });
});

describe("consistent hashing", () => {
  interface Member {
    name: string;
    value: number;
    weight: number;
  }
  const member = (value: number, weight = 1): Member => ({ name: `link-${value}`, value, weight });
  const keys = Array.from({ length: 4000 }, () => next(65536) * 65536 + next(65536));
  const choose = (members: Member[]) => look({ members: members as never }, MEMBER, keys);
  const share = (chosen: number[], value: number) => chosen.filter((each) => each === value).length / chosen.length;

  test("chooses by weight", async () => {
    const chosen = await choose([member(1), member(2, 2), member(3, 0), member(4, 5)]);
    for (const [value, part] of [
      [1, 1 / 8],
      [2, 2 / 8],
      [3, 0],
      [4, 5 / 8],
    ] as const) {
      expect(Math.abs(share(chosen, value) - part)).toBeLessThan(0.03);
    }
  });
  test("moves little more than a lost member's share, whatever the order", async () => {
    const ten = Array.from({ length: 10 }, (_, i) => member(i));
    const before = await choose(ten);
    expect(await choose([...ten].reverse())).toEqual(before);
    const after = await choose(ten.filter(({ value }) => value !== 4));
    const moved = before.filter((value, i) => value !== 4 && after[i] !== value).length / before.length;
    expect(moved).toBeLessThan(0.05);
    expect(share(after, 4)).toBe(0);
  });
  test("treats both directions alike", async () => {
    const turned = keys.map((key) => (key % 65536) * 65536 + Math.floor(key / 65536));
    const members = [member(1), member(2), member(3)] as never;
    expect(await look({ members }, MEMBER, turned)).toEqual(await look({ members }, MEMBER, keys));
  });
  test("chooses nothing without members", async () => {
    expect(await look({ members: [] }, MEMBER, [1])).toEqual([MISSING]);
    expect(await look({ members: [member(1, 0)] as never }, MEMBER, [1])).toEqual([MISSING]);
  });
});

describe("longest prefix match of many prefixes", () => {
  interface Entry {
    bits: string;
    prefix: string;
    value: number;
  }
  const bitsOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const model = (entries: Entry[], address: string): number => {
    const bits = bitsOf(addressBytes(address));
    const matching = entries.filter((each) => bits.startsWith(each.bits));
    const longest = Math.max(...matching.map((each) => each.bits.length));
    return matching.findLast((each) => each.bits.length === longest)?.value ?? MISSING;
  };
  /** Prefixes and addresses of few different bytes, so that many hold each other. */
  const address = (bytes: number) => {
    const some = Array.from({ length: bytes }, (_, i) =>
      i === 0 ? (bytes === 4 ? 10 : 0x20) + next(2) : [0, 1, 127, 255][next(4)],
    );
    return addressText(Uint8Array.from(some as number[]));
  };
  const entry = (bytes: number, value: number): Entry => {
    const text = address(bytes);
    const length = next(bytes * 8 + 1);
    return { bits: bitsOf(addressBytes(text)).slice(0, length), prefix: `${text}/${length}`, value };
  };

  test.each([4, 16])("is what a search through all says, of addresses of %i bytes", async (bytes) => {
    for (const count of [1, 2, 5, 50, 1000]) {
      const entries = Array.from({ length: count }, (_, value) => entry(bytes, value));
      const keys = Array.from({ length: 400 }, () => address(bytes));
      const prefixes = entries.map(({ prefix, value }) => ({ prefix, value }));
      const expected = keys.map((key) => model(entries, key));
      expect(await look({ prefixes }, PREFIX, keys)).toEqual(expected);
      expect(await look({ reserve: 1000, prefixes }, PREFIX, keys)).toEqual(expected);
    }
  });
  test("holds the first and the last address", async () => {
    const prefixes = [
      { prefix: "255.255.255.255/32", value: 1 },
      { prefix: "240.0.0.0/4", value: 2 },
      { prefix: "1.0.0.0/32", value: 3 },
      { prefix: "ffff::/16", value: 4 },
    ];
    const keys = ["240.0.0.1", "1.0.0.0", "1.0.0.1", "254.255.255.255", "fe00::1"];
    expect(await look({ prefixes }, PREFIX, keys)).toEqual([2, 3, MISSING, 2, MISSING]);
  });
  test("knows within configure what was added so far", async () => {
    const prefixes = [
      { prefix: "10.0.0.0/8", value: 1 },
      { prefix: "10.1.0.0/16", value: 2 },
      { prefix: "10.1.0.0/16", value: 3 },
    ];
    await expect(look({ prefixes, asked: "10.1.2.3" }, PREFIX, [])).rejects.toThrow("asked is 3");
    await expect(look({ prefixes, asked: "10.2.2.3" }, PREFIX, [])).rejects.toThrow("asked is 1");
    await expect(look({ prefixes, asked: "11.2.2.3" }, PREFIX, [])).rejects.toThrow("asked is 4294967295");
  });
});
