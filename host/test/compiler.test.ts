import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test, vi } from "vitest";
import { SluiceError } from "../src/errors.js";
import { digestOf, textPlacedIn } from "../src/plugins/builder.js";
import { Compiler } from "../src/plugins/compiler.js";
import { Compilers } from "../src/plugins/compilers.js";

vi.setConfig({ testTimeout: 120_000 });

const GOOD = `
import { Batch, definePlugin } from "@sluice/sdk";
definePlugin({ name: "passer", version: "1.2.3" });
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i);
}
`;

const BROKEN = GOOD.replace("batch.at(i)", "batch.att(i)");

/** Has functions, a class and static data of the names and in the places that another source's have. */
const OTHER = `
import { Batch, Counter, definePlugin, DropReason, Settings } from "@sluice/sdk";
definePlugin({ name: "passer", version: "1.2.3" });
@config
class Config { text: string = "static"; }
@unmanaged
class Kept { length: u32; }
const kept = new Settings<Kept>("kept");
const seen = new Counter("seen", "Packets");
@configure
export function build(config: Config): void {
  const made = kept.make();
  if (made != null) made.length = config.text.length;
}
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) {
    seen.add();
    if (batch.at(i).length == kept.value.length) batch.at(i).drop(DropReason.Policy);
  }
}
`;

/** Each instance of the function needs another one. */
const ENDLESS = `
import { Batch } from "@sluice/sdk";
function again<T>(value: T): void { again<Array<T>>([value]); }
@hook("forward")
export function process(batch: Batch): void { again<i32>(batch.length); }
`;

async function problem(compiler: Compiler | Compilers, source: string) {
  const error = await compiler.compile({ source }).catch((reason) => reason);
  if (!(error instanceof SluiceError)) throw error;
  return error.problems;
}

/** Ids of the compiler's processes that are left. */
function compilers(): string[] {
  const tasks = `/proc/${process.pid}/task`;
  const children = readdirSync(tasks).flatMap((task) => readFileSync(`${tasks}/${task}/children`, "utf8").split(" "));
  return children.filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("compile-child"));
}

const GENEROUS = { timeMs: 100_000, memoryMb: 1024 };

describe("a source", () => {
  const compiler = new Compiler(GENEROUS);
  afterAll(async () => {
    await compiler.close();
    expect(compilers()).toEqual([]);
  });

  test("becomes a module, the same each time, whatever was compiled before", async () => {
    const sources = [GOOD, OTHER, GOOD, BROKEN, GOOD];
    const results = await Promise.allSettled(sources.map((source) => compiler.compile({ source })));
    const digests = results.map((result) => (result.status === "fulfilled" ? result.value.digest : undefined));
    const [first] = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(first?.manifest).toMatchObject({ name: "passer", version: "1.2.3", hooks: ["forward"] });
    expect(digests).toEqual([first?.digest, expect.any(String), first?.digest, undefined, first?.digest]);
    expect(digests[1]).not.toBe(digests[0]);
    expect(first?.digest).toBe(digestOf(first?.wasm ?? new Uint8Array()));
    expect(compilers()).toHaveLength(1); // kept for the next one
  });

  test("that is wrong is refused, with the place", async () => {
    const problems = await problem(compiler, BROKEN);
    expect(problems[0]).toMatchObject({
      code: "plugin-build-failed",
      path: expect.stringMatching(/^plugin\.ts:6:\d+$/),
    });
    const [placed] = textPlacedIn("Plugin guard /spec/source/inline", new SluiceError(problems)).problems;
    expect(placed?.path).toMatch(/^Plugin guard \/spec\/source\/inline:6:\d+$/);
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

describe("a compiler that is kept warm", () => {
  const compiler = new Compiler(GENEROUS);
  afterAll(async () => {
    await compiler.close();
    expect(compilers()).toEqual([]);
  });
  const running = () => vi.waitUntil(() => compilers().length === 1, { timeout: 60_000 });

  test("runs before anything is asked for", async () => {
    await compiler.warmUp();
    expect(compilers()).toHaveLength(1);
  });

  test("is another one after a source that is wrong, without being asked for", async () => {
    const [before] = compilers();
    await problem(compiler, BROKEN);
    await running();
    expect(compilers()).not.toEqual([before]);
    expect((await compiler.compile({ source: GOOD })).manifest.name).toBe("passer");
  });
});

describe("a source that the compiler can't finish", () => {
  test("is given up after its time", async () => {
    const [found] = await problem(new Compiler({ timeMs: 3000, memoryMb: 16_384 }), ENDLESS);
    expect(found).toMatchObject({ code: "compile-time", path: "plugin.ts" });
    expect(found?.message).toContain("not compiled within 3 s");
    expect(compilers()).toEqual([]);
  });

  test("is given up at its memory, and the next one is compiled", async () => {
    const compiler = new Compiler({ ...GENEROUS, memoryMb: 260 });
    const bad = problem(compiler, ENDLESS);
    const good = compiler.compile({ source: GOOD });
    expect((await bad)[0]?.code).toMatch(/^compile-(memory|crashed)$/);
    expect((await good).manifest.name).toBe("passer");
    await compiler.close();
  });

  test("holds up no others: it is tried again beside them, and is known from then on", async () => {
    const both = new Compilers({ timeMs: 100_000, memoryMb: 16_384 });
    const given: string[] = [];
    const compile = (source: string, name: string) =>
      problem(both, source).then(([found]) => {
        given.push(name);
        return found;
      });
    const endless = compile(ENDLESS, "endless");
    expect((await compile(BROKEN, "mistaken"))?.code).toBe("plugin-build-failed");
    const again = compile(ENDLESS, "again");
    expect((await compile(BROKEN, "another"))?.code).toBe("plugin-build-failed");
    expect(given).toEqual(["mistaken", "another"]);
    expect(compilers()).toHaveLength(1);
    await both.close();
    for (const each of await Promise.all([endless, again])) expect(each?.code).toBe("compile-crashed");
    expect(compilers()).toEqual([]);
  });
});
