import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { eventually } from "../../test/support/process.js";
import { ModuleCache } from "../src/agent/module-cache.js";
import { PluginTrials } from "../src/agent/plugin-trials.js";
import { UserPlugins } from "../src/agent/user-plugins.js";
import { MODULES_PREFIX, modulePartKey, REFLECTOR_KEY } from "../src/cluster/keys.js";
import { pluginVersion } from "../src/cluster/records.js";
import type { NodePlugin } from "../src/cluster/versions.js";
import { SluiceError } from "../src/errors.js";
import { digestOf } from "../src/plugins/builder.js";
import { EtcdStore } from "../src/store/etcd-store.js";
import { ModuleStore } from "../src/store/module-store.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WAIT_MS = 20_000;
/** As large as any module may be, and no whole number of parts. */
const LARGE = randomBytes((4 << 20) - 5);
const SMALL = randomBytes(100);

let etcd: EtcdServer;
let store: EtcdStore;
let modules: ModuleStore;
let folder: string;
beforeAll(async () => {
  etcd = await EtcdServer.start();
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  modules = new ModuleStore(store);
});
afterAll(async () => {
  await store.close();
  await etcd.stop();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-modules-"));
});
afterEach(async () => {
  await modules.sweep(new Set());
  await rm(folder, { recursive: true });
});

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  const error = await work.catch((reason: unknown) => reason);
  return error instanceof SluiceError ? error.problems[0]?.code : undefined;
}

async function keys(): Promise<string[]> {
  const found: string[] = [];
  for await (const { entries } of store.list(MODULES_PREFIX)) found.push(...entries.map(({ key }) => key));
  return found;
}

describe("modules in etcd", () => {
  test.each([
    ["large", LARGE],
    ["small", SMALL],
  ])("a %s one is as it was put", async (_, wasm) => {
    expect(await modules.has(digestOf(wasm))).toBe(false);
    expect(await modules.put(wasm)).toBe(true);
    expect(await modules.has(digestOf(wasm))).toBe(true);
    expect(Buffer.from(await modules.get(digestOf(wasm))).equals(wasm)).toBe(true);
  });

  test("one that was put in part is not there", async () => {
    await store.put(modulePartKey(digestOf(SMALL), 0), "AAAA");
    expect(await codeOf(modules.get(digestOf(SMALL)))).toBe("unknown-module");
  });

  test("one that was changed is refused", async () => {
    await modules.put(SMALL);
    await store.put(modulePartKey(digestOf(SMALL), 0), "AAAA");
    expect(await codeOf(modules.get(digestOf(SMALL)))).toBe("digest-mismatch");
  });

  test("who may no longer write puts and sweeps nothing", async () => {
    await modules.put(SMALL);
    const fence = [{ key: REFLECTOR_KEY, value: "somebody else" }];
    expect(await modules.put(LARGE, fence)).toBe(false);
    expect(await modules.sweep(new Set(), fence)).toBe(false);
    expect(await modules.has(digestOf(SMALL))).toBe(true);
  });

  test("a sweep leaves those in use, and no part of others", async () => {
    await modules.put(LARGE);
    await modules.put(SMALL);
    await modules.sweep(new Set([digestOf(SMALL)]));
    expect(await keys()).toHaveLength(2);
    expect(await modules.has(digestOf(SMALL))).toBe(true);
  });
});

describe("a node's cache", () => {
  const none = () => Promise.reject(SluiceError.of("etcd-unavailable", "", "away"));

  test("gives a module again when etcd is away", async () => {
    await modules.put(SMALL);
    await new ModuleCache(folder, (digest) => modules.get(digest)).get(digestOf(SMALL));
    const cache = new ModuleCache(folder, none);
    expect(Buffer.from(await cache.get(digestOf(SMALL))).equals(SMALL)).toBe(true);
    expect(await codeOf(cache.get(digestOf(LARGE)))).toBe("etcd-unavailable");
  });

  test("gets a module anew that the disk has spoilt", async () => {
    await modules.put(SMALL);
    await writeFile(join(folder, `${digestOf(SMALL)}.wasm`), SMALL.subarray(1));
    const cache = new ModuleCache(folder, (digest) => modules.get(digest));
    expect(Buffer.from(await cache.get(digestOf(SMALL))).equals(SMALL)).toBe(true);
    expect(Buffer.from(await new ModuleCache(folder, none).get(digestOf(SMALL))).equals(SMALL)).toBe(true);
  });
});

describe("the users' Plugins on a node", () => {
  let changes: number;
  let plugins: UserPlugins;
  beforeEach(() => {
    changes = 0;
    plugins = new UserPlugins({
      cache: new ModuleCache(folder, (digest) => modules.get(digest)),
      trials: new PluginTrials(() => undefined),
      compare: async () => undefined,
      log: pino({ level: "silent" }),
      changed: () => changes++,
    });
  });
  afterEach(() => plugins.close());

  const plugin = (wasm: Uint8Array): NodePlugin => ({
    name: "guard",
    createdAt: "2026-01-01T00:00:00Z",
    version: pluginVersion.parse({
      ...{ id: digestOf(wasm), generation: 1, digest: digestOf(wasm), origin: "inline", source: "", hooks: [] },
    }),
  });
  const runs = (digest: string) =>
    eventually(`guard with module ${digest}`, WAIT_MS, () =>
      plugins.usable[0]?.version.digest === digest ? true : undefined,
    );

  test("a version comes once its module is there; the one before it runs until then", async () => {
    await modules.put(SMALL);
    plugins.set("guard", plugin(SMALL));
    await runs(digestOf(SMALL));
    plugins.set("guard", plugin(LARGE));
    const problem = await eventually("the module that is missed", WAIT_MS, () => plugins.problemOf("guard"));
    expect(problem).toMatchObject({ code: "unknown-module", path: "/plugins/guard" });
    await runs(digestOf(SMALL));
    expect(plugins.wasm(digestOf(SMALL))).toBeDefined();
    await modules.put(LARGE);
    await runs(digestOf(LARGE));
    expect(plugins.problemOf("guard")).toBeUndefined();
    await eventually("no other module on the disk", WAIT_MS, async () =>
      (await readdir(folder)).join() === `${digestOf(LARGE)}.wasm` ? true : undefined,
    );
  });

  test("one that is gone is gone, whatever it waited for", async () => {
    plugins.set("guard", plugin(LARGE));
    await eventually("the module that is missed", WAIT_MS, () => plugins.problemOf("guard"));
    const before = changes;
    plugins.set("guard", undefined);
    await eventually("its end", WAIT_MS, () => (changes > before ? true : undefined));
    expect([plugins.usable, plugins.problemOf("guard")]).toEqual([[], undefined]);
  });
});
