import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test, vi } from "vitest";
import { SluiceError } from "../src/errors.js";
import { digestOf } from "../src/plugins/builder.js";
import { Compiler } from "../src/plugins/compiler.js";

vi.setConfig({ testTimeout: 120_000 });

const GOOD = `
import { Batch, definePlugin } from "@sluice/sdk";
definePlugin({ name: "passer", version: "1.2.3" });
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i);
}
`;

/** Each instance of the function needs another one. */
const ENDLESS = `
import { Batch } from "@sluice/sdk";
function again<T>(value: T): void { again<Array<T>>([value]); }
@hook("forward")
export function process(batch: Batch): void { again<i32>(batch.length); }
`;

async function problem(compiler: Compiler, source: string) {
  const error = await compiler.compile({ source, name: "guard" }).catch((reason) => reason);
  if (!(error instanceof SluiceError)) throw error;
  return error.problems;
}

/** Processes of the compiler that are left. */
function compilers(): string[] {
  const tasks = `/proc/${process.pid}/task`;
  const children = readdirSync(tasks).flatMap((task) => readFileSync(`${tasks}/${task}/children`, "utf8").split(" "));
  const commands = children.filter((pid) => pid !== "").map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  return commands.filter((command) => command.includes("compile-child"));
}

const GENEROUS = { timeMs: 100_000, memoryMb: 1024 };

describe("a source", () => {
  const compiler = new Compiler(GENEROUS);
  afterAll(async () => {
    await compiler.close();
    expect(compilers()).toEqual([]);
  });

  test("becomes a module, the same each time", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => compiler.compile({ source: GOOD, name: "guard" })));
    expect(first?.manifest).toMatchObject({ name: "passer", version: "1.2.3", hooks: ["forward"] });
    expect(first?.digest).toBe(digestOf(first?.wasm ?? new Uint8Array()));
    expect(second?.digest).toBe(first?.digest);
    expect(compilers()).toHaveLength(1); // kept for the next one
  });

  test("that is wrong is refused, with the place", async () => {
    const [found] = await problem(compiler, GOOD.replace("batch.at(i)", "batch.att(i)"));
    expect(found).toMatchObject({ code: "plugin-build-failed", path: expect.stringMatching(/:6:\d+$/) });
  });

  const BAD: [what: string, source: string, expected: string][] = [
    ["a file", `import { a } from "./secret";\n${GOOD}`, "secret"],
    [
      "from the host",
      GOOD.replace("batch.at(i)", "system()").replace(
        "@hook",
        '@external("env", "system")\ndeclare function system(): void;\n@hook',
      ),
      "env.system",
    ],
  ];
  test.each(BAD)("that imports %s is refused", async (_, source, expected) => {
    expect((await problem(compiler, source))[0]?.message).toContain(expected);
  });
});

describe("a source that the compiler can't finish", () => {
  test("is given up after its time", async () => {
    const [found] = await problem(new Compiler({ timeMs: 3000, memoryMb: 16_384 }), ENDLESS);
    expect(found).toMatchObject({ code: "compile-time", path: "guard.ts" });
    expect(found?.message).toContain("not compiled within 3 s");
    expect(compilers()).toEqual([]);
  });

  test("is given up at its memory, and the next one is compiled", async () => {
    const compiler = new Compiler({ ...GENEROUS, memoryMb: 260 });
    const bad = problem(compiler, ENDLESS);
    const good = compiler.compile({ source: GOOD, name: "guard" });
    expect((await bad)[0]?.code).toMatch(/^compile-(memory|crashed)$/);
    expect((await good).manifest.name).toBe("passer");
    await compiler.close();
  });
});
