import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { NodeStage, runRows } from "@sluice/sdk/testing";
import { expect, test } from "vitest";
import { rows } from "./rows.js";

test.each(rows)(
  "$name",
  async (row) => {
    const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
    const [report] = await runRows(new NodeStage((await buildPlugin({ entry })).wasm), [row]);
    expect(report?.failures).toEqual([]);
  },
  60_000,
);
