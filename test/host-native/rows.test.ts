import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin } from "@sluice/sdk/build";
import { ConfigureError, NativeStage, NodeStage, type Row, runRows, stopNative } from "@sluice/sdk/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "./support.js";

// The stages' own data rows once more, in a packet thread: it must agree with Node's WebAssembly to the byte.

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

afterAll(stopNative);

test("there are rows of the three plugins", () => {
  expect(stages.map(({ folder }) => folder)).toEqual(
    expect.arrayContaining(["plugins/nat", "plugins/policy", "plugins/srv6"]),
  );
});

describe.each(stages)("$folder in a packet thread", ({ folder, rows, badConfigs, build }) => {
  let node: NodeStage;
  let native: NativeStage;
  beforeAll(async () => {
    const entry = join(ROOT, folder, "assembly", "index.ts");
    const wasm = build?.() ?? (await buildPlugin({ entry })).wasm;
    node = new NodeStage(wasm);
    native = await NativeStage.start(wasm);
  });

  test.each(rows)("$name", async (row) => {
    const [report] = await runRows(native, [row]);
    expect(report?.failures).toEqual([]);
    expect(report?.result).toEqual(await node.run(row));
  });

  if (badConfigs.length > 0) {
    test.each(badConfigs)("refuses: $error", async ({ config, error }) => {
      const row = { name: "", hook: rows[0]?.hook ?? "forward", config, packets: [] } as Row;
      await expect(native.run(row)).rejects.toThrow(new ConfigureError(error));
    });
  }
});
