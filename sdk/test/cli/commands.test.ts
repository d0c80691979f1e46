import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inspectModule } from "@sluice/sdk/build";
import type { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { createProgram } from "../../dist/cli/main.js";
import { makeModule } from "../modules.js";
import { COMMAND, plugin, run, source, testFolder } from "./support.js";

const { path, write } = testFolder();
const program: Command = createProgram({ out: () => undefined, err: () => undefined });
const commands = program.commands.map((command) => command.name());
let wasm: string;
let entry: string;

beforeAll(async () => {
  wasm = await write("made.wasm", makeModule({ imports: [["env", "abort", 0, [2]]] }));
  entry = await write("quiet/index.ts", source());
});

describe("help", () => {
  test("names all commands", () => {
    expect(commands).toEqual(["new", "build", "test", "run", "bench", "inspect", "embed", "push"]);
  });

  test.each([[], ...commands.map((name) => [name])])(
    "of %s has an example and fits in 80 columns",
    async (...words) => {
      const { code, out, err } = await plugin(...words, "--help");
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toContain("\nExample:\n  $ sluice-plugin ");
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    },
  );
});

/** Command line (files in the test's folder as @name), exit code, what stderr begins with. Nothing is written to stdout. */
const WRONG: [args: string[], code: number, err: string][] = [
  [["biuld"], 2, "error: unknown command 'biuld'\n(Did you mean build?)"],
  [["build", "--relase"], 2, "error: unknown option '--relase'"],
  [
    ["build", "@absent.ts"],
    1,
    "error: @absent.ts: cannot be read: no such file or directory. Give a file that exists [cannot-read]",
  ],
  [["build", "@made.wasm"], 1, "error: @made.wasm: is a built module. Give the plugin's main .ts file [not-source]"],
  [["build", "@no-hook.ts"], 1, "error: @no-hook.ts:1:1: The plugin has no hook. Mark a function: @hook("],
  [["build", "@unknown-hook.ts"], 1, "error: @unknown-hook.ts:3:1: "],
  [["build", "@typo.ts"], 1, "error: @typo.ts:3:70: "],
  [["build", "@quiet/index.ts", "-o", "@made.wasm/out.wasm"], 1, "error: @made.wasm/out.wasm: cannot be written: "],
  [["inspect"], 2, "error: missing required argument 'file.wasm'"],
  [["inspect", "@absent.wasm"], 1, "error: @absent.wasm: cannot be read: no such file or directory."],
  [["inspect", "@empty.wasm"], 1, "error: @empty.wasm: The module is not valid WebAssembly: "],
  [["inspect", "@bare.wasm"], 1, "error: @bare.wasm: The module has no custom section 'sluice.manifest'. "],
  [
    ["inspect", "@other-abi.wasm"],
    1,
    "error: @other-abi.wasm: The module is for ABI 99, this is ABI 1. Build it with the SDK of ABI 1 [abi-version]",
  ],
  [["inspect", "@made.wasm", "-o", "yaml"], 2, "error: option '-o, --output <format>' argument 'yaml' is invalid."],
  [["embed", "@bare.wasm"], 2, "error: required option '--manifest <file.json>' not specified"],
  [["embed", "@bare.wasm", "--manifest", "@absent.json"], 1, "error: @absent.json: cannot be read: "],
  [["embed", "@bare.wasm", "--manifest", "@broken.json"], 1, "error: @broken.json: is not JSON: "],
  [["embed", "@bare.wasm", "--manifest", "@list.json"], 1, "error: @list.json: "],
  [
    ["embed", "@bare.wasm", "--manifest", "@no-hooks.json"],
    1,
    "error: @no-hooks.json: The manifest's hooks is []. It must be one or more of ",
  ],
  [
    ["embed", "@made.wasm", "--manifest", "@good.json"],
    1,
    "error: @made.wasm: The module has a manifest already. Give one without [manifest]",
  ],
  [["bench", "@made.wasm", "--hook", "input"], 1, "error: made has no hook input. Its hooks are forward [hook]"],
  [["bench", "@made.wasm", "--hook", "egress"], 2, "error: option '--hook <hook>' argument 'egress' is invalid."],
  [["bench", "@made.wasm", "--only", "node", "--config", "@broken.json"], 1, "error: @broken.json:1:2: "],
  [
    ["bench", "@made.wasm", "--only", "node", "--config", "@list.json"],
    1,
    "error: the stage takes no configuration: it has no configure.",
  ],
];

describe("wrong input is one line with the place and what to do", () => {
  beforeAll(async () => {
    const bare = makeModule({ manifest: null });
    await write("bare.wasm", bare);
    await write("empty.wasm", "");
    await write("other-abi.wasm", makeModule({ manifest: { abi: 99 } }));
    await write("no-hook.ts", source(""));
    await write("unknown-hook.ts", source('@hook("egress") export function nothing(batch: Batch): void {}'));
    await write("typo.ts", source('@hook("forward") export function nothing(batch: Batch): void { batch.lenght; }'));
    await write("broken.json", "{");
    await write("list.json", "[]");
    const { manifest } = inspectModule(makeModule());
    await write("good.json", JSON.stringify(manifest));
    await write("no-hooks.json", JSON.stringify({ ...manifest, hooks: [] }));
  });

  test.each(WRONG)("%s", async (args, code, start) => {
    const inFolder = (text: string) => text.replaceAll(/@(?=[a-z-]+[./])/g, `${path("")}/`);
    const output = await plugin(...args.map(inFolder));
    expect({ code: output.code, out: output.out }).toEqual({ code, out: "" });
    expect(output.err.slice(0, inFolder(start).length)).toBe(inFolder(start));
    if (code === 1) expect(output.err.split("\n")).toHaveLength(1);
  });

  test("or one JSON object, when that was asked for", async () => {
    const { code, err } = await plugin("inspect", path("empty.wasm"), "-o", "json");
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ errors: [{ code: "not-wasm", place: path("empty.wasm") }] });
  });
});

describe("build", () => {
  test("writes the module and says what it is", async () => {
    const out = path("build/quiet.wasm");
    const output = await plugin("build", entry, "-o", out);
    expect({ code: output.code, err: output.err }).toEqual({ code: 0, err: "" });
    const bytes = readFileSync(out);
    expect(inspectModule(bytes).manifest).toMatchObject({ name: "quiet", version: "1.2.3", hooks: ["forward"] });
    const lines = Object.fromEntries(output.out.split("\n").map((line) => line.split(/ {2,}/) as [string, string]));
    expect(lines).toMatchObject({ name: "quiet 1.2.3", hooks: "forward", size: `${bytes.length} bytes` });
    expect(lines.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(lines.module).toMatch(/quiet\.wasm, \d+\.\d\d s$/);
  });

  test("of assembly/index.ts writes build/<name>.wasm, where the command runs", async () => {
    await write("project/assembly/index.ts", source());
    expect(await run(path("project"), [COMMAND, "build"])).toMatchObject({ code: 0, err: "" });
    expect(inspectModule(readFileSync(path("project/build/quiet.wasm"))).manifest.name).toBe("quiet");
  });

  test("names a mistake's place as seen from where the command runs", async () => {
    await write(
      "wrong/assembly/index.ts",
      source('@hook("forward") export function nothing(batch: Batch): void { batch.lenght; }'),
    );
    const { code, err } = await run(path("wrong"), [COMMAND, "build"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: assembly\/index\.ts:3:\d+: /);
  });
});

describe("inspect", () => {
  test("shows the manifest, sizes and imports in 80 columns", async () => {
    const { out } = await plugin("inspect", wasm);
    for (const text of [
      "made 1.0.0, ABI 1",
      "forward",
      "env.abort",
      "process, sluice_abi_version, memory",
      "sluice.manifest",
    ]) {
      expect(out).toContain(text);
    }
    const help = {
      denied: "Packets from networks that the configuration denies, of both families and of all protocols",
    };
    const talkative = await write("talkative.wasm", makeModule({ manifest: { counters: ["denied"], help } }));
    const more = (await plugin("inspect", talkative)).out;
    expect(more).toMatch(/^counter +denied +Packets from networks .*…$/m);
    const lines = `${out}\n${more}`.split("\n").filter((line) => !line.includes(path("")));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("as JSON shows all of it", async () => {
    const { out } = await plugin("inspect", wasm, "-o", "json");
    const bytes = readFileSync(wasm);
    expect(JSON.parse(out)).toMatchObject({
      file: wasm,
      size: bytes.length,
      digest: createHash("sha256").update(bytes).digest("hex"),
      imports: ["env.abort"],
      exports: [{ name: "process" }, { name: "sluice_abi_version" }, { name: "memory" }],
      manifest: { name: "made", hooks: ["forward"] },
    });
  });
});

test("embed gives a bare module its manifest", async () => {
  const bare = await write("code.wasm", makeModule({ manifest: null }));
  const manifest = { ...inspectModule(makeModule()).manifest, name: "from-c" };
  const file = await write("manifest.json", JSON.stringify(manifest));
  const { code, out } = await plugin("embed", bare, "--manifest", file, "-o", path("embedded.wasm"));
  expect(code).toBe(0);
  expect(out).toContain("from-c 1.0.0");
  expect(inspectModule(readFileSync(path("embedded.wasm"))).manifest).toEqual(manifest);
  expect(readFileSync(bare).equals(makeModule({ manifest: null }))).toBe(true);
});

describe("bench", () => {
  test("measures a stage beside an empty one: counting each byte of 64 costs more than nothing", async () => {
    const body = `const bytes = new Counter("bytes");
@hook("forward") export function add(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) {
    const packet = batch.at(i);
    for (let at: u32 = 0; at < 40; at++) bytes.add(packet.u8At(at));
  }
}`;
    const busy = await write("busy.ts", source(body).replace("Batch,", "Batch, Counter,"));
    const { code, out, err } = await plugin("bench", busy, "--only", "node", "-o", "json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { name, hook, figures } = JSON.parse(out);
    expect({ name, hook }).toEqual({ name: "quiet", hook: "forward" });
    expect(figures.map((each: { where: string; burst: number }) => [each.where, each.burst])).toEqual([
      ["Node", 32],
      ["Node", 256],
    ]);
    for (const { emptyNs, stageNs } of figures) {
      expect(emptyNs).toBeGreaterThan(0);
      expect(stageNs - emptyNs).toBeGreaterThan(5); // 40 dependent additions
    }
  });

  test("of a stage that does not return says so", async () => {
    const loop = await write(
      "loop.ts",
      source('@hook("forward") export function spin(batch: Batch): void { while (batch.length > 0) {} }'),
    );
    const { code, err } = await plugin("bench", loop, "--only", "node");
    expect(code).toBe(1);
    expect(err).toMatch(/^error: The stage trapped: the stage did not return within 5000 ms.*\[trap\]$/);
  });

  test("of a stage that traps says so", async () => {
    const trap = await write(
      "trap.ts",
      source('@hook("forward") export function nothing(batch: Batch): void { batch.at(0).u8At(9999); }'),
    );
    const { code, err } = await plugin("bench", trap, "--only", "node");
    expect(code).toBe(1);
    expect(err).toMatch(/^error: The stage trapped: .*\[trap\]$/);
  });
});
