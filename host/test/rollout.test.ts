import { describe, expect, test } from "vitest";
import { type PluginReport, pluginVersion } from "../src/cluster/records.js";
import { nodePlugin, withId } from "../src/cluster/versions.js";
import { advanced, MAX_HISTORY, type NodeProgress, offered, type Rollout } from "../src/reflector/rollout.js";

const ABOUT = { name: "guard", uid: "1", createdAt: "2026-01-01T00:00:00Z" };
const NODES = ["a", "b", "c"];

type Strategy = "AllAtOnce" | "NodeByNode" | "Shadow";

/** Each generation has a module of its own. */
const version = (generation: number, strategy: Strategy = "AllAtOnce", config?: object) =>
  withId(
    ABOUT.uid,
    pluginVersion.omit({ id: true }).parse({
      ...{ generation, digest: `digest${generation}`, origin: "inline", source: `source${generation}` },
      ...{ hooks: ["forward"], rollout: { strategy } },
      ...(config === undefined ? {} : { config }),
    }),
  );

const at = (seconds: number) => new Date(Date.UTC(2026, 2, 1) + seconds * 1000);

/** What nodes report; those that are not named report nothing. */
function progress(reports: Record<string, Partial<PluginReport>>): NodeProgress[] {
  return NODES.map((node) => ({ node, report: reports[node] && { name: "guard", ...reports[node] } }));
}

const settled = ({ id }: { id: string }): Partial<PluginReport> => ({ version: id, settled: true });
const all = (report: Partial<PluginReport>) => progress(Object.fromEntries(NODES.map((node) => [node, report])));
const outcomes = ({ past }: Rollout) => past.history.map(({ generation, outcome }) => `${generation} ${outcome}`);

/** Generation 1 is live on all nodes. */
const live = () => advanced(offered(undefined, ABOUT, version(1), at(0)), all(settled(version(1))), at(20));

describe("a version for all nodes at once", () => {
  test("is live once all have run it well; the one before is the one to go back to until then", () => {
    const second = version(2);
    const begun = offered(live(), ABOUT, second, at(100));
    expect(begun.record).toMatchObject({ live: { generation: 1 }, next: { version: { generation: 2 } } });
    expect(nodePlugin(begun.record, "c")?.version.generation).toBe(2);
    const some = advanced(begun, progress({ a: settled(second), b: { version: second.id } }), at(110));
    expect(some).toBe(begun);
    const done = advanced(begun, all(settled(second)), at(111));
    expect(done.record).toMatchObject({ live: { generation: 2 }, previousDigest: "digest1" });
    expect(done.record.next).toBeUndefined();
    expect(outcomes(done)).toEqual(["1 Superseded", "2 Live"]);
  });

  test("goes back everywhere when it fails on one node, and is not tried again; another generation is", () => {
    const begun = offered(live(), ABOUT, version(2), at(100));
    const reports = progress({ a: settled(version(2)), b: { refused: version(2).id, problem: "it traps" } });
    const back = advanced(begun, reports, at(101));
    expect(NODES.map((node) => nodePlugin(back.record, node)?.version.generation)).toEqual([1, 1, 1]);
    expect(back.past.history.at(-1)).toMatchObject({ outcome: "RolledBack", message: "b: it traps" });
    expect(offered(back, ABOUT, version(2), at(102))).toEqual(back);
    const again = offered(back, ABOUT, version(3), at(103));
    expect(again.record.next?.version.generation).toBe(3);
    expect(again.past.refused).toBeUndefined();
    expect(outcomes(again)).toEqual(["1 Live", "2 RolledBack", "3 RollingOut"]);
  });

  test("that is the first one and fails runs nowhere", () => {
    const begun = offered(undefined, ABOUT, version(1), at(0));
    const back = advanced(begun, progress({ a: { refused: version(1).id, problem: "no" } }), at(1));
    expect(nodePlugin(back.record, "a")).toBeUndefined();
    expect(outcomes(back)).toEqual(["1 RolledBack"]);
  });

  test("does not wait for ever for a node that is away", () => {
    const begun = offered(live(), ABOUT, version(2), at(100));
    const reports = progress({ a: settled(version(2)), b: settled(version(2)) });
    expect(advanced(begun, reports, at(165))).toBe(begun);
    expect(outcomes(advanced(begun, reports, at(171)))).toEqual(["1 Superseded", "2 Live"]);
  });

  test("takes the place of one that is under way", () => {
    const begun = offered(offered(live(), ABOUT, version(2), at(100)), ABOUT, version(3), at(101));
    expect(begun.record).toMatchObject({ live: { generation: 1 }, next: { version: { generation: 3 } } });
    expect(outcomes(begun)).toEqual(["1 Live", "2 Superseded", "3 RollingOut"]);
  });

  test("that fails leaves the first one, though that has not run for long", () => {
    const begun = offered(offered(undefined, ABOUT, version(1), at(0)), ABOUT, version(2), at(1));
    const back = advanced(begun, progress({ a: { refused: version(2).id, problem: "no" } }), at(2));
    expect(back.record.live?.generation).toBe(1);
    expect(outcomes(back)).toEqual(["1 Live", "2 RolledBack"]);
  });

  test("is under way once, however often it is made", () => {
    const begun = offered(live(), ABOUT, version(2), at(100));
    expect(offered(begun, ABOUT, version(2), at(200))).toEqual(begun);
    expect(offered(live(), ABOUT, version(1), at(200))).toEqual(live());
  });

  test("of no node is live at once", () => {
    expect(outcomes(advanced(offered(undefined, ABOUT, version(1), at(0)), [], at(0)))).toEqual(["1 Live"]);
  });
});

describe("a version for one node after the other", () => {
  const second = version(2, "NodeByNode");
  const begun = offered(live(), ABOUT, second, at(100));
  const on = (rollout: Rollout) =>
    NODES.filter((node) => nodePlugin(rollout.record, node)?.version.generation === 2).join("");

  test("comes to the next one once the last one has run it well, and another reflector goes on with it", () => {
    expect(on(begun)).toBe("");
    let now = advanced(begun, progress({}), at(100));
    expect(on(now)).toBe("a");
    expect(advanced(now, progress({ a: { version: second.id, settled: false } }), at(105))).toBe(now);
    now = advanced(now, progress({ a: settled(second) }), at(111));
    expect(on(now)).toBe("ab");
    now = JSON.parse(JSON.stringify(now)) as Rollout; // all that another one knows
    now = advanced(now, progress({ a: settled(second), b: settled(second) }), at(122));
    expect(on(now)).toBe("abc");
    expect(outcomes(advanced(now, all(settled(second)), at(133)))).toEqual(["1 Superseded", "2 Live"]);
  });

  const TROUBLE: [what: string, report: Partial<PluginReport> | undefined][] = [
    ["reports nothing", undefined],
    ["can't get the module", { version: "other", settled: true, problem: "no module" }],
    ["has run it well before, and no longer runs it", { version: "other", settled: true }],
  ];
  test.each(TROUBLE)("comes to no further while a node %s, however long", (_, report) => {
    const now = advanced(begun, progress({}), at(100));
    expect(advanced(now, progress(report === undefined ? {} : { a: report }), at(9999))).toBe(now);
  });

  test("goes back everywhere when it fails on one", () => {
    const now = advanced(advanced(begun, progress({}), at(100)), progress({ a: settled(second) }), at(111));
    const back = advanced(now, progress({ a: settled(second), b: { refused: second.id } }), at(112));
    expect(on(back)).toBe("");
    expect(outcomes(back)).toEqual(["1 Live", "2 RolledBack"]);
  });

  test("is written as one name a step, however many nodes have it", () => {
    const names = Array.from({ length: 500 }, (_, index) => `node-${String(index).padStart(3, "0")}`);
    const nodes = names.map((node) => ({ node, report: { name: "guard", ...settled(second) } }));
    let now = advanced(begun, nodes, at(100));
    const { length } = JSON.stringify(now);
    for (const name of names.slice(1)) {
      now = advanced(now, nodes, at(101));
      expect(nodePlugin(now.record, name)?.version.generation).toBe(2);
      expect(JSON.stringify(now)).toHaveLength(length);
    }
    expect(advanced(now, nodes, at(102)).record.live?.generation).toBe(2);
  });

  test("is waited for on a node that joins before those that have it", () => {
    const now = advanced(begun, progress({}), at(100));
    const joined = [{ node: "0", report: undefined }, ...progress({ a: settled(second) })];
    expect(nodePlugin(now.record, "0")?.version.generation).toBe(2);
    expect(advanced(now, joined, at(111))).toBe(now);
  });

  test("goes on when a node that it waited for is no more", () => {
    const now = advanced(begun, progress({}), at(100));
    const left = progress({}).filter(({ node }) => node !== "a");
    expect(nodePlugin(advanced(now, left, at(101)).record, "b")?.version.generation).toBe(2);
  });
});

describe("a configuration that is elsewhere, of the same generation", () => {
  const first = version(1, "AllAtOnce", { limit: 1 });
  const before = () => advanced(offered(undefined, ABOUT, first, at(0)), all(settled(first)), at(20));
  const other = version(1, "AllAtOnce", { limit: 2 });

  test("is a version of its own, and no other entry of the history", () => {
    const begun = offered(before(), ABOUT, other, at(100));
    expect(begun.record).toMatchObject({ live: { config: { limit: 1 } }, next: { version: { config: { limit: 2 } } } });
    expect(outcomes(advanced(begun, all(settled(other)), at(111)))).toEqual(["1 Live"]);
  });

  test("that fails leaves the one before", () => {
    const begun = offered(before(), ABOUT, other, at(100));
    const back = advanced(begun, progress({ a: { refused: other.id, problem: "too low" } }), at(101));
    expect(back.record.live?.config).toEqual({ limit: 1 });
    expect(back.past.history).toMatchObject([{ outcome: "Live", message: "a: too low" }]);
  });
});

test("the history is bounded, and keeps the version that runs", () => {
  let rollout = live();
  for (let generation = 2; generation < 2 * MAX_HISTORY; generation++) {
    const broken = version(generation);
    rollout = offered(rollout, ABOUT, broken, at(generation * 100));
    rollout = advanced(rollout, progress({ a: { refused: broken.id, problem: "no" } }), at(generation * 100 + 1));
  }
  expect(rollout.past.history.length).toBe(MAX_HISTORY);
  expect(outcomes(rollout)[0]).toBe("1 Live");
  expect(outcomes(rollout).at(-1)).toBe(`${2 * MAX_HISTORY - 1} RolledBack`);
});
