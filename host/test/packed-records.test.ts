import { describe, expect, test } from "vitest";
import { PackedSlice } from "../src/cluster/packed-slice.js";
import { Shared } from "../src/cluster/shared.js";
import { endpoint, pod, podKey, podsOf, slice } from "./translate/records.js";

describe("a packed slice gives its record again", () => {
  test.each([
    { what: "IPv4", record: slice([endpoint("10.1.1.1"), endpoint("10.1.255.0", { zone: "z" })]) },
    { what: "IPv6", record: slice([endpoint("fd00::1"), endpoint("fd00:1::ffff")], { addressType: "IPv6" }) },
    { what: "no endpoints", record: slice([]) },
    { what: "an endpoint of no address, and of several", record: slice([{ ...endpoint(""), addresses: [] }]) },
    { what: "several addresses", record: slice([{ ...endpoint(""), addresses: ["10.0.0.1", "10.0.0.2"] }]) },
    {
      what: "each condition by itself",
      record: slice([
        endpoint("10.0.0.1", { ready: true, serving: false, terminating: false }),
        endpoint("10.0.0.2", { ready: false, serving: true, terminating: false }),
        endpoint("10.0.0.3", { ready: false, serving: false, terminating: true }),
      ]),
    },
    { what: "ports without name and number", record: slice([endpoint("10.0.0.1")], { ports: [{ protocol: "UDP" }] }) },
  ])("$what", ({ record }) => {
    expect(JSON.parse(JSON.stringify(new PackedSlice(record)))).toEqual(record);
  });

  test("but for what is no address of its family", () => {
    const record = slice([{ ...endpoint(""), addresses: ["10.0.0.1", "fd00::1", "nonsense"] }]);
    expect(new PackedSlice(record).record().endpoints[0]?.addresses).toEqual(["10.0.0.1"]);
  });
});

describe("a table of pods", () => {
  const both = ["10.1.2.1", "fd00:1::2"];
  const far = (name: string, change = {}) => pod(name, "10.1.2.1", { node: "node-b", ips: both, ...change });

  test("gives of other nodes' pods what policies need, and of its own all", () => {
    const own = pod("own", "10.1.1.1", { annotations: { a: "b" } });
    const table = podsOf("node-a", own, far("far"));
    expect(table.record("shop/own")).toEqual(own);
    expect(table.record("shop/far")).toEqual({ ...far("far"), uid: "" });
    expect([...table.keys()]).toEqual(["shop/own", "shop/far"]);
    expect(table.size).toBe(2);
  });

  test("keeps pods apart over many changes", () => {
    const table = podsOf("node-a");
    const names = Array.from({ length: 300 }, (_, i) => `p${i}`);
    const ipOf = (i: number, turn: number) => [
      `10.${turn}.${i >> 8}.${i & 255}`,
      `fd00:${turn + 1}::${(i + 1).toString(16)}`,
    ];
    for (let turn = 0; turn < 3; turn++) {
      for (const [i, name] of names.entries()) table.set(`shop/${name}`, far(name, { ips: ipOf(i, turn) }));
      for (const name of names.filter((_, i) => i % 3 === turn)) table.delete(`shop/${name}`);
    }
    const left = names.flatMap((name, i) => (i % 3 === 2 ? [] : [[`shop/${name}`, ipOf(i, 2)]]));
    expect([...table.records()].map(([key, { ips }]) => [key, ips])).toEqual(expect.arrayContaining(left));
    expect(table.size).toBe(left.length);
  });

  test.each([
    { what: "the same again", change: {}, changes: false },
    { what: "another phase", change: { phase: "Unknown" as const }, changes: false },
    { what: "an address", change: { ips: ["10.1.2.9"] }, changes: true },
    { what: "a label", change: { labels: { app: "x" } }, changes: true },
    { what: "a port", change: { ports: [{ name: "p", port: 1, protocol: "TCP" as const }] }, changes: true },
    { what: "its end", change: { phase: "Failed" as const }, changes: true },
    { what: "its node", change: { node: "node-a" }, changes: true },
  ])("says whether a change is one: $what", ({ change, changes }) => {
    const table = podsOf("node-a", far("far"));
    const version = table.inNamespace("shop")?.version;
    expect(table.set("shop/far", far("far", change))).toBe(changes);
    expect(table.inNamespace("shop")?.version !== version).toBe(changes);
  });

  test("has addresses that its node gave before the API knows them, and those of the API's afterwards", () => {
    const young = pod("young", "", { ips: [] });
    const table = podsOf("node-a", young);
    expect(table.inNamespace("shop")).toBeUndefined();
    expect(table.give(new Map([[podKey(young), both]]))).toBe(true);
    const [row = -1] = table.inNamespace("shop")?.rows.values() ?? [];
    expect(table.addressesOf(row)).toEqual(both);
    expect(table.give(new Map([[podKey(young), both]]))).toBe(false);
    expect(table.give(new Map())).toBe(true);
    expect(table.inNamespace("shop")).toBeUndefined();
  });
});

test("equal values are one object, also after very many others", () => {
  const shared = new Shared<{ n: number }>();
  expect(shared.of({ n: -1 })).toBe(shared.of({ n: -1 }));
  for (let n = 0; n < 20_000; n++) expect(shared.of({ n }).n).toBe(n);
  expect(shared.of({ n: -1 })).toBe(shared.of({ n: -1 }));
});
