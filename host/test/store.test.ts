import { createHash } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileStore } from "../src/dataplane/file-store.js";
import { FolderLock } from "../src/dataplane/folder-lock.js";
import { MemoryStore } from "../src/dataplane/memory-store.js";
import type { Snapshot, Store } from "../src/dataplane/store.js";
import { node, plugin } from "./helpers.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const WASM = new TextEncoder().encode("module one");
const OTHER = new TextEncoder().encode("module two");
const digestOf = (wasm: Uint8Array) => createHash("sha256").update(wasm).digest("hex");

/** A node with one plugin of these modules, the last one live. */
function snapshot(...modules: Uint8Array[]): Snapshot {
  const versions = modules.map((wasm) => plugin("p", "a", { digest: digestOf(wasm) }));
  const revisions = versions.map((version, index) => ({
    number: index + 1,
    plugin: version,
    version: "1.0.0",
    appliedAt: "",
  }));
  return { format: 1, spec: node({ plugins: versions.slice(-1) }), histories: { p: revisions } };
}

const STORES: [string, () => Promise<Store>][] = [
  ["in memory", async () => new MemoryStore()],
  ["in files", () => FileStore.open(folder)],
];

describe("a folder's lock", () => {
  test("is refused to a second one until the first lets go", async () => {
    const lock = await FolderLock.acquire(folder);
    await expect(FolderLock.acquire(folder)).rejects.toThrow(
      `already-running ${folder}: process ${process.pid} runs with`,
    );
    await lock.release();
    await (await FolderLock.acquire(folder)).release();
  });

  /** Whose lock was left behind, and what it holds. */
  const DEAD: [string, string][] = [
    ["no process", "4194304 12345"],
    ["an earlier process of this one's number", `${process.pid} 1`],
    ["a process that died while it wrote", ""],
  ];
  test.each(DEAD)("of %s is taken over", async (_, text) => {
    await writeFile(join(folder, "lock"), text);
    await (await FolderLock.acquire(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe.each(STORES)("a store %s", (_, open) => {
  test("is empty at first", async () => {
    expect(await (await open()).load()).toBeUndefined();
  });

  test("gives back what was committed", async () => {
    const store = await open();
    await (await store.prepare(snapshot(WASM), new Map([[digestOf(WASM), WASM]]))).commit();
    expect(await store.load()).toEqual(snapshot(WASM));
    expect(Buffer.from(await store.module(digestOf(WASM)))).toEqual(Buffer.from(WASM));
  });

  test("is as before until the commit, and after an abort", async () => {
    const store = await open();
    await (await store.prepare(snapshot(WASM), new Map([[digestOf(WASM), WASM]]))).commit();
    const pending = await store.prepare(snapshot(WASM, OTHER), new Map([[digestOf(OTHER), OTHER]]));
    expect(await store.load()).toEqual(snapshot(WASM));
    await pending.abort();
    expect(await store.load()).toEqual(snapshot(WASM));
    await expect(store.module(digestOf(OTHER))).rejects.toThrow("unknown-module");
  });

  test("keeps the modules that a rollback needs, and no others", async () => {
    const store = await open();
    await (await store.prepare(snapshot(WASM), new Map([[digestOf(WASM), WASM]]))).commit();
    await (await store.prepare(snapshot(WASM, OTHER), new Map([[digestOf(OTHER), OTHER]]))).commit();
    expect(Buffer.from(await store.module(digestOf(WASM)))).toEqual(Buffer.from(WASM));
    await (await store.prepare(snapshot(OTHER), new Map())).commit();
    await expect(store.module(digestOf(WASM))).rejects.toThrow("unknown-module");
  });
});

describe("a store in files", () => {
  async function committed(): Promise<FileStore> {
    const store = await FileStore.open(folder);
    await (await store.prepare(snapshot(WASM), new Map([[digestOf(WASM), WASM]]))).commit();
    return store;
  }

  test("outlives the process", async () => {
    await committed();
    expect(await (await FileStore.open(folder)).load()).toEqual(snapshot(WASM));
  });

  test("is what it was when the process dies before the commit", async () => {
    const store = await committed();
    await store.prepare(snapshot(OTHER), new Map([[digestOf(OTHER), OTHER]]));
    expect(await (await FileStore.open(folder)).load()).toEqual(snapshot(WASM));
  });

  test("is readable by its owner only", async () => {
    await committed();
    expect((await stat(join(folder, "state.json"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "modules"))).mode & 0o777).toBe(0o700);
  });

  /** Description, what becomes of the file, what load() says. */
  const CORRUPT: [string, (text: string) => string, RegExp][] = [
    [
      "cut short",
      (text) => text.slice(0, -20),
      /^store-corrupt .*state\.json: .*; move the file away and start with -f node\.yaml$/,
    ],
    [
      "of another format",
      (text) => text.replace('"format":1', '"format":9'),
      /^store-corrupt .*state\.json: \/format found 9; /,
    ],
    [
      "with a broken plugin",
      (text) => text.replaceAll('"budgetUs":10000', '"budgetUs":-1'),
      /^store-corrupt .*: \/spec\/plugins\/0\/budgetUs found -1; /,
    ],
    ["empty", () => "", /^store-corrupt /],
  ];
  test.each(CORRUPT)("is refused when its state is %s", async (_, change, message) => {
    const store = await committed();
    const file = join(folder, "state.json");
    await writeFile(file, change(await readFile(file, "utf8")));
    await expect(store.load()).rejects.toThrow(message);
  });

  test("refuses a module that was changed", async () => {
    const store = await committed();
    const [file = ""] = await readdir(join(folder, "modules"));
    await chmod(join(folder, "modules", file), 0o600);
    await writeFile(join(folder, "modules", file), "something else");
    await expect(store.module(digestOf(WASM))).rejects.toThrow(/^store-corrupt .*its sha-256 is not its name/);
  });

  test("says so when its folder can't be made", async () => {
    const file = join(folder, "a-file");
    await writeFile(file, "");
    await expect(FileStore.open(join(file, "state"))).rejects.toThrow(/^store-unusable .*not a directory/);
  });
});
