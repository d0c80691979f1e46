import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Dataplane } from "@sluice/native";
import { ipv4, packet, udp } from "@sluice/sdk/testing";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseNodeFile } from "../../host/src/config/load.js";
import { FileStore } from "../../host/src/dataplane/file-store.js";
import { PluginSources } from "../../host/src/dataplane/plugin-sources.js";
import type { PluginChange, Probation, Shadow } from "../../host/src/dataplane/protocol.js";
import { Shell } from "../../host/src/dataplane/shell.js";
import { Uplinks } from "../../host/src/dataplane/uplinks.js";
import { type BuiltModule, buildModule, digestOf, inspect } from "../../host/src/plugins/builder.js";
import { resolveNode } from "../../host/src/plugins/resolve.js";
import { ROOT } from "./support.js";

// The shell on the real addon in this process, with packets through ports of kind inject.

const NODE = `
name: shell-test
memory: {size: 128, hugepages: never, buffers: 4096, jumbos: 64}
conntrack: {maxFlows: 4096, persist: false}
ports:
  - {name: in, kind: inject, mac: "02:00:00:00:00:01", addresses: [10.0.0.1/24]}
  - {name: out, kind: inject, mac: "02:00:00:00:00:02", addresses: [10.0.1.1/24]}
neighbours:
  - {port: out, address: 10.0.1.9, mac: "02:00:00:00:00:09"}
plugins:
  - {name: marker, source: examples/dscp-marker/assembly/v1.ts}
`;
const AF11 = 10;
const EF = 46;

const folder = mkdtempSync(join(tmpdir(), "shell-test-"));
let native: Dataplane;
let shell: Shell;
let versions: Record<"v2" | "again" | "trap", BuiltModule>;

beforeAll(async () => {
  const started = await Dataplane.start({
    name: "shell-test",
    workers: 1,
    memoryMb: 128,
    hugepages: "never",
    stateDir: folder,
    cacheDir: folder,
    buffers: 4096,
    jumbos: 64,
  });
  native = started.dataplane;
  const [v1, v2, trap] = await Promise.all([
    buildModule(`${ROOT}examples/dscp-marker/assembly/v1.ts`),
    buildModule(`${ROOT}examples/dscp-marker/assembly/v2.ts`),
    buildModule(`${ROOT}examples/faulty-trap/assembly/index.ts`),
  ]);
  // Another module that does the same: a custom section more (id 0, 2 bytes: the name "x").
  const wasm = new Uint8Array([...v1.wasm, 0, 2, 1, 120]);
  const again = { ...v1, wasm, digest: digestOf(wasm) };
  versions = { v2, again, trap };
});
afterAll(async () => {
  await native?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Each test begins with marker 1.0.0 alone, and without packets of the one before. */
beforeEach(async () => {
  const { spec, modules } = await resolveNode(parseNodeFile(NODE, `${ROOT}node.yaml`));
  const store = await FileStore.open(folder);
  const log = pino({ level: "silent" });
  const sources = new PluginSources((digest) => store.module(digest), log);
  const uplinks = new Uplinks(spec.name, folder, log);
  shell = new Shell({ native, store, log, started: spec, inspect, sources, uplinks });
  await shell.apply(spec, new Map([...modules].map(([digest, { wasm }]) => [digest, wasm])));
  while (native.collect("out", 256).length > 0) await sleep(5);
});

let sourcePort = 1024;

/** Sends UDP packets, each a flow of its own. @returns the DSCP of each that came out within the time */
async function send(count: number, destinationPort = 53, waitMs = 1000): Promise<number[]> {
  const frames = Array.from({ length: count }, () => {
    sourcePort = sourcePort === 65535 ? 1024 : sourcePort + 1;
    const ip = packet(
      ipv4({ source: "10.0.0.9", destination: "10.0.1.9" }),
      udp({ sourcePort, destinationPort }),
      "text",
    );
    return Buffer.concat([
      Buffer.from("020000000001", "hex"),
      Buffer.from("020000000008", "hex"),
      Buffer.from([8, 0]),
      ip,
    ]);
  });
  expect(native.inject("in", frames)).toBe(count);
  const out: Uint8Array[] = [];
  for (const end = Date.now() + waitMs; out.length < count && Date.now() < end; await sleep(5)) {
    out.push(...native.collect("out", count - out.length));
  }
  return out.map((frame) => (frame[15] ?? 0) >> 2);
}

function swap(name: string, module: BuiltModule): PluginChange {
  return { swap: { name, digest: module.digest, origin: module.origin, resetFlowState: true } };
}

async function change(changes: PluginChange[], limits: { shadow?: Shadow; probation?: Probation } = {}) {
  const modules = new Map(Object.values(versions).map(({ digest, wasm }) => [digest, wasm]));
  return shell.change({ changes, modules: [], ...limits }, modules);
}

/** Sends packets for as long as the work takes. */
async function underTraffic<Value>(work: Promise<Value>, destinationPort?: number): Promise<Value> {
  let running = true;
  const done = work.finally(() => {
    running = false;
  });
  const sending = (async () => {
    while (running) await send(16, destinationPort, 50);
  })();
  try {
    return await done;
  } finally {
    await sending;
  }
}

const portNames = () => shell.status().ports.map(({ name }) => name);

test("changes of a running node: what differs is made, what is refused is named and leaves all as it was", async () => {
  const before = shell.digest();
  const more = { name: "more", kind: "inject", addresses: ["10.0.2.1/24"] };
  const added = await shell.update(before.revision, { ports: { set: [more] } }, new Map());
  expect(portNames()).toEqual(["in", "more", "out"]);
  expect(added.plugins).toEqual([{ name: "marker", action: "kept", flowState: "kept" }]);

  const bad = { name: "bad", kind: "af-packet", device: "nothing0" };
  const refused = shell.update(added.revision, { ports: { remove: ["more"], set: [bad] } }, new Map());
  await expect(refused).rejects.toThrow("/ports/bad/device");
  expect(portNames()).toEqual(["in", "more", "out"]);
  expect(await send(4)).toEqual([AF11, AF11, AF11, AF11]);

  await shell.update(added.revision, { ports: { remove: ["more"] } }, new Map());
  expect(portNames()).toEqual(["in", "out"]);
  expect(shell.digest().digest).toBe(before.digest);
  expect(await send(4)).toEqual([AF11, AF11, AF11, AF11]);
});

describe("under traffic", () => {
  test("the version that is live treats the packets", async () => {
    expect(await send(3)).toEqual([AF11, AF11, AF11]);
    await change([swap("marker", versions.v2)]);
    expect(await send(3)).toEqual([EF, EF, EF]);
    await change([{ rollback: { name: "marker" } }]);
    expect(await send(3)).toEqual([AF11, AF11, AF11]);
    await change([{ unload: { name: "marker" } }]);
    expect(await send(3)).toEqual([0, 0, 0]);
  });

  test("status counts packets, cycles and counters of the stage", async () => {
    const before = shell.status().stages[0];
    await send(20);
    const after = shell.status().stages[0];
    expect((after?.packets ?? 0) - (before?.packets ?? 0)).toBe(20);
    expect(after?.cycles).toBeGreaterThan(before?.cycles ?? 0);
    expect((after?.counters.marked_packets ?? 0) - (before?.counters.marked_packets ?? 0)).toBe(20);
  });
});

describe("a shadow run", () => {
  const limits = { packets: 50, maxDifferences: 0, timeoutMs: 5000 };

  test("lets a version pass that treats packets alike", async () => {
    const result = await underTraffic(change([swap("marker", versions.again)], { shadow: limits }));
    expect(result.shadows).toMatchObject([{ plugin: "marker", passed: true, differences: 0, failures: 0 }]);
  });

  test("refuses one that does not, and the live one stays", async () => {
    const refused = underTraffic(change([swap("marker", versions.v2)], { shadow: limits }));
    await expect(refused).rejects.toThrow(/^shadow-refused \/plugins\/marker: \d+ packets: [1-9]\d* treated otherwise/);
    expect(await send(1)).toEqual([AF11]);
  });
});

describe("probation", () => {
  test("brings the previous version back when the new one traps", async () => {
    const swapped = change([swap("marker", versions.trap)], { probation: { durationMs: 5000, maxFailures: 0 } });
    await expect(underTraffic(swapped, 667)).rejects.toThrow(
      /^rolled-back \/plugins\/marker: failed [1-9]\d* times on probation.* at \S*assembly\/index\.ts:13:\d+ in \S+, with packet IPv4 .*$/,
    );
    expect(await send(3)).toEqual([AF11, AF11, AF11]);
    expect(shell.plugins()).toMatchObject([{ name: "marker", version: "1.0.0" }]);
  });

  test("is passed by a version that does well", async () => {
    await underTraffic(change([swap("marker", versions.v2)], { probation: { durationMs: 300, maxFailures: 0 } }));
    expect(await send(1)).toEqual([EF]);
  });
});

describe("a refused transaction", () => {
  test("leaves the pipeline, its plugins and the store as they were", async () => {
    const broken = { ...versions.v2, wasm: versions.v2.wasm.slice(0, -9) };
    const store = await FileStore.open(folder);
    const before = await store.load();
    const attempt = shell.change(
      { changes: [swap("marker", broken)], modules: [] },
      new Map([[broken.digest, broken.wasm]]),
    );
    await expect(attempt).rejects.toThrow(/^module-/);
    expect(await send(3)).toEqual([AF11, AF11, AF11]);
    expect(await store.load()).toEqual(before);
  });

  test("does not stop the next one", async () => {
    await expect(change([{ unload: { name: "nobody" } }])).rejects.toThrow("unknown-plugin");
    await change([swap("marker", versions.v2)]);
    expect(await send(1)).toEqual([EF]);
  });
});

describe("an update", () => {
  const EMPTY = { ports: {}, routes: {}, neighbours: {}, plugins: {} };
  const withRoute = (port: string) => ({
    ...EMPTY,
    routes: { set: [{ prefix: "10.9.0.0/16", nextHops: [{ port }] }] },
  });

  test("changes what it names and nothing else, and is in the store a moment later", async () => {
    const { revision } = shell;
    const result = await shell.update(revision, withRoute("out"), new Map());
    expect(result.plugins).toMatchObject([{ name: "marker", action: "kept" }]);
    expect(await send(3)).toEqual([AF11, AF11, AF11]);
    const store = await FileStore.open(folder);
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
      if ((await store.load())?.spec.routes.length === 1) break;
    }
    expect((await store.load())?.spec.routes).toMatchObject([{ prefix: "10.9.0.0/16" }]);
    expect(result.revision).toBe(shell.revision);
    expect(result.revision).not.toBe(revision);
  });

  test("of a state that the node is no longer in is refused", async () => {
    const { revision } = shell;
    await shell.update(revision, withRoute("out"), new Map());
    await expect(shell.update(revision, withRoute("in"), new Map())).rejects.toThrow("stale-base /base: found ");
  });

  test("is refused with the names of what is wrong, and the node stays as it was", async () => {
    const { revision } = shell;
    const port = { name: "lost", kind: "tap", netns: "/nowhere/netns", device: "eth0" };
    const refused = shell.update(revision, { ...EMPTY, ports: { set: [port] } }, new Map());
    await expect(refused).rejects.toThrow("netns-not-found /ports/lost/netns: ");
    await expect(shell.update(revision, withRoute("nowhere"), new Map())).rejects.toThrow("/routes/0/nextHops/0/port");
    expect(shell.revision).toBe(revision);
    expect(await send(1)).toEqual([AF11]);
  });

  test("of a configuration is no version to roll back to", async () => {
    const numbers = () => shell.plugins().map(({ revisions }) => revisions.map(({ number }) => number));
    const before = numbers();
    const [plugin] = (await (await FileStore.open(folder)).load())?.spec.plugins ?? [];
    await shell.update(shell.revision, { ...EMPTY, plugins: { set: [{ ...plugin, priority: 7 }] } }, new Map());
    expect(numbers()).toEqual(before);
  });
});

test("transactions that come at once are done one after the other", async () => {
  const first = change([swap("marker", versions.v2)]);
  const second = change([{ rollback: { name: "marker" } }]);
  const [one, two] = await Promise.all([first, second]);
  expect(two.generation).toBe(one.generation + 1);
  expect(await send(1)).toEqual([AF11]);
});
