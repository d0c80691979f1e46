import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BuildError, buildPlugin, type Diagnostic, inspectModule, readManifest } from "@sluice/sdk/build";
import { ipv4, NodeStage, packetHex, runRows, udp } from "@sluice/sdk/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "./support.js";

const LIMIT = 120_000;
const head = 'import { Batch, Counter, dropReason, LpmTable, Packet, definePlugin } from "@sluice/sdk";\n';
const hook = '@hook("forward")\nexport function process(batch: Batch): void {\n';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-sdk-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("a plugin's module", () => {
  test(
    "has the manifest that the source says",
    async () => {
      const { wasm, manifest, digest, warnings } = await buildPlugin({ entry: fixture("access") });
      expect(manifest).toEqual({
        abi: 1,
        name: "access",
        version: "1.0.0",
        hooks: ["forward"],
        headerBytes: 64,
        writes: true,
        settles: false,
        flowState: { size: 16, schema: 3 },
        migratesFrom: [],
        counters: ["calls", "packets"],
        gauges: [],
        histograms: [],
        traceValues: [],
        dropReasons: ["too-old"],
        segmentBytes: 0,
        failure: "FailOpen",
        configSchema: null,
        help: { calls: "Calls of process", "too-old": "Seen too late" },
      });
      expect(readManifest(wasm)).toEqual(manifest);
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      expect(warnings).toEqual([]);
    },
    LIMIT,
  );

  test(
    "is the same each time",
    async () => {
      const entry = fixture("access");
      expect((await buildPlugin({ entry })).digest).toBe((await buildPlugin({ entry })).digest);
    },
    LIMIT,
  );

  test(
    "is made of files anywhere on disk; hooks, counters and migrations in any of them",
    async () => {
      const counters = `import { Counter } from "@sluice/sdk";\nexport const hits = new Counter("hits");\n`;
      const main = `${head}import { hits } from "./counters";
@unmanaged @flowState(2) class State { packets: u32; }
@hook("prerouting") function first(batch: Batch): void { hits.add(batch.length); }
@hook("postrouting") function last(batch: Batch): void { batch.at(0).updateFlow<State>().packets = 1; }
@migrate(1) function fromFirst(batch: Batch): void { batch.at(0).updateFlow<State>().packets = 9; }
`;
      await writeFile(join(folder, "counters.ts"), counters);
      await writeFile(join(folder, "main.ts"), main);
      await writeFile(
        join(folder, "package.json"),
        JSON.stringify({ name: "@example/plugin-two-files", version: "2.1.0" }),
      );
      const { wasm, manifest } = await buildPlugin({ entry: join(folder, "main.ts") });
      expect(manifest).toMatchObject({
        name: "two-files",
        version: "2.1.0",
        hooks: ["prerouting", "postrouting"],
        counters: ["hits"],
        migratesFrom: [1],
        flowState: { size: 4, schema: 2 },
        writes: false,
      });
      expect(inspectModule(wasm)).toMatchObject({ hasMigrate: true, hasConfigure: false });
    },
    LIMIT,
  );

  test(
    "counts and drops",
    async () => {
      const source = `${head}const seen = new Counter("seen");\nconst odd = dropReason("odd-port");\n${hook}
  for (let i = 0, n = batch.length; i < n; i++) {
    seen.add();
    if (batch.at(i).destinationPort & 1) batch.at(i).drop(odd);
  }\n}`;
      const stage = new NodeStage((await buildPlugin({ source, name: "odd" })).wasm);
      const packets = [80, 81].map((port) => ({
        in: packetHex(
          ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
          udp({ sourcePort: 1, destinationPort: port }),
        ),
        expect: { verdict: "pass" as const },
      }));
      const result = await stage.run({ name: "", hook: "forward", packets });
      expect(result.counters).toEqual({ seen: 2 });
      expect(result.packets.map((each) => each.reason)).toEqual([undefined, "odd-port"]);
    },
    LIMIT,
  );

  test(
    "of the README does what its row says",
    async () => {
      const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
      const [source = ""] = readme
        .split(/```ts[^\n]*\n/)
        .slice(1)
        .map((block) => block.split("```")[0]);
      const stage = new NodeStage((await buildPlugin({ source })).wasm);
      const from = (address: string) =>
        packetHex(ipv4({ source: address, destination: "192.0.2.1" }), udp({ sourcePort: 1, destinationPort: 80 }));
      const [report] = await runRows(stage, [
        {
          name: "a denied source",
          hook: "forward",
          config: { deny: ["10.0.0.0/8"] },
          packets: [
            { in: from("10.0.0.1"), expect: { verdict: "drop", reason: "policy" } },
            { in: from("11.0.0.1"), expect: { verdict: "pass", out: "same" } },
          ],
          counters: { denied_packets: 1 },
        },
      ]);
      expect(stage.manifest).toMatchObject({ name: "denylist", writes: false });
      expect(report?.failures).toEqual([]);
    },
    LIMIT,
  );

  test(
    "takes what only the author can say of a configuration from the source",
    async () => {
      const schema = `{ type: "object", required: ["a"], properties: { a: { type: "integer", minimum: -1 }, "$b": { "enum": [true, null, 1.5] } } }`;
      const config = `@config class C { @schema(${schema}) all: Json | null = null; }\n@configure function build(config: C): void {}\n`;
      const source = `import { Json } from "@sluice/sdk";\n${head}${config}${hook}}`;
      const { manifest } = await buildPlugin({ source, name: "schema", version: "0.1.0" });
      const properties = { a: { type: "integer", minimum: -1 }, $b: { enum: [true, null, 1.5] } };
      expect(manifest).toMatchObject({
        ...{ name: "schema", version: "0.1.0", segmentBytes: 1 << 20 },
        configSchema: { type: "object", properties: { all: { type: "object", required: ["a"], properties } } },
      });
    },
    LIMIT,
  );
});

const rows: [string, string, Partial<Diagnostic>][] = [
  ["a syntax error", `${head}${hook}`, { code: "AS1126", file: "plugin.ts", line: 3 }],
  ["a name that is not imported", `${head}${hook}  foo();\n}`, { code: "AS2304", line: 4, column: 3 }],
  ["a file that there is not", `import { a } from "./nothing";\n${head}${hook}}`, { code: "AS6054", line: 1 }],
  [
    "a closure",
    `${head}${hook}  let n = 1;\n  const f = (): i32 => n;\n  f();\n}`,
    { code: "AS100", line: 5, remedy: expect.stringContaining("no closures") },
  ],
  ["no hook", `${head}export function process(batch: Batch): void {}`, { code: "hook" }],
  [
    "a hook that there is not",
    `${head}@hook("ingress") function f(batch: Batch): void {}`,
    { code: "hook", line: 2, message: 'There is no hook "ingress"', remedy: expect.stringContaining("prerouting") },
  ],
  [
    "two functions for a hook",
    `${head}${hook}}\n@hook("forward") function again(batch: Batch): void {}`,
    { code: "hook", line: 5 },
  ],
  [
    "a hook with other parameters",
    `${head}@hook("forward") function f(hook: i32, batch: Batch): void {}`,
    { code: "signature", line: 2 },
  ],
  [
    "a hook that takes something else",
    `${head}@hook("forward") function f(packet: Packet): void {}`,
    { code: "signature", line: 2, column: 37, message: "The function's parameter is 'Packet', not the SDK's Batch" },
  ],
  [
    "a string made on the packet path",
    `${head}function label(n: i32): string { return n.toString(); }\n${hook}  if (label(batch.length).length > 3) batch.at(0).pass();\n}`,
    {
      code: "allocation",
      file: "plugin.ts",
      line: 2,
      message: expect.stringContaining("'label' allocates memory, and process can reach it: process -> label -> "),
    },
  ],
  [
    "an object made on the packet path",
    `${head}class Point { x: i32 = 1; }\n${hook}  batch.at(0).mark = new Point().x + batch.length;\n}`,
    { code: "allocation", line: 5, column: 22, message: expect.stringContaining("process -> Point#constructor") },
  ],
  [
    "an array that grows on the packet path, through a method",
    `${head}const all = new Array<i32>();\nclass Log { static add(n: i32): void { all.push(n); } }\n${hook}  Log.add(batch.length);\n}`,
    { code: "allocation", message: expect.stringContaining("Array<i32>#push") },
  ],
  [
    "a counter made on the packet path",
    `${head}${hook}  new Counter("late").add();\n}`,
    { code: "allocation", line: 4 },
  ],
  [
    "two counters of a name",
    `${head}const a = new Counter("x");\nconst b = new Counter("x");\n${hook}  a.add();\n}`,
    { code: "counter", line: 3 },
  ],
  [
    "a counter's name that is computed",
    `${head}const a = new Counter("x" + "y");\n${hook}  a.add();\n}`,
    { code: "literal", line: 2 },
  ],
  [
    "a drop reason's name with capitals",
    `${head}const a = dropReason("Bad");\n${hook}  batch.at(0).drop(a);\n}`,
    { code: "drop-reason", line: 2 },
  ],
  [
    "tables that nothing fills",
    `${head}const t = new LpmTable("t");\n${hook}  t.lookup4(1);\n}`,
    { code: "configure" },
  ],
  [
    "a flow state that is too large",
    `${head}@unmanaged @flowState(1) class S { a: StaticArray<u8>; ${Array.from({ length: 8 }, (_, i) => `f${i}: u64;`).join(" ")} }\n${hook}  batch.at(0).updateFlow<S>().f0 = 1;\n}`,
    { code: "manifest", line: 2, message: 'The plugin\'s flowState is {"size":72,"schema":1}' },
  ],
  [
    "a flow state that is not marked",
    `${head}@unmanaged class S { a: u32; }\n${hook}  batch.at(0).updateFlow<S>().a = 1;\n}`,
    { code: "flow-state", message: expect.stringContaining("'plugin/S'") },
  ],
  [
    "a flow state that the garbage collector would manage",
    `${head}@flowState(1) class S { a: u32; }\n${hook}  batch.at(0).updateFlow<S>().a = 1;\n}`,
    { code: "flow-state", line: 2 },
  ],
  [
    "a flow state that is not used",
    `${head}@unmanaged @flowState(1) class S { a: u32; }\n${hook}}`,
    { code: "flow-state", line: 2 },
  ],
  [
    "a decorator that there is not",
    `${head}@hok("forward") function f(batch: Batch): void {}\n${hook}}`,
    { code: "decorator", line: 2, column: 1, message: 'There is no decorator @hok (did you mean "hook"?)' },
  ],
  [
    "a hook on a class",
    `${head}@hook("forward") class F {}\n${hook}}`,
    { code: "decorator", line: 2, remedy: "Put it above a function at a file's top level" },
  ],
  [
    "a hook on a method",
    `${head}class F {\n  @hook("forward") run(batch: Batch): void {}\n}\n${hook}}`,
    { code: "decorator", line: 3, column: 3, message: "@hook cannot stand here" },
  ],
  [
    "a hook in a namespace",
    `${head}namespace N { @hook("forward") export function f(batch: Batch): void {} }\n${hook}}`,
    { code: "decorator", line: 2 },
  ],
  [
    "a flow state's mark on a function",
    `${head}@flowState(1) function f(): void {}\n${hook}}`,
    { code: "decorator", line: 2, remedy: "Put it above a class at a file's top level" },
  ],
  [
    "a configuration's rule outside of one",
    `${head}class F {\n  @minimum(1) a: u32 = 1;\n}\n${hook}}`,
    { code: "decorator", line: 3, remedy: "Put it above a field of a class marked @config" },
  ],
  [
    "a hook's name that is nearly right",
    `${head}@hook("foward") function f(batch: Batch): void {}`,
    { code: "hook", message: 'There is no hook "foward" (did you mean "forward"?)' },
  ],
  ["a hook without a name", `${head}@hook function f(batch: Batch): void {}`, { code: "hook", line: 2 }],
  [
    "a hook that returns something",
    `${head}@hook("forward") function f(batch: Batch): i32 { return 1; }`,
    { code: "signature", line: 2, message: "The function returns 'i32'" },
  ],
  [
    "two functions that configure",
    `${head}@config class C { a: u32; }\n@configure function a(c: C): void {}\n@configure function b(c: C): void {}\n${hook}}`,
    { code: "configure", line: 4 },
  ],
  [
    "a schema beside the class",
    `${head}definePlugin({ configSchema: { type: "object" } });\n${hook}}`,
    { code: "plugin", line: 2, remedy: expect.stringContaining("@config") },
  ],
  ["an empty text", "", { code: "hook", file: "plugin.ts", line: 1 }],
  ["what is no text of a program", "\u0000\u0001", { code: "AS1127", file: "plugin.ts", line: 1 }],
  ["a text that never ends", `${head}const a = "`, { code: "AS1002", file: "plugin.ts", line: 2 }],
  [
    "a setting that definePlugin does not know",
    `${head}definePlugin({ nam: "x" });\n${hook}}`,
    { code: "plugin", line: 2, message: 'definePlugin() does not know nam (did you mean "name"?)' },
  ],
  [
    "a setting out of range",
    `${head}definePlugin({ headerBytes: 1000 });\n${hook}}`,
    { code: "manifest", line: 2, remedy: "It must be 40 to 320" },
  ],
  [
    "a setting that is computed",
    `${head}const n = 64;\ndefinePlugin({ headerBytes: n });\n${hook}}`,
    { code: "literal", line: 3, column: 29 },
  ],
  [
    "randomness that needs the host",
    `${head}${hook}  if (Math.random() > 0.5) batch.at(0).pass();\n}`,
    { code: "imports", remedy: expect.stringContaining("random()") },
  ],
  [
    "static data that leaves no room",
    `${head}const big = memory.data(9000000);\n${hook}  store<u8>(big, 1);\n}`,
    { code: "data" },
  ],
];
describe("a source that is no plugin is refused, with the place and a remedy", () => {
  test.each(rows)(
    "%s",
    async (_name, source, expected) => {
      const error: unknown = await buildPlugin({ source, name: "wrong" }).catch((caught: unknown) => caught);
      if (!(error instanceof BuildError)) throw error;
      expect(error.diagnostics).toContainEqual(expect.objectContaining({ severity: "error", ...expected }));
      // The compiler's own may follow from each other.
      const own = error.diagnostics.filter(({ code }) => !code.startsWith("AS"));
      expect(own.length).toBe(expected.code?.startsWith("AS") === false ? 1 : 0);
    },
    LIMIT,
  );

  test("a file that cannot be read", async () => {
    await mkdir(join(folder, "folder.ts"), { recursive: true });
    await expect(buildPlugin({ entry: join(folder, "folder.ts") })).rejects.toThrow(
      /^folder\.ts: The file cannot be read: EISDIR/,
    );
    await expect(buildPlugin({ entry: join(folder, "nothing.ts") })).rejects.toThrow(
      /^nothing\.ts: The file cannot be read: ENOENT/,
    );
  });

  test(
    "a package.json that is none",
    async () => {
      await mkdir(join(folder, "broken"), { recursive: true });
      await writeFile(join(folder, "broken/package.json"), "{");
      await writeFile(join(folder, "broken/index.ts"), `${head}${hook}}`);
      await expect(buildPlugin({ entry: join(folder, "broken/index.ts") })).rejects.toThrow(
        /The package\.json cannot be read/,
      );
    },
    LIMIT,
  );

  test(
    "a compiler that takes too long is stopped, and the next build works",
    async () => {
      const source = `${head}${hook}}`;
      await expect(buildPlugin({ source, timeoutMs: 1 })).rejects.toThrow(
        "the compiler crashed: it did not end within 0.001 s",
      );
      expect((await buildPlugin({ source })).manifest.hooks).toEqual(["forward"]);
    },
    LIMIT,
  );

  test(
    "a text without a place on disk can import the SDK only",
    async () => {
      const source = `${head}import { x } from "./${"../".repeat(20)}etc/x";\n${hook}  x();\n}`;
      await expect(buildPlugin({ source, name: "alone" })).rejects.toThrow("not found");
    },
    LIMIT,
  );

  test(
    "builds asked for at once do not disturb each other",
    async () => {
      const good = `${head}${hook}  batch.at(0).pass();\n}`;
      const outcomes = await Promise.allSettled(
        [good, "?", good, hook].map((source) => buildPlugin({ source, name: "at-once" })),
      );
      expect(outcomes.map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled", "rejected"]);
    },
    LIMIT,
  );
});
