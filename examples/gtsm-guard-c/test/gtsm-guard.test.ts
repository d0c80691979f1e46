import { inspectModule } from "@sluice/sdk/build";
import { ConfigureError, NodeStage, runRows } from "@sluice/sdk/testing";
import { expect, test } from "vitest";
import { badConfigs, build, rows } from "./rows.js";

const wasm = build();

test("the module is a stage with all that the ABI has exports for but init and migrate", () => {
  expect(inspectModule(wasm)).toMatchObject({ hasConfigure: true, hasInit: false, hasMigrate: false });
});

test.each(rows)("$name", async (row) => {
  const [report] = await runRows(new NodeStage(wasm), [row]);
  expect(report?.failures).toEqual([]);
});

test.each(badConfigs)("refuses: $config", async ({ config, error }) => {
  const row = { name: "", hook: "prerouting" as const, config, packets: [] };
  await expect(new NodeStage(wasm).run(row)).rejects.toEqual(new ConfigureError(error));
});
