import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { formatProblem } from "../../errors.js";
import { nodeName } from "../arguments.js";
import type { Io } from "../output.js";

interface DataplaneOptions extends OutputOptions {
  node: string;
  socket?: string;
  stateDir?: string;
}

export function addDataplane(program: Command, io: Io): void {
  const command = program
    .command("dataplane")
    .summary("run the dataplane that a node's agent manages")
    .description(
      "Run the dataplane of a cluster's node, until SIGINT or SIGTERM. It waits for the settings that the agent writes (start.json in the state directory), and starts again when they change: pods' interfaces and flows stay.",
    )
    .requiredOption("--node <name>", "the node's name in Kubernetes", nodeName)
    .option("--socket <path>", "where to take the agent's calls; default: /run/sluice/<node>.sock")
    .option("--state-dir <folder>", "where settings and the last state are; default: /var/lib/sluice/<node>");
  withOutput(command).action(async ({ node, socket, stateDir, output }: DataplaneOptions) => {
    const { runManaged } = await import("../../dataplane/managed.js");
    await runManaged({
      node,
      ...(socket === undefined ? {} : { socket }),
      ...(stateDir === undefined ? {} : { stateDir }),
      onReady: (where) =>
        io.out(
          output === "json"
            ? JSON.stringify({ name: node, socket: where, pid: process.pid })
            : `ready: node ${node} on ${where}`,
        ),
      onProblem: ({ problems }) => {
        for (const problem of problems) io.err(`error: ${formatProblem(problem)}`);
      },
    });
  });
  example(command, "sluice dataplane --node node-a", "beside sluice agent --node node-a");
}
