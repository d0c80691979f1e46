import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModuleCache } from "../../src/agent/module-cache.js";
import { PluginTrials } from "../../src/agent/plugin-trials.js";
import { UserPlugins } from "../../src/agent/user-plugins.js";
import { pluginVersion } from "../../src/cluster/records.js";
import type { NodePlugin } from "../../src/cluster/versions.js";
import { type Problem, SluiceError } from "../../src/errors.js";
import { digestOf } from "../../src/plugins/builder.js";

const wasm = (generation: number): Uint8Array => Buffer.from(`module ${generation}`);
const digest = (generation: number): string => digestOf(wasm(generation));

const plugin = (generation: number, strategy = "AllAtOnce"): NodePlugin => ({
  name: "guard",
  createdAt: "2026-01-01T00:00:00Z",
  version: pluginVersion.parse({
    ...{ id: `v${generation}`, generation, digest: digest(generation), origin: "inline", source: "" },
    ...{ hooks: ["forward"], rollout: { strategy } },
  }),
});

const PROBLEM: Problem = { code: "failed-on-trial", path: "/plugins/guard", message: "it traps" };

let folder: string;
const open: UserPlugins[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "user-plugins-"));
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await rm(folder, { recursive: true });
});

/** @param there generations whose modules the cluster has. @param compared what a comparison says */
function agent(there: readonly number[], trials: PluginTrials, compared?: () => Promise<Problem | undefined>) {
  const fetch = async (wanted: string) => {
    const found = there.find((generation) => digest(generation) === wanted);
    if (found === undefined) throw SluiceError.of("unknown-module", wanted, "etcd has no such module");
    return wasm(found);
  };
  const plugins = new UserPlugins({
    cache: new ModuleCache(folder, fetch),
    trials,
    log: pino({ level: "silent" }),
    compare: compared ?? (() => Promise.reject(new Error("nothing is to be compared"))),
    changed: () => undefined,
  });
  open.push(plugins);
  return plugins;
}

const generations = (plugins: UserPlugins) => plugins.usable.map(({ version }) => version.generation);
const trials = () => new PluginTrials(() => undefined);

describe("a version that does not run", () => {
  test("for want of its module leaves the one before", async () => {
    const plugins = agent([1], trials());
    plugins.set("guard", plugin(1));
    await plugins.tried();
    plugins.set("guard", plugin(2));
    await plugins.tried();
    expect(generations(plugins)).toEqual([1]);
    expect(plugins.problemOf("guard")?.message).toContain("etcd has no such module");
  });

  test("is not run again by an agent that starts; the last good one is, whose module the disk has kept", async () => {
    const before = trials();
    before.restore({ good: [plugin(1)], refused: [] });
    const plugins = agent([1, 2], before);
    plugins.set("guard", plugin(2));
    await plugins.tried();
    expect(generations(plugins)).toEqual([2]);
    expect(plugins.refuse(plugin(2), PROBLEM)).toBe(true);
    expect(generations(plugins)).toEqual([1]);

    const after = trials();
    after.restore(JSON.parse(JSON.stringify(before.verdicts)));
    const started = agent([], after); // nobody has a module to give
    started.set("guard", plugin(2));
    await started.tried();
    expect(generations(started)).toEqual([1]);
    expect(started.wasm(digest(1))).toEqual(wasm(1));
    expect(started.problemOf("guard")?.message).toContain("it traps");
  });

  test("as a first one is left out", async () => {
    const plugins = agent([1], trials());
    plugins.set("guard", plugin(1));
    await plugins.tried();
    plugins.refuse(plugin(1), PROBLEM);
    expect(generations(plugins)).toEqual([]);
  });

  test("leaves what ran before, also when that had not for long", async () => {
    const plugins = agent([1, 2], trials());
    plugins.set("guard", plugin(1));
    await plugins.tried();
    plugins.confirm(plugins.usable, 0);
    plugins.set("guard", plugin(2));
    await plugins.tried();
    plugins.refuse(plugin(2), PROBLEM);
    expect(generations(plugins)).toEqual([1]);
  });

  test("is alone to blame, when the cluster has set another one in its place before that was told", async () => {
    const plugins = agent([1, 2], trials());
    for (const generation of [1, 2, 1]) {
      plugins.set("guard", plugin(generation));
      await plugins.tried();
    }
    expect(plugins.refuse(plugin(2), PROBLEM)).toBe(true);
    expect(generations(plugins)).toEqual([1]);
    expect(plugins.problemOf("guard")).toBeUndefined();
  });

  test("is followed by one that does", async () => {
    const all = trials();
    const plugins = agent([1, 2, 3], all);
    plugins.set("guard", plugin(2));
    await plugins.tried();
    plugins.refuse(plugin(2), PROBLEM);
    plugins.set("guard", plugin(3));
    await plugins.tried();
    expect(generations(plugins)).toEqual([3]);
    expect(plugins.problemOf("guard")).toBeUndefined();
  });
});

test("while a new version can't be got, an agent that starts goes on with the last good one", async () => {
  const all = trials();
  all.restore({ good: [plugin(1)], refused: [] });
  const plugins = agent([1], all);
  plugins.set("guard", plugin(2));
  await plugins.tried();
  expect(generations(plugins)).toEqual([1]);
});

test("modules that nothing goes back to are deleted", async () => {
  const all = trials();
  const plugins = agent([1, 2], all);
  await writeFile(join(folder, `${"0".repeat(64)}.wasm`), "old");
  all.restore({ good: [plugin(1)], refused: [] });
  plugins.set("guard", plugin(2));
  await plugins.tried();
  await expect.poll(() => readdir(folder)).toHaveLength(2);
  plugins.set("guard", undefined);
  await expect.poll(() => readdir(folder)).toEqual([]);
});

describe("a version that is to be compared first", () => {
  const compared = async (problem: Problem | undefined) => {
    const all = trials();
    all.restore({ good: [plugin(1)], refused: [] });
    const plugins = agent([1, 2], all, async () => problem);
    plugins.set("guard", plugin(1));
    await plugins.tried();
    plugins.set("guard", plugin(2, "Shadow"));
    return { plugins, all };
  };

  test("runs once it has passed", async () => {
    const { plugins } = await compared(undefined);
    await expect.poll(() => generations(plugins)).toEqual([2]);
  });

  test("never runs when it has not", async () => {
    const { plugins, all } = await compared({ ...PROBLEM, message: "1 treated otherwise" });
    await expect.poll(() => all.refused("guard")?.id).toBe("v2");
    expect(generations(plugins)).toEqual([1]);
    expect(plugins.problemOf("guard")?.message).toBe("1 treated otherwise");
  });

  test("runs at once where nothing runs yet", async () => {
    const plugins = agent([1], trials());
    plugins.set("guard", plugin(1, "Shadow"));
    await plugins.tried();
    expect(generations(plugins)).toEqual([1]);
  });
});
