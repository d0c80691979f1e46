import { describe, expect, test } from "vitest";
import { checkNode } from "../src/config/checks.js";
import { difference, parseDifference, withDifference } from "../src/dataplane/difference.js";
import { specDigest } from "../src/dataplane/spec-digest.js";
import { node, plugin } from "./helpers.js";

const PORTS = [
  { name: "a", kind: "inject" },
  { name: "b", kind: "inject" },
];
const ROUTE = { prefix: "10.1.0.0/16", nextHops: [{ port: "a" }] };
const OTHER = { prefix: "10.2.0.0/16", nextHops: [{ port: "b" }] };
const MAC = "02:00:00:00:00:01";

/** Description, the node before, the node after, what of the difference is not empty. */
const ROWS: [string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>][] = [
  [
    "a port that is new",
    { ports: PORTS.slice(0, 1) },
    { ports: PORTS },
    { ports: { set: [expect.objectContaining({ name: "b" })], remove: [] } },
  ],
  ["a port that is gone", { ports: PORTS }, { ports: PORTS.slice(1) }, { ports: { set: [], remove: ["a"] } }],
  [
    "a port that is another one now",
    { ports: PORTS },
    { ports: [PORTS[0], { ...PORTS[1], mtu: 1400 }] },
    { ports: { set: [expect.objectContaining({ name: "b", mtu: 1400 })], remove: [] } },
  ],
  [
    "a route by its table and prefix",
    { ports: PORTS, routes: [ROUTE, { ...ROUTE, table: 7 }] },
    { ports: PORTS, routes: [{ ...ROUTE, nextHops: [{ port: "b" }] }, OTHER] },
    {
      routes: {
        set: [expect.objectContaining({ prefix: "10.1.0.0/16" }), expect.objectContaining({ prefix: "10.2.0.0/16" })],
        remove: [{ table: 7, prefix: "10.1.0.0/16" }],
      },
    },
  ],
  [
    "a neighbour",
    { ports: PORTS, neighbours: [{ port: "a", address: "10.1.0.1", mac: MAC }] },
    { ports: PORTS, neighbours: [{ port: "b", address: "10.1.0.1", mac: MAC }] },
    {
      neighbours: {
        set: [{ port: "b", address: "10.1.0.1", mac: MAC }],
        remove: [{ port: "a", address: "10.1.0.1" }],
      },
    },
  ],
  [
    "a plugin's configuration",
    { plugins: [plugin("p", "a", { config: { x: 1 } }), plugin("q", "b")] },
    { plugins: [plugin("p", "a", { config: { x: 2 } }), plugin("q", "b")] },
    { plugins: { set: [expect.objectContaining({ name: "p", config: { x: 2 } })], remove: [] } },
  ],
  [
    "the pipeline",
    { plugins: [plugin("p", "a")] },
    { plugins: [plugin("p", "a")], pipeline: { forward: [] } },
    { pipeline: { forward: [] } },
  ],
];

const NONE = { set: [], remove: [] };

describe("the difference between two nodes", () => {
  test.each(ROWS)("%s", (_, before, after, expected) => {
    const [from, to] = [node(before), node(after)];
    const found = difference(from, to);
    expect(found).toEqual({ ports: NONE, routes: NONE, neighbours: NONE, plugins: NONE, ...expected });
    const made = withDifference(from, parseDifference(JSON.parse(JSON.stringify(found))));
    expect(difference(made, to)).toBeUndefined();
    expect(specDigest(made)).toBe(specDigest(to));
    expect(specDigest(from)).not.toBe(specDigest(to));
  });

  test("is none between equal ones, whatever their order", () => {
    const from = node({ ports: PORTS, routes: [ROUTE, OTHER] });
    const to = node({ ports: [...PORTS].reverse(), routes: [OTHER, ROUTE] });
    expect(difference(from, to)).toBeUndefined();
    expect(specDigest(from)).toBe(specDigest(to));
  });

  test("leaves what does not change as it is", () => {
    const from = node({ ports: PORTS, plugins: [plugin("p", "a", { config: { x: 1 } })] });
    const made = withDifference(from, parseDifference({ ports: { remove: ["a"] } }));
    expect(made.ports[0]).toBe(from.ports[1]);
    expect(made.plugins).toBe(from.plugins);
  });
});

/** Description, the difference, the path of what is wrong in the node with it. */
const WRONG: [string, object, string][] = [
  ["a port that is another one now", { ports: { set: [{ ...PORTS[0], addresses: ["10.9.0.1/24"] }] } }, "gateway"],
  ["a port that is gone", { ports: { remove: ["a"] } }, "port"],
  ["a neighbour that is gone", { neighbours: { remove: [{ port: "b", address: "10.7.0.1" }] } }, "gateway"],
];

test.each(WRONG)("a route that was right is checked again with %s", (_, change, path) => {
  const before = node({
    ports: [{ ...PORTS[0], addresses: ["10.8.0.1/24"] }, PORTS[1]],
    routes: [
      { prefix: "10.1.0.0/16", nextHops: [{ port: "a", gateway: "10.8.0.2" }] },
      { prefix: "10.2.0.0/16", nextHops: [{ port: "b", gateway: "10.7.0.1" }] },
    ],
    neighbours: [{ port: "b", address: "10.7.0.1", mac: MAC }],
  });
  expect(checkNode(before)).toEqual([]);
  const found = checkNode(withDifference(before, parseDifference(change))).map(({ problem }) => problem.path);
  expect(found).toContainEqual(expect.stringMatching(`^/routes/[01]/nextHops/0/${path}$`));
});

test("a difference that is none is refused with its place", () => {
  expect(() => parseDifference({ ports: { set: [{ name: "a" }] } })).toThrow("/ports/set/0/kind");
});
