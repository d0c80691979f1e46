import { describe, expect, test } from "vitest";
import { PluginTrials } from "../../src/agent/plugin-trials.js";
import { pluginVersion } from "../../src/cluster/records.js";
import type { NodePlugin } from "../../src/cluster/versions.js";
import type { StageFigures, Trap } from "../../src/dataplane/protocol.js";

const SETTLE_S = 10;
const DIGEST = "d2";

const plugin = (id: string, digest = DIGEST): NodePlugin => ({
  name: "guard",
  createdAt: "2026-01-01T00:00:00Z",
  version: pluginVersion.parse({
    ...{ id, generation: 1, digest, origin: "inline", source: "", hooks: ["forward"] },
    rollout: { settleSeconds: SETTLE_S },
  }),
});

const trap = (at: number, digest = DIGEST): Trap => ({
  ...{ code: "abort", message: "abort: no room", version: "1.0.0", digest, hook: "forward", worker: 0, at },
  ...{ packetHex: "45", packetSummary: "IPv4 10.0.0.1 > 10.0.0.2 UDP" },
  frames: [
    {
      ...{ function: "process", offset: 9 },
      source: { file: "guard.ts", line: 5, column: 3, function: "process", near: null },
    },
  ],
});

const stage = (figures: { failures?: number; invalidOutputs?: number; digest?: string; lastTrap?: Trap } = {}) =>
  ({
    name: "guard",
    digest: DIGEST,
    failures: 0,
    invalidOutputs: 0,
    lastFailure: "",
    lastTrap: null,
    ...figures,
  }) as unknown as StageFigures;

const SINCE = 1_000_000;

function trials() {
  let changes = 0;
  const all = new PluginTrials(() => changes++);
  const look = (now: number, ...stages: StageFigures[]) => all.look(stages, (name) => name, SINCE + now);
  return { all, look, changes: () => changes };
}

describe("a version on trial", () => {
  test("is good once it has run for as long as its roll-out says without a failure", () => {
    const { all, look } = trials();
    all.programmed([plugin("v2")], SINCE);
    expect(look(9_999, stage({ failures: 7 }))).toEqual([]);
    expect(all.isGood(plugin("v2"))).toBe(false);
    expect(look(10_000, stage({ failures: 7 }))).toEqual([]);
    expect(all.isGood(plugin("v2"))).toBe(true);
    expect(all.isEmpty).toBe(true);
  });

  const ROWS: [what: string, before: StageFigures, after: StageFigures, failed: boolean][] = [
    ["traps: it failed", stage(), stage({ failures: 1, lastTrap: trap(SINCE + 5) }), true],
    ["had trapped before it was there", stage(), stage({ lastTrap: trap(SINCE - 1) }), false],
    ["took the place of one that traps", stage(), stage({ lastTrap: trap(SINCE + 5, "d1") }), false],
    ["writes what can't be", stage({ invalidOutputs: 3 }), stage({ invalidOutputs: 4 }), true],
    ["began to be counted anew", stage({ failures: 3 }), stage({ failures: 0 }), false],
    ["is not there yet", stage({ digest: "d1" }), stage({ digest: "d1", lastTrap: trap(SINCE + 5, "d1") }), false],
  ];
  test.each(ROWS)("that %s", (_, before, after, failed) => {
    const { all, look } = trials();
    all.programmed([plugin("v2")], SINCE);
    expect(look(1, before)).toEqual([]);
    expect(look(10, after).length).toBe(failed ? 1 : 0);
  });

  test("that traps says where, and with which packet", () => {
    const { all, look } = trials();
    all.programmed([plugin("v2")], SINCE);
    const [failed] = look(10, stage({ failures: 1, lastTrap: trap(SINCE + 5) }));
    expect(failed?.problem.message).toBe(
      "abort: no room at guard.ts:5:3 in process, with packet IPv4 10.0.0.1 > 10.0.0.2 UDP",
    );
    expect(all.failure("guard")).toEqual({
      message: "abort: no room",
      source: "guard.ts:5:3 in process",
      packet: "IPv4 10.0.0.1 > 10.0.0.2 UDP",
      time: new Date(SINCE + 5).toISOString(),
    });
  });

  test("begins anew with another version", () => {
    const { all, look } = trials();
    all.programmed([plugin("v1", "d1")], SINCE - 60_000);
    all.programmed([plugin("v2")], SINCE);
    look(1, stage());
    expect(all.isGood(plugin("v2"))).toBe(false);
  });
});

test("a failure that goes on is told once a minute", () => {
  const { all, look, changes } = trials();
  all.restore({ good: [plugin("v2")], refused: [] });
  for (let second = 0; second < 120; second++)
    expect(look(second * 1000, stage({ failures: second, lastTrap: trap(SINCE + second * 1000) }))).toEqual([]);
  expect(changes()).toBe(2);
});

test("what was good and what was refused is known after a restart", () => {
  const { all } = trials();
  all.programmed([plugin("v1", "d1")], 0);
  all.look([], () => undefined, SETTLE_S * 1000);
  all.refuse(plugin("v2"), { code: "failed-on-trial", path: "", message: "it traps" });
  const { all: next } = trials();
  next.restore(JSON.parse(JSON.stringify(all.verdicts)));
  expect(next.good("guard")).toEqual(plugin("v1", "d1"));
  expect(next.refused("guard")?.id).toBe("v2");
  next.forgive("guard");
  expect(next.refused("guard")).toBeUndefined();
});
