import { ipv4, ipv6, type NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { numbers, stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("tables");
}, 120_000);

const MISSING = 0xffffffff;
const PREFIX = 1;
const PORT = 2;
const PAIR = 3;
const LIST = 4;
const MOST = 5;
const SIZES = 6;

interface Question {
  mark: number;
  destination?: string;
  ports?: [number, number];
}
type Config = Parameters<NodeStage["run"]>[0]["config"];

/** The stage's answers: the marks after the burst. */
async function answers(config: Config, questions: Question[]): Promise<(number | string)[]> {
  const packets = questions.map(({ mark, destination = "10.0.0.1", ports = [1, 2] }) => {
    const ip = destination.includes(":")
      ? ipv6({ source: "fd00::1", destination })
      : ipv4({ source: "10.9.9.9", destination });
    const input = packetHex(ip, udp({ sourcePort: ports[0], destinationPort: ports[1] }));
    return { in: input, mark, expect: { verdict: "pass" as const } };
  });
  const base = { name: "", hook: "forward" as const, packets };
  const result = await stage.run(config === undefined ? base : { ...base, config });
  if (result.trap) return [`trap: ${result.trap.message}`];
  return result.packets.map((each) => (each.verdict === "pass" ? each.mark : (each.reason ?? "")));
}
const lookup = (config: Config, mark: number, destinations: string[]) =>
  answers(
    config,
    destinations.map((destination) => ({ mark, destination })),
  );

describe("longest prefix match", () => {
  const config = {
    prefixes: [
      { prefix: "10.0.0.0/8", value: 1 },
      { prefix: "10.1.0.0/16", value: 2 },
      { prefix: "10.1.2.3", value: 3 },
      { prefix: "fd00::/8", value: 4 },
      { prefix: "fd00:1::/64", value: 5 },
      { prefix: "fd00:1::7/128", value: 6 },
      { prefix: "fd00:1:0:0:8000::/65", value: 7 },
    ],
  };
  test("IPv4", async () => {
    const found = await lookup(config, PREFIX, ["10.2.0.1", "10.1.0.1", "10.1.2.3", "10.1.2.4", "11.0.0.1"]);
    expect(found).toEqual([1, 2, 3, 2, MISSING]);
  });
  test("IPv6", async () => {
    const asked = ["fd01::1", "fd00:1::1", "fd00:1::7", "fd00:1:0:0:8000::1", "2001:db8::1"];
    expect(await lookup(config, PREFIX, asked)).toEqual([4, 5, 6, 7, MISSING]);
  });
  test("a default route holds everything, also under longer prefixes", async () => {
    const withDefault = {
      prefixes: [...config.prefixes, { prefix: "0.0.0.0/0", value: 8 }, { prefix: "::/0", value: 9 }],
    };
    expect(await lookup(withDefault, PREFIX, ["11.0.0.1", "10.1.2.3", "2001:db8::1", "fd01::1"])).toEqual([8, 3, 9, 4]);
  });
  test("bits behind the length do not matter, and the last value of a prefix stays", async () => {
    const twice = {
      prefixes: [
        { prefix: "10.1.2.3/8", value: 1 },
        { prefix: "10.200.0.0/8", value: 2 },
      ],
    };
    expect(await lookup(twice, PREFIX, ["10.50.0.1"])).toEqual([2]);
  });
  test("as a search through all prefixes says", async () => {
    const random = numbers(1);
    const next = (below: number) => random.next().value % below;
    const address = () => [10 + next(2), next(4), next(4), next(256)];
    const bits = (bytes: number[]) => bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
    const prefixes = Array.from({ length: 300 }, (_, value) => ({ bytes: address(), length: next(33), value }));
    const asked = Array.from({ length: 256 }, address);
    const expected = asked.map((bytes) => {
      const matching = prefixes.filter(
        (each) => bits(each.bytes).slice(0, each.length) === bits(bytes).slice(0, each.length),
      );
      const longest = Math.max(...matching.map((each) => each.length));
      return matching.findLast((each) => each.length === longest)?.value ?? MISSING;
    });
    const rows = prefixes.map(({ bytes, length, value }) => ({ prefix: `${bytes.join(".")}/${length}`, value }));
    expect(
      await lookup(
        { prefixes: rows },
        PREFIX,
        asked.map((bytes) => bytes.join(".")),
      ),
    ).toEqual(expected);
  });
});

describe("exact match", () => {
  const ports = Array.from({ length: 1000 }, (_, i) => ({ port: i * 7, value: i }));
  const questions = Array.from({ length: 250 }, (_, i) => ({ mark: PORT, ports: [1, i] as [number, number] }));
  const expected = questions.map(({ ports: [, port] }) => (port % 7 === 0 ? port / 7 : MISSING));

  test("by number, grown entry by entry", async () => {
    expect(await answers({ ports }, questions)).toEqual(expected);
  });
  test("by number, in a table of the right size", async () => {
    expect(await answers({ reserve: 1000, ports }, questions)).toEqual(expected);
  });
  test("an entry set twice has the last value and counts once", async () => {
    const twice = {
      ports: [
        { port: 80, value: 1 },
        { port: 80, value: 2 },
      ],
      list: [1, 2, 3],
    };
    expect(await answers(twice, [{ mark: PORT, ports: [1, 80] }, { mark: SIZES }])).toEqual([2, (1 << 16) | 3]);
  });
  test("by the fields of a class, with records as values", async () => {
    const pairs = Array.from({ length: 200 }, (_, i) => ({ first: i, second: i * 3, value: i + 1 }));
    const asked: Question[] = [0, 5, 199].map((i) => ({ mark: PAIR, ports: [i, i * 3] }));
    expect(await answers({ pairs }, [...asked, { mark: PAIR, ports: [5, 16] }])).toEqual([1, 6, 200, MISSING]);
  });
});

describe("arrays and settings", () => {
  test("items keep their order while the array grows", async () => {
    const list = Array.from({ length: 100 }, (_, i) => i * 10);
    const asked = [0, 7, 8, 99].map((i) => ({ mark: LIST, ports: [1, i] as [number, number] }));
    expect(await answers({ list }, asked)).toEqual([0, 140, 160, 1980]);
  });
  test("an index that is too large traps", async () => {
    expect(await answers({ list: [1] }, [{ mark: LIST, ports: [1, 1] }])).toEqual(["trap: unreachable"]);
  });
  test("a single record", async () => {
    expect(await answers({ most: 12345 }, [{ mark: MOST }])).toEqual([12345]);
  });
});

test("without a configuration all tables are empty", async () => {
  const asked = [
    { mark: PREFIX },
    { mark: PREFIX, destination: "fd00::1" },
    { mark: PORT },
    { mark: PAIR },
    { mark: MOST },
  ];
  expect(await answers(undefined, [...asked, { mark: SIZES }])).toEqual([...asked.map(() => MISSING), 0]);
});

test("tables that do not fit in segmentBytes are refused", async () => {
  const ports = Array.from({ length: 60000 }, (_, port) => ({ port, value: 1 }));
  await expect(answers({ ports }, [])).rejects.toThrow("need more than segmentBytes, 131072");
});
