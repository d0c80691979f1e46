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

describe("policy", () => {
  test.each(rows)("$name", async (row) => {
    const [report] = await runRows(stage, [row]);
    expect(report?.failures).toEqual([]);
  });

  test.each(badConfigs)("refuses: $error", ({ config, error }) => {
    expect(() => stage.build(JSON.stringify(config))).toThrow(new ConfigureError(error));
  });

  test.each([
    { rules: 4000, peers: 20 },
    { rules: 200, peers: 500 },
    { rules: 1, peers: 100_000 },
  ])("has room for $rules rules with $peers pods of both families each", ({ rules, peers }) => {
    // Odd places only, so that no two of them lie in one range.
    const place = (i: number) => `${(i >> 15) & 255}.${(i >> 7) & 255}.${((i & 127) << 1) | 1}`;
    const config = {
      defaultAction: "deny",
      rules: Array.from({ length: rules }, (_, r) => ({
        ...{ action: "allow", protocol: "tcp", destinationPorts: [80] },
        source: Array.from({ length: peers }, (_, p) => r * peers + p).flatMap((i) => [
          `10.${place(i)}`,
          `fd00::${(i >> 15).toString(16)}:${((i << 1) & 0xffff).toString(16)}`,
        ]),
      })),
    };
    expect(() => stage.build(JSON.stringify(config))).not.toThrow();
  });
});
