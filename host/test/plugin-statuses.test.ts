import { describe, expect, test } from "vitest";
import { nodeReportRecord, pluginRecord, rolloutRecord } from "../src/cluster/records.js";
import { SluiceError } from "../src/errors.js";
import type { Outcome } from "../src/reflector/plugin-publisher.js";
import { type PluginFacts, pluginStatus } from "../src/reflector/plugin-statuses.js";

const NOW = new Date("2026-03-01T12:00:00Z");
const GENERATION = 2;

const version = (generation = GENERATION) => ({
  ...{ id: `v${generation}`, generation, digest: "aa", origin: "inline", source: "", hooks: ["forward"] },
});

const byNode = () => ({ ...version(), rollout: { strategy: "NodeByNode" } });

/** @param change of what etcd has */
const rollout = (change: { record?: object; past?: object } = {}) => ({
  record: pluginRecord.parse({
    ...{ name: "guard", uid: "1", createdAt: "2026-01-01T00:00:00Z", live: version(), previousDigest: "bb" },
    ...change.record,
  }),
  past: rolloutRecord.parse({ name: "guard", uid: "1", history: [], ...change.past }),
});

const past = (outcome: string, message?: string) => ({
  ...{ generation: GENERATION, digest: "aa", source: "inline", time: "2026-03-01T11:00:00Z", outcome },
  ...(message === undefined ? {} : { message }),
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

const runs = report({ version: `v${GENERATION}` });

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
    facts: { outcome: undefined, rollout: undefined },
    states: "Unknown Unknown False Unknown",
    reason: "Pending",
  },
  {
    what: "that was just changed",
    facts: {
      outcome: outcome(undefined, 1),
      rollout: rollout({ record: { live: version(1) } }),
      reports: new Map([["a", report({ version: "v1" })]]),
    },
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
    what: "whose source the compiler crashes on",
    facts: { outcome: { ...outcome(["compile-crashed", "it ended"]), failures: 3, retryAfterMs: 40_000 } },
    states: "True False True False",
    reason: "CompilerCrashed",
    message:
      "compile-crashed guard.ts:3:1: it ended; so far 3 times in a row; tried again 40 s after the last time, and at once when the Plugin changes",
  },
  {
    what: "that one of two nodes runs",
    facts: {
      reports: new Map([
        ["a", runs],
        ["b", report({ version: "v1" })],
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
    what: "that comes to one node after the other",
    facts: {
      rollout: rollout({ record: { live: version(1), next: { version: byNode(), through: "a" } } }),
      reports: new Map([
        ["a", runs],
        ["b", report({ version: "v1" })],
      ]),
    },
    states: "True True False False",
    reason: "RollingOut",
    message: "generation 2 has come to 1 of 2 nodes",
  },
  {
    what: "that comes to no further node, as one is in trouble",
    facts: {
      rollout: rollout({ record: { live: version(1), next: { version: byNode(), through: "a" } } }),
      reports: new Map([
        ["a", report({ version: "v1", problem: "no module" })],
        ["b", report({ version: "v1" })],
      ]),
    },
    states: "True True False False",
    reason: "RollingOut",
    message: "generation 2 has come to 1 of 2 nodes, and comes to no further while this is so: a: no module",
  },
  {
    what: "that all nodes run, and have not for long",
    facts: { rollout: rollout({ record: { live: version(1), next: { version: version() } } }) },
    states: "True True True False",
    reason: "Settling",
    message: "all nodes run it; whether they do well for 10 s is seen",
  },
  {
    what: "that went back",
    facts: {
      rollout: rollout({
        record: { live: version(1) },
        past: { refused: { id: "v2", source: "", digest: "aa" }, history: [past("RolledBack", "a: it traps")] },
      }),
      reports: new Map([["a", report({ version: "v1" })]]),
    },
    states: "True True False False",
    reason: "RolledBack",
    message: "it went back on all nodes, generation 1 runs; change the Plugin to try again; a: it traps",
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
    const all = { outcome: outcome(), rollout: rollout(), reports: new Map([["a", runs]]), ...facts };
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
    const status = pluginStatus(member, { outcome: outcome(), rollout: rollout(), reports }, NOW);
    expect(status.history).toBeUndefined();
    expect(status).toMatchObject({ nodes: 3, readyNodes: 1, digest: "aa", previousDigest: "bb" });
  });

  test("has the last failure of all nodes, and the versions that there were", () => {
    const failure = (time: string) => ({
      message: "abort: no",
      source: "guard.ts:3:5 in process",
      packet: "udp",
      time,
    });
    const reports = new Map([
      ["a", report({ version: "v2", failure: failure("2026-03-01T11:59:00.000Z") })],
      ["b", report({ version: "v2", failure: failure("2026-03-01T11:58:00.000Z") })],
    ]);
    const history = [past("Live")];
    const metadata = { name: "guard", uid: "1", generation: GENERATION };
    const member = { metadata, record: undefined, error: undefined, status: undefined };
    const facts = { outcome: outcome(), rollout: rollout({ past: { history } }), reports };
    expect(pluginStatus(member, facts, NOW)).toMatchObject({
      lastError: { node: "a", ...failure("2026-03-01T11:59:00.000Z") },
      history,
    });
  });
});
