// Tables of the worker's own, held against models of them.

import { ipv4, ipv6, type NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { numbers, stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("state");
}, 120_000);

const NONE = 0xffffffff;
interface Step {
  /** The last byte of 10.0.0.x, or an address. */
  key: number | string;
  what: number;
  value?: number;
  at?: number;
  ports?: [number, number];
}
const addressOf = (key: number | string) => (typeof key === "number" ? `10.0.${key >> 8}.${key & 255}` : key);

/** The marks after each step. */
async function play(steps: Step[]): Promise<number[]> {
  const packets = steps.map(({ key, what, value = 0, at, ports = [1, 2] }) => {
    const source = addressOf(key);
    const ip = source.includes(":")
      ? ipv6({ source, destination: "fd00::ff" })
      : ipv4({ source, destination: "10.9.9.9" });
    const input = packetHex(ip, udp({ sourcePort: ports[0], destinationPort: ports[1] }));
    const mark = value * 256 + what;
    return { in: input, mark, ...(at === undefined ? {} : { at }), expect: { verdict: "pass" as const } };
  });
  const result = await stage.run({ name: "", hook: "forward", packets });
  expect(result.trap).toBeUndefined();
  return result.packets.map(({ mark }) => mark);
}

describe("an LRU table", () => {
  const SET = 1;
  const GET = 2;
  const REMOVE = 3;
  const HAS = 4;

  test("does what a list in the order of use does", async () => {
    const random = numbers(3);
    const next = (below: number) => random.next().value % below;
    let model: { key: number; value: number }[] = []; // the oldest first
    const use = (key: number, value: number) => {
      model = [...model.filter((each) => each.key !== key), { key, value }].slice(-16);
    };
    const steps: Step[] = [];
    const expected: number[] = [];
    for (let i = 0; i < 5000; i++) {
      const key = 1 + next(40);
      const what = [SET, SET, GET, GET, REMOVE, HAS][next(6)] as number;
      const found = model.find((each) => each.key === key);
      steps.push({ key, what, value: i });
      if (what === SET) {
        use(key, i);
        expected.push(model.length);
      } else if (what === GET) {
        if (found) use(key, found.value);
        expected.push(found?.value ?? NONE);
      } else if (what === REMOVE) {
        model = model.filter((each) => each.key !== key);
        expected.push((found ? 256 : 0) + model.length);
      } else {
        expected.push(found ? 1 : 0);
      }
    }
    expect(await play(steps)).toEqual(expected);
  });
  test("takes addresses of both families as keys", async () => {
    const set = (key: string, value: number): Step => ({ key, what: 5, value });
    const get = (key: string): Step => ({ key, what: 6 });
    const steps = [set("10.0.0.1", 1), set("fd00::1", 2), set("fd00::2", 3), get("10.0.0.1"), set("10.0.0.2", 4)];
    const marks = await play([...steps, get("fd00::1"), get("10.0.0.1"), get("fd00::2"), get("10.0.0.2")]);
    expect(marks).toEqual([1, 2, 3, 1, 3, NONE, 1, 3, 4]);
  });
  test("takes flows as keys and records as values, zeroed when they are new", async () => {
    const flow = (ports: [number, number]): Step => ({ key: 1, what: 7, ports });
    const marks = await play([flow([1, 2]), flow([1, 2]), flow([1, 3]), flow([1, 2]), flow([9, 9]), flow([1, 3])]);
    const seen = (packets: number) => (packets << 16) | (packets * 28);
    expect(marks).toEqual([seen(1), seen(2), seen(1), seen(3), seen(1), seen(1)]);
  });
  test("a flow's other direction is another key, until it is turned", async () => {
    const back = { key: "10.9.9.9", what: 8, ports: [2, 1] as [number, number] };
    expect(await play([{ key: 1, what: 7 }, { key: 1, what: 8 }, back])).toEqual([(1 << 16) | 28, NONE, NONE]);
  });
  test("has room for one entry at least", async () => {
    const set = (key: number): Step => ({ key, what: 9 });
    expect(await play([set(1), set(2)])).toEqual([0x10001, 0x10001]);
  });
});

describe("token buckets", () => {
  const take = (key: number | string, at: number, value = 1): Step => ({ key, what: 10, at, value });

  test("let a burst through, then the rate", async () => {
    const burst = Array.from({ length: 7 }, () => take(1, 0));
    const later = [take(1, 99), take(1, 100), take(1, 100), take(1, 1000, 5), take(1, 1000)];
    expect(await play([...burst, ...later])).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0]);
  });
  test("count each key by itself", async () => {
    expect(await play([take(1, 0, 5), take(1, 0), take(2, 0, 5), take(2, 0)])).toEqual([1, 0, 1, 0]);
  });
  test("pass nothing that costs more than the burst, and nothing at rate 0", async () => {
    expect(await play([take(1, 0, 6), { key: 1, what: 12 }, take(1, 0, 5)])).toEqual([0, 0, 1]);
  });
  test("say how many tokens there are", async () => {
    const tokens = (at: number): Step => ({ key: 1, what: 11, at });
    const steps = [tokens(0), take(1, 0, 3), tokens(0), tokens(50), tokens(100), tokens(500)];
    expect(await play(steps)).toEqual([5, 1, 2, 2, 3, 5]);
  });
  test("forget the key that was not seen for longest when there are too many", async () => {
    const first = [1, 2, 3, 4].map((key) => take(key, 0, 5));
    expect(await play([...first, take(1, 0), take(5, 0), { key: 0, what: 14 }, take(2, 0), take(1, 0)])).toEqual([
      ...[1, 1, 1, 1],
      ...[0, 1, 4, 1, 0],
    ]);
  });
  test("keep 10 Gbit/s within a thousandth", async () => {
    const packets = Array.from({ length: 10_000 }, (_, i) => ({
      key: "fd00::1",
      what: 13,
      value: 1500,
      at: Math.floor(i / 1000),
    }));
    const passed = (await play(packets)).filter((mark) => mark === 1).length * 1500;
    const most = 2_000_000 + 0.009 * 1.25e9; // the burst, and 9 ms of the rate
    expect(passed).toBeLessThanOrEqual(most);
    expect(passed).toBeGreaterThan(most * 0.999);
  });
  test("a worker's share is all of it when there is one", async () => {
    expect(await play([{ key: 1, what: 31, value: 1000 }])).toEqual([1000]);
  });
});

describe("a count-min sketch", () => {
  const ADD = 20;
  const ESTIMATE = 21;
  const HALVE = 22;
  const CLEAR = 23;

  test("is never too low, and within its bound too high", async () => {
    const random = numbers(11);
    const counts = new Map<number, number>();
    const adds = Array.from({ length: 8000 }, (): Step => {
      const key = Math.floor((random.next().value % 3000) ** 2 / 3000); // low keys more often
      const value = 1 + (random.next().value % 20);
      counts.set(key, (counts.get(key) ?? 0) + value);
      return { key, what: ADD, value };
    });
    const keys = Array.from({ length: 3000 }, (_, key) => key);
    const marks = (await play([...adds, ...keys.map((key) => ({ key, what: ESTIMATE }))])).slice(adds.length);
    const errors = keys.map((key) => (marks[key] ?? 0) - (counts.get(key) ?? 0));
    expect(Math.min(...errors)).toBe(0);
    const total = [...counts.values()].reduce((sum, each) => sum + each, 0);
    const beyond = errors.filter((error) => error > (Math.E * total) / 256).length;
    expect(beyond / keys.length).toBeLessThan(Math.exp(-4));
    expect(Math.max(...errors)).toBeGreaterThan(0);
  });
  test("is exact for few keys, halves and forgets", async () => {
    const steps = [
      ...[
        { key: 1, what: ADD, value: 9 },
        { key: 2, what: ADD, value: 1 },
        { key: 1, what: ADD },
      ],
      ...[
        { key: 0, what: HALVE },
        { key: 1, what: ESTIMATE },
        { key: 2, what: ESTIMATE },
      ],
      ...[
        { key: 0, what: CLEAR },
        { key: 1, what: ESTIMATE },
      ],
    ];
    expect(await play(steps)).toEqual([9, 1, 9, 0, 4, 0, 0, 0]);
  });
  test("stops counting at the largest number", async () => {
    const more = (value: number): Step => ({ key: 1, what: 24, value });
    expect(await play([more(0), more(0), { key: 1, what: ADD, value: 5 }])).toEqual([0xffffff00, NONE, NONE]);
  });
});

test("an interval is due once in each of its lengths", async () => {
  const ask = (at: number): Step => ({ key: 1, what: 30, at });
  expect(await play([0, 5, 10, 10, 19, 20, 45, 49, 50].map(ask))).toEqual([0, 0, 1, 0, 0, 1, 1, 0, 1]);
});
