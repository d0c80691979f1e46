import { describe, expect, test } from "vitest";
import { parseNodeSpec } from "../src/config/load.js";
import type { NodeSpec } from "../src/config/schema.js";
import { keepsOrder } from "../src/dataplane/list-change.js";
import { desiredState } from "../src/dataplane/state.js";
import { stateText } from "../src/dataplane/state-change.js";
import { digest, manifest, node, plugin } from "./helpers.js";

const MANIFESTS = new Map([[digest("a"), manifest("any", { hooks: ["forward"] })]]);
const stateOf = (spec: NodeSpec) => desiredState(spec, MANIFESTS);

const PORTS = ["a", "b", "c"].map((name) => ({ name, kind: "inject" }));
const ROUTES = [
  { prefix: "10.1.0.0/16", nextHops: [{ port: "a" }] },
  { prefix: "10.2.0.0/16", table: 1, nextHops: [{ port: "b" }] },
];
const PLUGINS = [plugin("p", "a", { config: { x: 1 } }), plugin("q", "a", { config: { y: 2 } })];
const BEFORE = node({ ports: PORTS, routes: ROUTES, plugins: PLUGINS });

/** Description, what the node has other than before, what the addon is told, the configurations with it. */
const ROWS: [string, Partial<NodeSpec>, Record<string, unknown>, string[]][] = [
  ["nothing", {}, {}, []],
  [
    "a port more",
    { ports: [...BEFORE.ports, { ...(BEFORE.ports[0] as NodeSpec["ports"][number]), name: "d" }] },
    { ports: { set: [expect.objectContaining({ name: "d" })], remove: [] } },
    [],
  ],
  [
    "a port less",
    { ports: BEFORE.ports.filter(({ name }) => name !== "c") },
    { ports: { set: [], remove: ["c"] } },
    [],
  ],
  [
    "ports in another order: the addon's errors point into its list",
    { ports: [...BEFORE.ports].reverse() },
    { ports: ["c", "b", "a"].map((name) => expect.objectContaining({ name })) },
    [],
  ],
  [
    "a route by its table",
    { routes: BEFORE.routes.slice(0, 1) },
    { routes: { set: [], remove: [{ table: 1, prefix: "10.2.0.0/16" }] } },
    [],
  ],
  [
    "one plugin's configuration, and no other's text",
    { plugins: BEFORE.plugins.map((each) => (each.name === "q" ? { ...each, config: { y: 3 } } : each)) },
    { plugins: { set: [expect.objectContaining({ name: "q", config: 0 })], remove: [] } },
    ['{"y":3}'],
  ],
  ["the pipeline", { pipeline: { forward: ["q"] } }, { pipeline: expect.objectContaining({ forward: ["q"] }) }, []],
];

describe("what the addon is told", () => {
  test("is all of the first state, with the configurations aside", () => {
    const { text, configs } = stateText(stateOf(BEFORE));
    expect(configs).toEqual(['{"x":1}', '{"y":2}']);
    expect(JSON.parse(text)).toMatchObject({
      ports: PORTS.map(({ name }) => ({ name })),
      plugins: [
        { name: "p", config: 0 },
        { name: "q", config: 1 },
      ],
    });
    expect(JSON.parse(text)).not.toHaveProperty("base");
  });

  test.each(ROWS)("of a change: %s", (_, change, expected, configs) => {
    const told = stateText(stateOf({ ...BEFORE, ...change }), { state: stateOf(BEFORE), generation: 7 });
    expect(JSON.parse(told.text)).toEqual({ base: 7, ...expected });
    expect(told.configs).toEqual(configs);
  });

  test("is nothing where a node that was read anew says the same", () => {
    const again = stateOf(parseNodeSpec(JSON.parse(JSON.stringify(BEFORE))));
    expect(JSON.parse(stateText(again, { state: stateOf(BEFORE), generation: 7 }).text)).toEqual({ base: 7 });
  });
});

/** A list before and after; whether what is set in place, removed and added at the end gives that order. */
const ORDERS: [string, string, boolean][] = [
  ["abc", "abc", true],
  ["abc", "ac", true],
  ["abc", "abcd", true],
  ["abc", "bcde", true],
  ["", "ab", true],
  ["abc", "", true],
  ["abc", "acb", false],
  ["abc", "abdc", false],
  ["abc", "adc", false],
  ["abc", "dabc", false],
  ["ab", "cb", false],
];

test.each(ORDERS)("from %j to %j keeps the order: %j", (from, to, isKept) => {
  expect(keepsOrder([...from], [...to], (item) => item)).toBe(isKept);
});
