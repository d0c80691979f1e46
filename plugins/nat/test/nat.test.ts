import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ConfigureError, NodeStage, runRows } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { badConfigs, rows } from "./rows.js";

let stage: NodeStage;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("../assembly/index.ts", import.meta.url));
  stage = new NodeStage((await buildPlugin({ entry })).wasm);
}, 60_000);

describe("nat", () => {
  test.each(rows)("$name", async (row) => {
    const [report] = await runRows(stage, [row]);
    expect(report?.failures).toEqual([]);
  });

  test.each(badConfigs)("refuses: $error", ({ config, error }) => {
    expect(() => stage.build(JSON.stringify(config))).toThrow(new ConfigureError(error));
  });

  test.each([
    { services: 20000, backends: 1 },
    { services: 10000, backends: 3 },
    { services: 10000, backends: 15 },
  ])("has room for $services services of $backends backends each", ({ services, backends }) => {
    const place = (i: number) => `${i >> 8}.${i & 255}`;
    const config = {
      services: Array.from({ length: services }, (_, i) => ({
        ...{ vip: `10.96.${place(i)}`, port: 80, protocol: "tcp" },
        backends: Array.from({ length: backends }, (_, j) => ({ address: `10.${j + 1}.${place(i)}`, port: 8080 })),
      })),
    };
    expect(() => stage.build(JSON.stringify(config))).not.toThrow();
  });
});
