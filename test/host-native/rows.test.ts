import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Dataplane } from "@sluice/native";
import { buildPlugin } from "@sluice/sdk/build";
import { NodeStage, type Row, type RowResult, runRows, type StageExecutor } from "@sluice/sdk/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "./support.js";

// The stages' own data rows once more, in a packet thread: it must agree with Node's WebAssembly to the byte.

/** A stage in the packet thread of a running dataplane. */
class PacketThreadStage implements StageExecutor {
  readonly name = "packet thread";
  constructor(
    private readonly dataplane: Dataplane,
    private readonly wasm: Uint8Array,
  ) {}

  async run(row: Row): Promise<RowResult> {
    const request = { wasm: Buffer.from(this.wasm).toString("hex"), row };
    return JSON.parse(await this.dataplane.runStage(JSON.stringify(request))) as RowResult;
  }
}

interface Stage {
  folder: string;
  rows: Row[];
  badConfigs: { config: unknown; error: string }[];
  /** Makes the module, where it is not AssemblyScript's build of assembly/index.ts. */
  build?: () => Uint8Array;
}

async function stagesOf(parent: string): Promise<Stage[]> {
  const stages: Stage[] = [];
  for (const name of readdirSync(join(ROOT, parent))) {
    const folder = join(ROOT, parent, name);
    if (!existsSync(join(folder, "test", "rows.ts"))) continue;
    const { rows, badConfigs = [], build } = (await import(join(folder, "test", "rows.ts"))) as Stage;
    stages.push({ folder: `${parent}/${name}`, rows, badConfigs, ...(build ? { build } : {}) });
  }
  return stages;
}

const stages = [...(await stagesOf("plugins")), ...(await stagesOf("examples"))];
const state = mkdtempSync(join(tmpdir(), "sluice-rows-"));
let dataplane: Dataplane;

beforeAll(async () => {
  const options = { name: "rows", workers: 1, memoryMb: 256, buffers: 4096, jumbos: 64, hugepages: "never" as const };
  ({ dataplane } = await Dataplane.start({ ...options, stateDir: state, cacheDir: join(state, "cache") }));
  await dataplane.apply(JSON.stringify({ conntrack: { maxFlows: 1024 } }));
});
afterAll(async () => {
  await dataplane.stop();
  rmSync(state, { recursive: true });
});

test("there are rows of the three plugins", () => {
  expect(stages.map(({ folder }) => folder)).toEqual(
    expect.arrayContaining(["plugins/nat", "plugins/policy", "plugins/srv6"]),
  );
});

describe.each(stages)("$folder in a packet thread", ({ folder, rows, badConfigs, build }) => {
  let node: NodeStage;
  let native: PacketThreadStage;
  beforeAll(async () => {
    const entry = join(ROOT, folder, "assembly", "index.ts");
    const wasm = build?.() ?? (await buildPlugin({ entry })).wasm;
    node = new NodeStage(wasm);
    native = new PacketThreadStage(dataplane, wasm);
  });

  test.each(rows)("$name", async (row) => {
    const [report] = await runRows(native, [row]);
    expect(report?.failures).toEqual([]);
    expect(report?.result).toEqual(await node.run(row));
  });

  if (badConfigs.length > 0) {
    test.each(badConfigs)("refuses: $error", async ({ config, error }) => {
      const row = { name: "", hook: rows[0]?.hook ?? "forward", config, packets: [] } as Row;
      await expect(native.run(row)).rejects.toMatchObject({ path: "/row/config", message: error });
    });
  }
});
