import { readFileSync } from "node:fs";
import { join } from "node:path";
import { embedManifest, type Manifest, readManifest } from "@sluice/sdk/build";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { root } from "../support/dataplane.js";
import { MANIFEST } from "../support/modules.js";

// sdk/abi/manifest.schema.json says what readManifest takes.

const schema = JSON.parse(readFileSync(join(root, "sdk/abi/manifest.schema.json"), "utf8")) as object;
const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** What is wrong with a manifest in a module, by the SDK. */
function problem(manifest: object): string | undefined {
  try {
    readManifest(embedManifest(EMPTY, manifest as Manifest));
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

const good: [string, object][] = [
  ["the least", {}],
  ["flow state", { flowState: { size: 64, schema: 2 }, migratesFrom: [1] }],
  [
    "every metric",
    { counters: ["a"], gauges: ["b"], histograms: [{ name: "c", bounds: [1, 10] }], traceValues: ["d"] },
  ],
  ["drop reasons and help", { dropReasons: ["too-old"], help: { "too-old": "why" } }],
  ["every hook", { hooks: ["prerouting", "forward", "postrouting", "input", "output"] }],
];
const bad: [string, object][] = [
  ["another ABI", { abi: 2 }],
  ["a name with capitals", { name: "Guard" }],
  ["a version of two numbers", { version: "1.0" }],
  ["no hook", { hooks: [] }],
  ["an unknown hook", { hooks: ["ingress"] }],
  ["a hook twice", { hooks: ["input", "input"] }],
  ["too few header bytes", { headerBytes: 39 }],
  ["too many header bytes", { headerBytes: 321 }],
  ["writes that is no boolean", { writes: 1 }],
  ["flow state of 65 bytes", { flowState: { size: 65, schema: 1 } }],
  ["flow state without a schema", { flowState: { size: 8 } }],
  ["a migration from schema 0", { flowState: { size: 8, schema: 2 }, migratesFrom: [0] }],
  ["a counter twice", { counters: ["a", "a"] }],
  ["a counter with a dash", { counters: ["a-b"] }],
  ["a gauge twice", { gauges: ["a", "a"] }],
  ["a histogram without bounds", { histograms: [{ name: "c", bounds: [] }] }],
  ["a drop reason with a space", { dropReasons: ["too old"] }],
  ["a segment that is no multiple of 65536", { segmentBytes: 100 }],
  ["an unknown failure strategy", { failure: "Retry" }],
];

describe("both take", () => {
  test.each(good)("%s", (_name, change) => {
    expect(validate({ ...MANIFEST, ...change }), JSON.stringify(validate.errors)).toBe(true);
    expect(problem({ ...MANIFEST, ...change })).toBeUndefined();
  });
});

describe("both refuse", () => {
  test.each(bad)("%s", (_name, change) => {
    expect(validate({ ...MANIFEST, ...change })).toBe(false);
    expect(problem({ ...MANIFEST, ...change })).toBeDefined();
  });
});
