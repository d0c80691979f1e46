import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { symlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, run, testFolder } from "./support.js";

const { path, write } = testFolder();
const modules = fileURLToPath(new URL("../../../node_modules", import.meta.url));

async function project(name: string, body: string): Promise<string> {
  await write(`${name}/package.json`, JSON.stringify({ type: "module" }));
  await write(`${name}/test/a.test.ts`, `import { expect, test } from "vitest";\n${body}\n`);
  await symlink(modules, path(`${name}/node_modules`));
  return path(name);
}

describe("test", () => {
  test("runs the project's tests; what stands after -- is vitest's", async () => {
    const folder = await project("good", 'test("one", () => {});\ntest("two", () => expect(1).toBe(2));');
    const all = await run(folder, [COMMAND, "test"]);
    expect(all.code).toBe(1);
    expect(all.out + all.err).toMatch(/1 failed.*1 passed/);
    expect(all.err).not.toContain("error: "); // vitest has said it
    const one = await run(folder, [COMMAND, "test", "--", "-t", "one"]);
    expect(one.code).toBe(0);
  });

  test("gives a compilation its time, unless the project has settings of its own", async () => {
    const folder = await project(
      "slow",
      'test("slow", async () => { await new Promise((done) => setTimeout(done, 6000)); });',
    );
    expect((await run(folder, [COMMAND, "test"])).code).toBe(0);
    await write("slow/vitest.config.js", "export default { test: { testTimeout: 100 } };");
    const own = await run(folder, [COMMAND, "test"]);
    expect(own.code).toBe(1);
    expect(own.out + own.err).toContain("timed out in 100ms");
  });

  test("says what to do where vitest is missing", async () => {
    await write("bare/package.json", "{}");
    const { code, err } = await run(path("bare"), [COMMAND, "test"]);
    expect(code).toBe(1);
    expect(err).toContain("vitest is not installed here. In the project's folder: npm install");
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });
});

/** True as long as a process of the group is there. */
function isAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

describe("an interrupted command leaves no process", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await project(
      "endless",
      'test("endless", async () => { console.log("begun"); await new Promise(() => setInterval(() => {}, 1000)); }, 60_000);',
    );
  });

  const begin = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [COMMAND, ...args], { cwd: folder, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const begun = (child: ChildProcess) =>
    new Promise<void>((done) => child.stdout?.on("data", (data: Buffer) => data.includes("begun") && done()));

  test.each([
    ["SIGINT to all, as Ctrl-C does it", true, "SIGINT"],
    ["SIGTERM to the command alone", false, "SIGTERM"],
  ] as const)("%s", async (_name, toAll, signal) => {
    const child = begin("test", "--", "--silent=false", "--disable-console-intercept");
    const group = child.pid as number;
    await begun(child);
    process.kill(toAll ? -group : group, signal);
    const [code, by] = (await once(child, "exit")) as [number | null, string | null];
    expect(by).toBe(null);
    expect(code).not.toBe(0);
    for (let tries = 0; tries < 50 && isAlive(group); tries++) await new Promise((done) => setTimeout(done, 100));
    expect(isAlive(group)).toBe(false);
  });
});
