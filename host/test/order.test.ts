import { describe, expect, test } from "vitest";
import { orderStages, type StageOrder } from "../src/pipeline/order.js";

function stage(name: string, order: Partial<StageOrder> = {}): StageOrder {
  return { name, before: [], after: [], priority: 0, ...order };
}

/** Description, stages, the order listed in the file, the order that comes of it. */
const POSSIBLE: [string, StageOrder[], string[] | undefined, string[]][] = [
  ["none", [], undefined, []],
  ["by name when nothing else is said", [stage("b"), stage("a"), stage("c")], undefined, ["a", "b", "c"]],
  [
    "by priority before name",
    [stage("a", { priority: 1 }), stage("b"), stage("c", { priority: -1 })],
    undefined,
    ["c", "b", "a"],
  ],
  [
    "before, against name and priority",
    [stage("a"), stage("z", { before: ["a"], priority: 9 })],
    undefined,
    ["z", "a"],
  ],
  ["after", [stage("a", { after: ["z"] }), stage("z")], undefined, ["z", "a"]],
  ["a chain", [stage("a", { after: ["b"] }), stage("b", { after: ["c"] }), stage("c")], undefined, ["c", "b", "a"]],
  [
    "a diamond",
    [stage("d", { after: ["b", "c"] }), stage("c", { after: ["a"] }), stage("b", { after: ["a"] }), stage("a")],
    undefined,
    ["a", "b", "c", "d"],
  ],
  [
    "priority decides among those that are ready only",
    [stage("a", { after: ["m"], priority: -9 }), stage("m"), stage("z", { priority: -1 })],
    undefined,
    ["z", "m", "a"],
  ],
  ["a stage of another hook is no constraint", [stage("a", { after: ["elsewhere"] })], undefined, ["a"]],
  ["the file's order", [stage("a"), stage("b"), stage("c")], ["c", "a", "b"], ["c", "a", "b"]],
  ["the same constraint twice", [stage("a", { after: ["b"] }), stage("b", { before: ["a"] })], undefined, ["b", "a"]],
];

describe("stages of a hook are ordered", () => {
  test.each(POSSIBLE)("%s", (_, stages, given, expected) => {
    expect(orderStages("forward", stages, given)).toEqual(expected);
    expect(orderStages("forward", [...stages].reverse(), given)).toEqual(expected);
  });
});

const IMPOSSIBLE: [string, StageOrder[], string[] | undefined, string][] = [
  [
    "two before each other",
    [stage("a", { before: ["b"] }), stage("b", { before: ["a"] })],
    undefined,
    "a -> b -> a (a has before: b, b has before: a)",
  ],
  [
    "three in a ring",
    [stage("a", { after: ["c"] }), stage("b", { after: ["a"] }), stage("c", { after: ["b"] })],
    undefined,
    "a -> b -> c -> a (b has after: a, c has after: b, a has after: c)",
  ],
  [
    "a ring behind an innocent",
    [stage("a", { after: ["y"] }), stage("x", { before: ["y"] }), stage("y", { before: ["x"] })],
    undefined,
    "y -> x -> y (y has before: x, x has before: y)",
  ],
  [
    "the file against before",
    [stage("nat", { before: ["policy"] }), stage("policy")],
    ["policy", "nat"],
    "nat -> policy -> nat (nat has before: policy, pipeline lists policy before nat)",
  ],
];

describe("an impossible order is refused with its cycle", () => {
  test.each(IMPOSSIBLE)("%s", (_, stages, given, cycle) => {
    expect(() => orderStages("forward", stages, given)).toThrow(
      `impossible-order /pipeline/forward: ${cycle}; take one of these constraints away`,
    );
  });
});
