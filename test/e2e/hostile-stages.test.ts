import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pluginSpecSchema } from "../../host/src/config/schema.js";
import { DataplaneClient } from "../../host/src/dataplane/client.js";
import { digestOf } from "../../host/src/plugins/builder.js";
import { Cleanup } from "../support/cleanup.js";
import { assembleStage, type ModuleText } from "../support/modules.js";
import { eventually } from "../support/process.js";
import { type Node, oneNode, type Pod, temporaryFolder } from "../support/topology.js";
import { PingFlow, ping, sendUdp } from "../support/traffic.js";

// Stages written to get out, on a running node. Each sees the packets of pod 3 only; what it does is told, and the other
// pods' packets are never lost.

const WINDOW = 0x100_0000;
const COUNTERS = 0x110_0000;
const EMIT = 0x130_0000;
const CALL_MS = 30_000;

const cleanup = new Cleanup();
let folder: string;
let node: Node;
let rpc: DataplaneClient;
let pings: PingFlow;
let client: Pod;
let server: Pod;
let victim: Pod;

beforeAll(async () => {
  folder = temporaryFolder(cleanup);
  node = await oneNode(cleanup, 3);
  [client, server, victim] = node.pods as [Pod, Pod, Pod];
  rpc = new DataplaneClient(node.dataplane.socket);
  cleanup.defer("client", () => rpc.close());
  pings = new PingFlow(cleanup, client.namespace, server.v4, { interval: 0.02 });
});

afterAll(async () => {
  try {
    const { drops } = (await rpc.call("status", {}, CALL_MS)).native;
    expect(await pings.stop(), `drops: ${JSON.stringify(drops)}`).toMatchObject({ lost: 0, missing: [] });
    expect(await ping(victim.namespace, server.v4)).toMatchObject({ lost: 0 });
  } finally {
    await cleanup.close();
  }
});

/** WAT for what is to be done with each slot; its address is in $slot. */
const each = (code: string) => `(local $i i32) (local $slot i32)
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
    (local.set $slot (i32.load offset=${WINDOW + 1024} (i32.shl (local.get $i) (i32.const 2))))
    ${code}
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br $next)))`;

/** WAT: an access at every page of the address space, by an address that the compiler does not know. */
const everywhere = (access: string) => `(local $at i32)
  (loop $next ${access}
    (local.set $at (i32.add (local.get $at) (i32.const 4096)))
    (br_if $next (local.get $at)))`;

const DEEP = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))";
const import_ = (name: string, type: string) => `(import "sluice" "${name}" (func $${name} ${type}))`;

interface Row {
  what: string;
  module: ModuleText;
  /** The manifest says that it writes. */
  writes?: boolean;
}

describe("a stage is stopped, and it is said why, when it", () => {
  const rows: (Row & { failure: RegExp })[] = [
    {
      what: "writes over the whole address range",
      module: { process: everywhere("(i32.store (local.get $at) (i32.const -1))") },
      failure: /memory-out-of-bounds/,
    },
    {
      what: "reads over the whole address range",
      module: { process: everywhere("(drop (i32.load (local.get $at)))") },
      failure: /memory-out-of-bounds/,
    },
    {
      what: "writes a counter behind the last",
      module: { process: `(i64.store (i32.const ${COUNTERS + 8192}) (i64.const 1))` },
      failure: /memory-out-of-bounds/,
    },
    {
      what: "recurses without end",
      module: { process: "(drop (call $deep (i32.const 0)))", rest: DEEP },
      failure: /stack-overflow/,
    },
    { what: "never returns", module: { process: "(loop (br 0))" }, failure: /budget/ },
    {
      what: "calls what is not in its table",
      module: { process: "(call_indirect (i32.const 65535))", rest: "(table 65536 funcref)" },
      failure: /indirect-call/,
    },
    {
      what: "asks for the payload of a slot that it was not given",
      module: {
        imports: import_("read_payload", "(param i32 i32 i32) (result i32)"),
        process: `(drop (call $read_payload (i32.const ${WINDOW + 4096 + 200 * 576}) (i32.const 0) (i32.const 8)))`,
      },
      failure: /import-misused/,
    },
    {
      what: "asks whose a source is, without end",
      module: {
        imports: import_("source_taken", "(param i32 i64 i64 i32) (result i32)"),
        process: each(
          "(loop $more (drop (call $source_taken (local.get $slot) (i64.const 0) (i64.const 1) (i32.const 1))) (br $more))",
        ),
      },
      failure: /budget/,
    },
    {
      what: "asks whose a source is, with a port that there cannot be",
      module: {
        imports: import_("source_taken", "(param i32 i64 i64 i32) (result i32)"),
        process: each("(drop (call $source_taken (local.get $slot) (i64.const -1) (i64.const -1) (i32.const -1)))"),
      },
      failure: /import-misused/,
    },
    {
      what: "traces a slot that is none",
      module: {
        imports: import_("trace", "(param i32 i32 i64)"),
        process: "(call $trace (i32.const -1) (i32.const 0) (i64.const 0))",
      },
      failure: /import-misused/,
    },
  ];

  test.each(rows)("$what", async ({ module, failure }) => {
    await load(module, false);
    await sendUdp(victim.namespace, server.v4, 9);
    const stage = await eventually("the stage's failure", 10_000, async () => {
      const found = await hostile();
      return found.failures > 0 ? found : undefined;
    });
    expect(stage).toMatchObject({ failures: 1, state: "failed" });
    expect(stage.lastFailure).toMatch(failure);
    await unload();
  });
});

describe("what a stage says is not believed when it", () => {
  const rows: Row[] = [
    {
      what: "gives a verdict that there is not",
      module: { process: each("(i32.store8 (local.get $slot) (i32.const 200))") },
    },
    { what: "redirects to a port that there is not", module: { process: each(redirect(1023)) } },
    { what: "redirects to a number that no port has", module: { process: each(redirect(0xffff)) } },
    { what: "moves the head out of the slot", module: { process: each(head(0xffff)) }, writes: true },
    { what: "moves the head before the headroom", module: { process: each(head(8)) }, writes: true },
    {
      what: "makes the packet longer than it is",
      module: {
        process: each(
          "(i32.store offset=8 (local.get $slot) (i32.const -1)) (i32.store16 offset=14 (local.get $slot) (i32.const 1))",
        ),
      },
      writes: true,
    },
    {
      what: "makes the head longer than it is",
      module: {
        process: each(
          "(i32.store16 offset=6 (local.get $slot) (i32.const 0xffff)) (i32.store16 offset=14 (local.get $slot) (i32.const 1))",
        ),
      },
      writes: true,
    },
    {
      what: "writes though its manifest says that it does not",
      module: { process: each("(i32.store16 offset=14 (local.get $slot) (i32.const 1))") },
    },
    {
      what: "drops for a reason that there is not",
      module: {
        process: each(
          "(i32.store8 (local.get $slot) (i32.const 1)) (i32.store16 offset=2 (local.get $slot) (i32.const 0xffff))",
        ),
      },
    },
  ];

  test.each(rows)("$what", async ({ module, writes }) => {
    await load(module, writes ?? false);
    await sendUdp(victim.namespace, server.v4, 9);
    const stage = await eventually("the stage's invalid output", 10_000, async () => {
      const found = await hostile();
      return found.invalidOutputs > 0 ? found : undefined;
    });
    expect(stage).toMatchObject({ failures: 0, state: "active" });
    expect(stage.drops["stage-invalid-output"]).toBeGreaterThan(0);
    await unload();
  });
});

describe("a stage gains nothing when it", () => {
  const rows: Row[] = [
    {
      what: "grows its memory",
      module: { process: "(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))" },
    },
    {
      what: "writes to slots that it was not given, and over the list and the burst header",
      module: {
        process: `(local $at i32) (local.set $at (i32.const ${WINDOW}))
          (loop $next (i32.store (local.get $at) (i32.const -1))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const ${WINDOW + 4096}))))`,
      },
    },
    {
      what: "writes to counters that its manifest does not have",
      module: { process: `(i64.store (i32.const ${COUNTERS + 8184}) (i64.const -1))` },
    },
    {
      what: "emits what is no packet, a thousand times",
      module: {
        imports: import_("emit", "(param i32 i32) (result i32)"),
        process: `(local $i i32) (i32.store (i32.const ${EMIT}) (i32.const -1))
          (loop $next (drop (call $emit (i32.const 1500) (i32.const 65535)))
            (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))`,
      },
    },
    {
      what: "mirrors each packet to every number",
      module: {
        imports: import_("mirror", "(param i32 i32 i32) (result i32)"),
        process: each(`(local.set $j (i32.const 0))
          (loop $more (drop (call $mirror (local.get $slot) (i32.add (i32.const 100) (local.get $j)) (i32.const 0)))
            (br_if $more (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 2000))))`).replace(
          "(local $i i32)",
          "(local $i i32) (local $j i32)",
        ),
      },
    },
    {
      what: "asks a thousand times whose a source is, by every kind of address",
      module: {
        imports: import_("source_taken", "(param i32 i64 i64 i32) (result i32)"),
        process: each(`(local.set $j (i32.const 0))
          (loop $more
            (drop (call $source_taken (local.get $slot) (i64.const -1) (i64.extend_i32_s (local.get $j)) (i32.and (local.get $j) (i32.const 65535))))
            (br_if $more (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 1000))))`).replace(
          "(local $i i32)",
          "(local $i i32) (local $j i32)",
        ),
      },
    },
    {
      what: "writes to flow slots though it has none",
      module: {
        process: each(
          "(i64.store offset=64 (local.get $slot) (i64.const -1)) (i32.store16 offset=14 (local.get $slot) (i32.const 2))",
        ),
      },
    },
  ];

  test.each(rows)("$what", async ({ module, writes }) => {
    await load(module, writes ?? false);
    expect(await ping(victim.namespace, server.v4)).toMatchObject({ lost: 0 });
    expect(await hostile()).toMatchObject({ failures: 0, state: "active", counters: {} });
    await unload();
  });
});

describe("a module is refused when it", () => {
  const rows: (Row & { error: RegExp })[] = [
    { what: "has a huge table", module: { rest: "(table 4000000000 funcref)" }, error: /module-\S+ .*table/i },
    {
      what: "never ends its init",
      module: { rest: '(func (export "init") (loop (br 0)))' },
      error: /module-init-failed .*budget/,
    },
    {
      what: "recurses without end in its init",
      module: { rest: `${DEEP} (func (export "init") (drop (call $deep (i32.const 0))))` },
      error: /module-init-failed .*stack/,
    },
  ];

  test.each(rows)("$what", async ({ module, error }) => {
    await expect(load(module, false)).rejects.toThrow(error);
    expect((await rpc.call("status", {}, CALL_MS)).native.stages).toEqual([]);
  });
});

function redirect(port: number): string {
  return `(i32.store8 (local.get $slot) (i32.const 2)) (i32.store16 offset=30 (local.get $slot) (i32.const ${port}))`;
}

function head(offset: number): string {
  return `(i32.store16 offset=4 (local.get $slot) (i32.const ${offset})) (i32.store16 offset=14 (local.get $slot) (i32.const 1))`;
}

/** Loads the stage for pod 3, past the command line's own checks. */
async function load(module: ModuleText, writes: boolean): Promise<void> {
  const wasm = await assembleStage(folder, module, { name: "hostile", writes, failure: "FailOpen" });
  const digest = digestOf(wasm);
  const spec = { name: "hostile", digest, origin: "hostile.wasm", scope: ["pod3"] };
  const pluginJson = JSON.stringify(pluginSpecSchema.parse(spec));
  const changes = [{ load: { pluginJson } }];
  await rpc.call("changePlugins", { changes, modules: [{ digest, wasm }] }, CALL_MS);
}

async function unload(): Promise<void> {
  await rpc.call("changePlugins", { changes: [{ unload: { name: "hostile" } }], modules: [] }, CALL_MS);
}

async function hostile() {
  const { native } = await rpc.call("status", {}, CALL_MS);
  const stage = native.stages.find(({ name }) => name === "hostile");
  if (stage === undefined) throw new Error("the hostile stage is not in the pipeline");
  return stage;
}
