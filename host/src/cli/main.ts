import { CommandExit, EXIT, example, prepare, usageExit, wantsJson } from "@sluice/sdk/cli";
import { Command, CommanderError } from "commander";
import { formatProblem, messageOf, type Problem, SluiceError } from "../errors.js";
import { isKubectlPlugin } from "./cluster/options.js";
import { addAgent } from "./commands/agent.js";
import { addCompletion } from "./commands/completion.js";
import { addConnectivity } from "./commands/connectivity.js";
import { addDataplane } from "./commands/dataplane.js";
import { addDrops } from "./commands/drops.js";
import { addFlows } from "./commands/flows.js";
import { addNodeCommands } from "./commands/node.js";
import { addNodeInstall } from "./commands/node-install.js";
import { addObserve } from "./commands/observe.js";
import { addPcap } from "./commands/pcap.js";
import { addPki } from "./commands/pki.js";
import { addPluginCommands } from "./commands/plugin.js";
import { addReflector } from "./commands/reflector.js";
import { addRelay } from "./commands/relay.js";
import { addStatus } from "./commands/status.js";
import { addSysdump } from "./commands/sysdump.js";
import { addTop } from "./commands/top.js";
import { addTrace } from "./commands/trace.js";
import { addVersion } from "./commands/version.js";
import { type Io, TABLE_WIDTH } from "./output.js";

export { EXIT } from "@sluice/sdk/cli";

export function createProgram(io: Io): Command {
  const program = new Command(isKubectlPlugin() ? "kubectl sluice" : "sluice").description(
    "A WebAssembly-extensible programmable dataplane.",
  );
  prepare(program, io, TABLE_WIDTH);
  addNodeCommands(program, io);
  addStatus(program, io);
  addDataplane(program, io);
  addAgent(program, io);
  addPluginCommands(program, io);
  addTop(program, io);
  addTrace(program, io);
  addDrops(program, io);
  addFlows(program, io);
  addPcap(program, io);
  addObserve(program, io);
  addConnectivity(program, io);
  addSysdump(program, io);
  addReflector(program, io);
  addNodeInstall(program, io);
  addPki(program, io);
  addRelay(program);
  addVersion(program, io);
  addCompletion(program, io);
  example(program, "sluice run -f node.yaml", "then, elsewhere: sluice status");
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
  const problems: readonly Problem[] =
    error instanceof SluiceError ? error.problems : [{ code: "internal", path: "", message: messageOf(error) }];
  if (wantsJson(args)) io.err(JSON.stringify({ errors: problems }));
  else for (const problem of problems) io.err(`error: ${formatProblem(problem)}`);
  if (process.env.SLUICE_DEBUG !== undefined && error instanceof Error) io.err(error.stack ?? "");
}
