import { describe, expect, test } from "vitest";
import { nodeReportRecord, pluginRecord } from "../src/cluster/records.js";
import { SluiceError } from "../src/errors.js";
import type { Outcome } from "../src/reflector/plugin-publisher.js";
import { type PluginFacts, pluginStatus } from "../src/reflector/plugin-statuses.js";

const NOW = new Date("2026-03-01T12:00:00Z");
const GENERATION = 2;

const record = (generation = GENERATION) =>
  pluginRecord.parse({
    name: "guard",
    uid: "1",
    createdAt: "2026-01-01T00:00:00Z",
    live: { generation, digest: "aa", origin: "inline", source: "", hooks: ["forward"] },
    previousDigest: "bb",
  });

/** A node's report, of what it runs; undefined: it has reported nothing. */
const report = (plugin?: object) =>
  nodeReportRecord.parse({
    node: "a",
    version: "1",
    conditions: [],
    ...(plugin === undefined ? {} : { plugins: [{ name: "guard", ...plugin }] }),
  });

const outcome = (error?: [code: string, message: string], generation = GENERATION): Outcome => ({
  generation,
  at: 0,
  ...(error === undefined ? {} : { error: SluiceError.of(error[0], "guard.ts:3:1", error[1]) }),
});

const runs = report({ generation: GENERATION });

interface Row {
  what: string;
  facts: Partial<PluginFacts>;
  invalid?: SluiceError;
  /** Of Accepted, Compiled, Programmed and Ready. */
  states: string;
  /** Of Ready. */
  reason: string;
  message?: string;
}

const ROWS: Row[] = [
  { what: "that all its nodes run", facts: {}, states: "True True True True", reason: "Ready" },
  {
    what: "that was just made",
    facts: { outcome: undefined, record: undefined },
    states: "Unknown Unknown False Unknown",
    reason: "Pending",
  },
  {
    what: "that was just changed",
    facts: { outcome: outcome(undefined, 1), record: record(1), reports: new Map([["a", report({ generation: 1 })]]) },
    states: "Unknown Unknown True Unknown",
    reason: "Pending",
  },
  {
    what: "whose spec can't be used",
    invalid: SluiceError.of("invalid-spec", "/spec/source", "missing"),
    facts: {},
    states: "False Unknown True False",
    reason: "Invalid",
    message: "invalid-spec /spec/source: missing",
  },
  {
    what: "whose configuration is wrong",
    facts: { outcome: outcome(["invalid-plugin-config", "no"]) },
    states: "False Unknown True False",
    reason: "Invalid",
  },
  {
    what: "whose source is wrong: the last version runs",
    facts: { outcome: outcome(["plugin-build-failed", "no such thing"]) },
    states: "True False True False",
    reason: "NoModule",
    message: "plugin-build-failed guard.ts:3:1: no such thing",
  },
  {
    what: "whose registry does not answer",
    facts: { outcome: outcome(["fetch-failed", "no answer"]) },
    states: "True False True False",
    reason: "NoModule",
  },
  {
    what: "that one of two nodes runs",
    facts: {
      reports: new Map([
        ["a", runs],
        ["b", report({ generation: 1 })],
      ]),
    },
    states: "True True False False",
    reason: "NotOnAllNodes",
    message: "b: not yet done",
  },
  {
    what: "that a node can't run",
    facts: { reports: new Map([["a", report({ problem: "it traps" })]]) },
    states: "True True False False",
    reason: "NotOnAllNodes",
    message: "a: it traps",
  },
  {
    what: "of a node that has reported nothing",
    facts: { reports: new Map([["a", undefined]]) },
    states: "True True False False",
    reason: "NotOnAllNodes",
    message: "a: its agent has reported nothing: does it run?",
  },
  {
    what: "of no node",
    facts: { reports: new Map() },
    states: "True True Unknown Unknown",
    reason: "NoNodes",
    message: "no node is to run it: look at /spec/placement/nodeSelector",
  },
];

describe("the status of a Plugin", () => {
  test.each(ROWS)("$what", ({ facts, invalid, states, reason, message }) => {
    const member = {
      metadata: { name: "guard", uid: "1", generation: GENERATION },
      record: undefined,
      error: invalid,
      status: undefined,
    };
    const all = { outcome: outcome(), record: record(), reports: new Map([["a", runs]]), ...facts };
    const { conditions = [] } = pluginStatus(member, all, NOW);
    expect(conditions.map(({ type }) => type)).toEqual(["Accepted", "Compiled", "Programmed", "Ready"]);
    expect(conditions.map(({ status }) => status).join(" ")).toBe(states);
    expect(conditions.every(({ observedGeneration }) => observedGeneration === GENERATION)).toBe(true);
    expect(conditions[3]?.reason).toBe(reason);
    if (message !== undefined) expect(conditions[3]?.message).toBe(message);
  });

  test("has the digests, and how many nodes run it", () => {
    const reports = new Map([
      ["a", runs],
      ["b", report()],
      ["c", undefined],
    ]);
    const member = {
      metadata: { name: "guard", uid: "1", generation: GENERATION },
      record: undefined,
      error: undefined,
      status: undefined,
    };
    const status = pluginStatus(member, { outcome: outcome(), record: record(), reports }, NOW);
    expect(status).toMatchObject({ nodes: 3, readyNodes: 1, digest: "aa", previousDigest: "bb" });
  });
});
