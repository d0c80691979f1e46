import { Command, CommanderError } from "commander";
import { addBench } from "./commands/bench.js";
import { addBuild } from "./commands/build.js";
import { addEmbed } from "./commands/embed.js";
import { addInspect } from "./commands/inspect.js";
import { addNew } from "./commands/new.js";
import { addPush } from "./commands/push.js";
import { addRun } from "./commands/run.js";
import { addTest } from "./commands/test.js";
import { formatProblem, problemsOf } from "./errors.js";
import { CommandExit, EXIT, example, type Io, prepare, usageExit, wantsJson } from "./shell.js";
import { SDK_VERSION } from "./version.js";

export { EXIT, type Io } from "./shell.js";

export function createProgram(io: Io): Command {
  const program = prepare(
    new Command("sluice-plugin")
      .description("Write, build, test, measure and ship stages of the Sluice dataplane.")
      .version(SDK_VERSION),
    io,
  );
  for (const add of [addNew, addBuild, addTest, addRun, addBench, addInspect, addEmbed, addPush]) add(program, io);
  example(program, "sluice-plugin new my-filter", "then: cd my-filter && npm install && npm test");
  return program;
}

/** Runs one command line, without "node" and the script. @returns the exit code */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    await createProgram(io).parseAsync(args, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommandExit) return error.code;
    if (error instanceof CommanderError) return usageExit(error, io);
    report(error, args, io);
    return EXIT.failed;
  }
}

function report(error: unknown, args: readonly string[], io: Io): void {
  const problems = problemsOf(error);
  if (wantsJson(args)) io.err(JSON.stringify({ errors: problems }));
  else for (const problem of problems) io.err(`error: ${formatProblem(problem)}`);
  if (process.env.SLUICE_DEBUG !== undefined && error instanceof Error) io.err(error.stack ?? "");
}
