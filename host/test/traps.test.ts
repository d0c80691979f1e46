import type { StageTrap } from "@sluice/native";
import { pino } from "pino";
import { beforeAll, describe, expect, test } from "vitest";
import { PluginSources } from "../src/dataplane/plugin-sources.js";
import { failureOf, failureText, placeTrap } from "../src/dataplane/traps.js";
import { type BuiltModule, compileText } from "../src/plugins/builder.js";

const SOURCE = `
import { Batch, definePlugin } from "@sluice/sdk";
definePlugin({ name: "guard", version: "1.0.0" });
@hook("forward")
export function process(batch: Batch): void {
  if (batch.length > 3) throw new Error("no room at all");
}
`;

describe("why a stage failed", () => {
  let module: BuiltModule;
  let sources: PluginSources;
  /** Of an instruction in "process". */
  let offset: number;

  beforeAll(async () => {
    module = await compileText(SOURCE);
    sources = new PluginSources(async () => module.wasm, pino({ level: "silent" }));
    const all = await sources.place(
      module.digest,
      Array.from(module.wasm, (_, at) => ({ offset: at })),
    );
    offset = all.find(({ source }) => source?.line === 6 && source.function === "process")?.offset ?? -1;
  });

  const trap = (change: Partial<StageTrap>): StageTrap => ({
    ...{ code: "abort", message: "no room at all at guard.ts:6:25", version: "1.0.0", digest: module.digest },
    ...{ hook: "forward", worker: 0, at: 0, packetHex: "45", packetSummary: "IPv4 10.0.0.1 > 10.0.0.2" },
    frames: [{ function: "process", offset }],
    ...change,
  });

  const ROWS: [what: string, change: Partial<StageTrap>, told: RegExp][] = [
    [
      "of an abort has its place once",
      {},
      /^abort: no room at all at \S+\.ts:6:\d+ in process, with packet IPv4 10\.0\.0\.1 > 10\.0\.0\.2$/,
    ],
    [
      "of an abort without a known place in its frames has the abort's own",
      { frames: [{ function: "process", offset: -1 }] },
      /^abort: no room at all at guard\.ts:6:25, with packet/,
    ],
    ["has no place and no packet where there are none", { frames: [], packetSummary: "", message: "abort" }, /^abort$/],
    [
      "of another trap is left as it is",
      { code: "unreachable", message: "an instruction at guard.ts:1:1" },
      /^unreachable: an instruction at guard\.ts:1:1 at \S+\.ts:6:\d+ in process/,
    ],
  ];
  test.each(ROWS)("%s", async (_, change, told) => {
    expect(failureText(failureOf(await placeTrap(trap(change), sources)))).toMatch(told);
  });
});
