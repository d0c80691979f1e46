import { Command, CommanderError } from "commander";
import { formatProblem, messageOf, type Problem, SluiceError } from "../errors.js";
import { addDrops } from "./commands/drops.js";
import { addFlows } from "./commands/flows.js";
import { addNodeCommands } from "./commands/node.js";
import { addPcap } from "./commands/pcap.js";
import { addPluginCommands } from "./commands/plugin.js";
import { addTop } from "./commands/top.js";
import { addTrace } from "./commands/trace.js";
import { example } from "./example.js";
import { type Io, TABLE_WIDTH } from "./output.js";

export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export function createProgram(io: Io): Command {
  const program = new Command("sluice").description("A WebAssembly-extensible programmable dataplane.");
  program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.replace(/\n$/, "")),
      writeErr: (text) => io.err(text.replace(/\n$/, "")),
      getOutHelpWidth: () => TABLE_WIDTH,
      getErrHelpWidth: () => TABLE_WIDTH,
    })
    .showHelpAfterError("(--help shows what is allowed, with an example)");
  addNodeCommands(program, io);
  addPluginCommands(program, io);
  addTop(program, io);
  addTrace(program, io);
  addDrops(program, io);
  addFlows(program, io);
  addPcap(program, io);
  example(program, "sluice run -f node.yaml", "then, elsewhere: sluice status");
  return program;
}

/** Runs one command line, without "node" and the script. @returns the exit code */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    await createProgram(io).parseAsync(args, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return usageExit(error, io);
    report(error, args, io);
    return EXIT.failed;
  }
}

/** Commander has printed its own complaint, except those that a command found after parsing. */
function usageExit(error: CommanderError, io: Io): number {
  if (error.exitCode === 0) return EXIT.ok;
  if (error.code === "commander.invalidArgument" && !error.message.startsWith("error:"))
    io.err(`error: ${error.message}`);
  return EXIT.usage;
}

function report(error: unknown, args: readonly string[], io: Io): void {
  const problems: readonly Problem[] =
    error instanceof SluiceError ? error.problems : [{ code: "internal", path: "", message: messageOf(error) }];
  if (wantsJson(args)) io.err(JSON.stringify({ errors: problems }));
  else for (const problem of problems) io.err(`error: ${formatProblem(problem)}`);
  if (process.env.SLUICE_DEBUG !== undefined && error instanceof Error) io.err(error.stack ?? "");
}

function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (arg, index) => /^(-o|--output=)json$/.test(arg) || (/^(-o|--output)$/.test(arg) && args[index + 1] === "json"),
  );
}
