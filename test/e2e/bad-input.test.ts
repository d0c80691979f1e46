import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { pod4 } from "../support/address-plan.js";
import { Cleanup } from "../support/cleanup.js";
import { assemble, assembleStage } from "../support/modules.js";
import type { NodeFile } from "../support/node-file.js";
import { exampleSource, policyPlugin } from "../support/plugins.js";
import { type Node, oneNode, type Pod, temporaryFolder } from "../support/topology.js";
import { IperfFlow, PingFlow } from "../support/traffic.js";

// Each bad module, file and command is refused with one error that says what and where, while traffic crosses the node.
const cleanup = new Cleanup();
let folder: string;
let node: Node;
let pings: PingFlow;
let stream: IperfFlow;
let generation: number;
let created: number;

beforeAll(async () => {
  folder = temporaryFolder(cleanup);
  node = await oneNode(cleanup, 2, (file) => {
    file.plugins = [policyPlugin("allow", [])];
  });
  const [client, server] = node.pods as [Pod, Pod];
  pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
  stream = await IperfFlow.start(cleanup, client.namespace, server.namespace, server.v6, {
    seconds: 30,
    extra: ["-b", "20M"],
  });
});

afterAll(async () => {
  try {
    const { drops } = (await node.dataplane.status()).native;
    expect(await pings.stop(), `drops: ${JSON.stringify(drops)}`).toMatchObject({
      lost: 0,
      duplicates: 0,
      missing: [],
    });
    await stream.stop();
  } finally {
    await cleanup.close();
  }
});

beforeEach(async () => {
  const { native } = await node.dataplane.status();
  generation = native.generation;
  created = native.flows.created;
});

/** `error` came out, once, and the node is what it was before. */
async function expectRefused(args: string[], error: RegExp): Promise<void> {
  const output = await node.dataplane.sluice(...args);
  expect(output.status).toBe(1);
  expect(output.stderr).toMatch(error);
  expect(output.stderr.trim().split("\n")).toHaveLength(1);
  const { native } = await node.dataplane.status();
  expect(native.generation).toBe(generation);
  expect(native.stages.map(({ name, state, failures }) => ({ name, state, failures }))).toEqual([
    { name: "policy", state: "active", failures: 0 },
  ]);
  expect(native.flows.created).toBe(created); // the flows in work were not begun anew
}

describe("modules", () => {
  const rows: [what: string, wasm: () => Promise<Uint8Array>, error: RegExp][] = [
    ["no WebAssembly", async () => new TextEncoder().encode("#!/bin/sh\n"), /error: module-\S+ .*not.*WebAssembly/i],
    ["cut short", async () => (await assembleStage(folder, {})).slice(0, 60), /error: module-\S+ /],
    ["no manifest", () => assemble(folder, {}), /module-manifest .*sluice\.manifest/],
    ["a manifest of another ABI", () => assembleStage(folder, {}, { abi: 9 }), /module-abi-version .*ABI 9/],
    [
      "an unknown hook",
      () => assembleStage(folder, {}, { hooks: ["sideways" as never] }),
      /module-manifest .*hooks.*sideways/,
    ],
    ["no hook", () => assembleStage(folder, {}, { hooks: [] }), /module-manifest .*hooks/],
    [
      "a flow state that is too large",
      () => assembleStage(folder, {}, { flowState: { size: 65, schema: 1 } }),
      /flowState/,
    ],
    ["code of another ABI", () => assembleStage(folder, { abiVersion: 2 }), /module-wrong-abi/],
    [
      "an import that no host has",
      () => assembleStage(folder, { imports: '(import "env" "open" (func (param i32) (result i32)))' }),
      /module-imports .*env\.open/,
    ],
    [
      "an imported memory",
      () => assembleStage(folder, { imports: '(import "env" "memory" (memory 1))', memory: "1 1" }),
      /module-(imports|memory|invalid)/,
    ],
    ["a memory that grows", () => assembleStage(folder, { memory: "3328 65536" }), /module-memory .*65536/],
    ["a huge memory", () => assembleStage(folder, { memory: "65536 65536" }), /module-memory .*65536/],
    [
      "bulk memory",
      () => assembleStage(folder, { process: "(memory.fill (i32.const 0x2000000) (i32.const 0) (i32.const 65536))" }),
      /module-(bulk-memory|unsupported|invalid) .*bulk/i,
    ],
    [
      "data in the burst window",
      () => assembleStage(folder, { rest: '(data (i32.const 0x1000000) "window")' }),
      /module-data\S* .*0x1000000/,
    ],
    [
      "data in a config segment",
      () => assembleStage(folder, { rest: '(data (i32.const 0x3000000) "segment")' }),
      /module-data\S* .*0x3000000/,
    ],
    ["a start function", () => assembleStage(folder, { rest: "(func $begin) (start $begin)" }), /module-start/],
  ];

  test.each(rows)("%s", async (what, wasm, error) => {
    const file = `${folder}/${what.replaceAll(" ", "-")}.wasm`;
    writeFileSync(file, await wasm());
    await expectRefused(["plugin", "load", file], error);
    await expectRefused(["plugin", "swap", `policy=${file}`], error);
  });

  test("source with a mistake names its line", async () => {
    const file = `${folder}/mistake.ts`;
    writeFileSync(
      file,
      'import { Batch } from "@sluice/sdk";\n@hook("forward")\nexport function f(b: Batch): void { b.nothing(); }\n',
    );
    await expectRefused(["plugin", "load", file], /plugin-build-failed .*mistake\.ts:3/);
  });
});

describe("node files", () => {
  const port = (file: NodeFile, index: number) => file.ports[index] as NodeFile["ports"][number];
  const rows: [what: string, change: (file: NodeFile) => void, error: RegExp][] = [
    ["a port of an unknown kind", (file) => Object.assign(port(file, 0), { kind: "tupperware" }), /\/ports\/0/],
    [
      "a MAC that is a group's",
      (file) => Object.assign(port(file, 0), { mac: "01:00:5e:00:00:01" }),
      /\/ports\/0\/mac/,
    ],
    ["a key that nobody knows", (file) => Object.assign(port(file, 0), { colour: "red" }), /\/ports\/0.*colour/],
    [
      "a route through a port that is not there",
      (file) => file.routes.push({ prefix: "10.9.0.0/16", nextHops: [{ port: "nowhere" }] }),
      /\/routes\/\d+\/nextHops\/0\/port.*nowhere/,
    ],
    [
      "two routes of one prefix",
      (file) => file.routes.push({ prefix: `${pod4(1, 1)}/32`, blackhole: true }),
      /\/routes\/\d+\/prefix/,
    ],
    [
      "a plugin's configuration against its schema",
      (file) => {
        file.plugins = [policyPlugin("perhaps" as never, [])];
      },
      /\/plugins\/0\/config\/defaultAction.*perhaps/,
    ],
    [
      "a plugin's configuration against its own rules",
      (file) => {
        file.plugins = [policyPlugin("allow", [{ action: "deny", source: ["10.0.0.0/33"] }])];
      },
      /config-invalid .*\/plugins\/0\/config: rules\[0\]\.source\[0\]/,
    ],
    [
      "a plugin that is not there",
      (file) => {
        file.plugins = [{ name: "ghost", module: "ghost.wasm" }];
      },
      /ghost\.wasm/,
    ],
    [
      "stages in a circle",
      (file) => {
        file.plugins = [
          { ...policyPlugin("allow", []), before: ["tap-counter"] },
          { name: "tap-counter", source: exampleSource("tap-counter/assembly/index.ts"), before: ["policy"] },
        ];
      },
      /policy.*tap-counter|tap-counter.*policy/,
    ],
    [
      "a namespace that is not there",
      (file) => Object.assign(port(file, 1), { netns: "/run/netns/slt-nowhere" }),
      /\/ports\/1\/netns.*slt-nowhere/,
    ],
    [
      "a setting that only a start can change",
      (file) => Object.assign(file, { workers: 2 }),
      /restart-required.*\/workers/,
    ],
  ];

  test.each(rows)("%s", async (_, change, error) => {
    const file = structuredClone(node.file);
    change(file);
    node.dataplane.write(file);
    await expectRefused(["apply", "-f", node.dataplane.file], error);
  });

  test("text that is no YAML names its line", async () => {
    const file = `${folder}/broken.yaml`;
    writeFileSync(file, "name: node1\nports: [\n");
    await expectRefused(["apply", "-f", file], /invalid-yaml .*broken\.yaml:\d+:\d+/);
  });
});

describe("commands", () => {
  const rows: [what: string, args: string[], error: RegExp][] = [
    [
      "a swap of a plugin that is not loaded",
      ["plugin", "swap", `ghost=${exampleSource("tap-counter/assembly/index.ts")}`],
      /ghost/,
    ],
    ["a roll-back without an earlier version", ["plugin", "rollback", "policy"], /policy/],
    ["an unload of a plugin that is not loaded", ["plugin", "unload", "ghost"], /ghost/],
    ["a file that is not there", ["plugin", "load", "/nowhere/stage.wasm"], /\/nowhere\/stage\.wasm/],
    ["a file of another kind", ["plugin", "load", "/etc/hostname"], /unknown-plugin-file .*\/etc\/hostname/],
    [
      "a scope that names no port",
      ["plugin", "load", exampleSource("tap-counter/assembly/index.ts"), "--scope", "nowhere"],
      /nowhere/,
    ],
  ];

  test.each(rows)("%s", async (_, args, error) => {
    await expectRefused(args, error);
  });
});
