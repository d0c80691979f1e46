import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ROOT, script } from "./support.js";

// `sluice-plugin bench` in a packet thread.

const folder = mkdtempSync(join(tmpdir(), "sluice-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const bench = (source: string, ...args: string[]) => {
  const entry = join(folder, "stage.ts");
  writeFileSync(entry, `import { Batch, definePlugin } from "@sluice/sdk";\n${source}`);
  const tmp = { ...process.env, TMPDIR: folder };
  return script(join(ROOT, "sdk/bin/sluice-plugin.mjs"), ["bench", entry, "--only", "packet-thread", ...args], tmp);
};

interface Figure {
  where: string;
  burst: number;
  emptyNs: number;
  stageNs: number;
}

test("a stage that rewrites and drops is dearer than an empty one; the packets are the same each time", async () => {
  const source = `import { Counter } from "@sluice/sdk";
definePlugin({ name: "busy", version: "1.0.0" });
const unseen = new Counter("unseen");
@hook("forward") export function change(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) {
    const packet = batch.at(i);
    if (packet.hopLimit != 64) unreachable();
    packet.setHopLimit(1);
    if (i & 1) packet.drop(1);
  }
}`;
  const { code, out, err } = await bench(source, "-o", "json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { figures, tscHz } = JSON.parse(out) as { figures: Figure[]; tscHz: number };
  expect(tscHz).toBeGreaterThan(1e8);
  expect(figures.map(({ where, burst }) => [where, burst])).toEqual([
    ["packet thread", 32],
    ["packet thread", 256],
  ]);
  for (const { emptyNs, stageNs } of figures) {
    expect(emptyNs).toBeGreaterThan(0);
    expect(stageNs).toBeGreaterThan(emptyNs);
  }
  expect(readdirSync(folder)).toEqual(["stage.ts"]);
});

test("what a stage mirrors goes nowhere, and no buffer is lost by it", async () => {
  const source = `definePlugin({ name: "loud", version: "1.0.0" });
@hook("forward") export function copy(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i).mirror(1);
}`;
  expect(await bench(source)).toMatchObject({ code: 0, err: "" });
});

test("a stage that traps ends it with one line", async () => {
  const source = `definePlugin({ name: "broken", version: "1.0.0" });
@hook("forward") export function fail(batch: Batch): void { unreachable(); }`;
  const { code, err } = await bench(source);
  expect(code).toBe(1);
  expect(err).toMatch(/^error: The stage trapped: .*\[trap\]\n$/);
});
