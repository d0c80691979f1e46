import { connect } from "node:net";
import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { defaultSocket, onlySocket } from "../../dataplane/paths.js";
import { messageOf, SluiceError } from "../../errors.js";

interface RelayOptions extends OutputOptions {
  name?: string;
  socket?: string;
}

export function addRelay(program: Command): void {
  const command = program
    .command("relay")
    .summary("carry one connection to a node's dataplane")
    .description(
      "Carry one connection to a node's dataplane over standard input and output, until either end closes it. What other commands run in a container of a cluster's node.",
    )
    .option("-n, --name <node>", "name of the node; not needed when one runs on this machine")
    .option("--socket <path>", "the dataplane's socket, where it is not /run/sluice/<node>.sock");
  withOutput(command).action(async ({ name, socket }: RelayOptions) => {
    await relay(socket ?? (name === undefined ? await onlySocket() : defaultSocket(name)));
  });
  example(command, "sluice relay --name node1", "as other commands do by kubectl exec: gRPC of host/proto, both ways");
}

function relay(socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    connection.once("error", (error) =>
      reject(
        SluiceError.of("not-running", socket, `no dataplane answers there: ${messageOf(error)}`, { cause: error }),
      ),
    );
    connection.once("close", () => resolve());
    process.stdin.pipe(connection);
    connection.pipe(process.stdout);
  });
}
