import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { CommandError } from "../errors.js";
import { CommandExit, example, type Io } from "../shell.js";
import { runProgram } from "../signals.js";

/** Any of these in the project is used instead of the SDK's. */
const CONFIGS = ["vitest.config", "vite.config"].flatMap((name) =>
  ["ts", "mts", "cts", "js", "mjs", "cjs"].map((extension) => `${name}.${extension}`),
);

export function addTest(program: Command, _io: Io): void {
  const command = program
    .command("test")
    .summary("run the project's tests")
    .description(
      "Run the project's tests (test/**/*.test.ts) once with its vitest. With a vitest.config.ts the project's settings hold.",
    )
    .argument("[args...]", "passed on to vitest, after --")
    .action(async (args: string[]) => {
      const project = process.cwd();
      const hasConfig = CONFIGS.some((name) => existsSync(join(project, name)));
      const own = hasConfig ? [] : ["--config", fileURLToPath(new URL("../vitest-config.js", import.meta.url))];
      const code = await runProgram(
        process.execPath,
        [vitestOf(project), "run", "--root", project, ...own, ...args],
        process.env,
      );
      if (code !== 0) throw new CommandExit(code);
    });
  example(command, "sluice-plugin test -- --reporter=verbose -t drops", 'the tests with "drops" in their names');
}

/** The program of the vitest that the project has installed. Throws CommandError. */
function vitestOf(project: string): string {
  const require = createRequire(resolve(project, "package.json"));
  try {
    const path = require.resolve("vitest/package.json");
    const { bin } = JSON.parse(readFileSync(path, "utf8")) as { bin: { vitest: string } };
    return join(dirname(path), bin.vitest);
  } catch (error) {
    const remedy = "In the project's folder: npm install; or: npm install --save-dev vitest";
    throw new CommandError("no-vitest", "vitest is not installed here", remedy, project, { cause: error });
  }
}
