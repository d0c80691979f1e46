import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ConfigureError, NodeStage, runRows } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { badConfigs, largeRows, rows } from "./rows.js";

let stage: NodeStage;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  stage = new NodeStage((await buildPlugin({ entry })).wasm);
}, 60_000);

describe("srv6", () => {
  test.each([...rows, ...largeRows])("$name", async (row) => {
    const [report] = await runRows(stage, [row]);
    expect(report?.failures).toEqual([]);
  });

  test.each(badConfigs)("refuses: $error", ({ config, error }) => {
    expect(() => stage.build(JSON.stringify(config))).toThrow(new ConfigureError(error));
  });
});
