import { describe, expect, test } from "vitest";
import { type PipelineRecord, pipelineRecord, pluginVersion } from "../../src/cluster/records.js";
import type { NodePlugin } from "../../src/cluster/versions.js";
import { chooseRelease, type Release } from "../../src/translate/releases.js";

/** "a1": generation 1 of Plugin a. @param release that the version has */
const plugin = (what: string, release?: string): NodePlugin => ({
  name: what.slice(0, 1),
  createdAt: "2026-01-01T00:00:00Z",
  version: pluginVersion.parse({
    ...{ id: what, generation: Number(what.slice(1)), digest: what, origin: "inline", source: "", hooks: ["forward"] },
    ...(release === undefined ? {} : { release }),
  }),
});

const pipeline = (generation: number, release?: string, forward = ["policy", "a", "b"]): PipelineRecord =>
  pipelineRecord.parse({ name: "default", uid: "1", generation, spec: { hooks: { forward }, release } });

const LAST: Release = { pipeline: pipeline(1, "one"), plugins: [plugin("a1", "one"), plugin("b1", "one")] };

interface Row {
  what: string;
  pipeline: PipelineRecord | undefined;
  plugins: NodePlugin[];
  last?: Release;
  /** The Pipeline's generation, and the versions. */
  chosen: string;
  waiting?: string;
}

const ROWS: Row[] = [
  { what: "without a Pipeline all run as they come", pipeline: undefined, plugins: [plugin("a1")], chosen: "- a1" },
  {
    what: "without a release all run as they come",
    pipeline: pipeline(2),
    plugins: [plugin("a2", "two"), plugin("b1", "one")],
    last: LAST,
    chosen: "2 a2 b1",
  },
  {
    what: "a release that is all there is taken, with Plugins that have none",
    pipeline: pipeline(2, "two", ["a", "b", "c"]),
    plugins: [plugin("a2", "two"), plugin("b2", "two"), plugin("c9")],
    last: LAST,
    chosen: "2 a2 b2 c9",
  },
  {
    what: "one of whose Plugins has the release before leaves all of the one before",
    pipeline: pipeline(2, "two"),
    plugins: [plugin("a2", "two"), plugin("b1", "one"), plugin("c9")],
    last: LAST,
    chosen: "1 a1 b1 c9",
    waiting: "release two waits for Plugin b, whose version has release one",
  },
  {
    what: "one of whose Plugins is not there leaves all of the one before",
    pipeline: pipeline(2, "two", ["a", "c"]),
    plugins: [plugin("a2", "two"), plugin("b1", "one")],
    last: LAST,
    chosen: "1 a1 b1",
    waiting: "release two waits for Plugin c, of which no version is there",
  },
  {
    what: "versions that come before their Pipeline wait for it",
    pipeline: pipeline(1, "one"),
    plugins: [plugin("a2", "two"), plugin("b2", "two")],
    last: LAST,
    chosen: "1 a1 b1",
    waiting: "release one waits for Plugin a, whose version has release two, Plugin b, whose version has release two",
  },
  {
    what: "the first one that is not all there does not run in part",
    pipeline: pipeline(1, "one"),
    plugins: [plugin("a1", "one"), plugin("c9")],
    chosen: "1 c9",
    waiting: "release one waits for Plugin b, of which no version is there",
  },
];

describe("what a node is made of", () => {
  test.each(ROWS)("$what", ({ pipeline: holding, plugins, last, chosen, waiting }) => {
    const pipelines = holding === undefined ? [] : [holding];
    const found = chooseRelease({ labels: {}, pipelines, plugins, last });
    const ids = found.plugins.map(({ version }) => version.id).sort();
    expect([found.pipeline?.generation ?? "-", ...ids].join(" ")).toBe(chosen);
    expect(found.waiting).toBe(waiting);
    expect(found.release === undefined).toBe(waiting !== undefined || holding?.spec.release === undefined);
  });
});
