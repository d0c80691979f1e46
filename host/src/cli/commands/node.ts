import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { nodeFileJsonSchema } from "../../config/schema.js";
import { type ConnectionOptions, connected, withConnection } from "../connection.js";
import { located, readNode } from "../node-file.js";
import type { Io } from "../output.js";
import { outcomesText } from "../tables.js";

interface FileOptions extends OutputOptions {
  file: string;
}

function withFile(command: Command): Command {
  return command.requiredOption("-f, --file <node.yaml>", "the node file");
}

export function addNodeCommands(program: Command, io: Io): void {
  addRun(program, io);
  addApply(program, io);
  addValidate(program, io);
  addSchema(program, io);
}

function addRun(program: Command, io: Io): void {
  const command = withFile(program.command("run"))
    .summary("run a node until it is stopped")
    .description("Run a node as its file says, until SIGINT or SIGTERM. Logs go to stderr, as JSON lines.")
    .option("--socket <path>", "where to take commands; default: /run/sluice/<node>.sock")
    .option("--resume", "start with the plugins and settings that the last run ended with, where there are any");
  withOutput(command).action(
    async ({ file, socket, resume = false, output }: FileOptions & { socket?: string; resume?: boolean }) => {
      const { spec, wasms, file: loaded } = await readNode(file);
      const { runDataplane } = await import("../../dataplane/process.js");
      const onReady = (where: string) => {
        const { name } = spec;
        io.out(
          output === "json"
            ? JSON.stringify({ name, socket: where, pid: process.pid })
            : `ready: node ${name} on ${where}`,
        );
      };
      await located(loaded, () =>
        runDataplane({ spec, modules: wasms, resume, onReady, ...(socket === undefined ? {} : { socket }) }),
      );
    },
  );
  example(command, "sluice run -f node.yaml", "a node in the foreground");
}

function addApply(program: Command, io: Io): void {
  const command = withFile(program.command("apply"))
    .summary("make a running node what its file says")
    .description(
      "Make a running node what its file says: all of it in one transaction, or nothing. Plugins that the file does not name are unloaded.",
    );
  withConnection(command).action(async (options: FileOptions & ConnectionOptions) => {
    const { spec, wasms, file } = await readNode(options.file);
    const modules = [...wasms].map(([digest, wasm]) => ({ digest, wasm }));
    const request = { specJson: JSON.stringify(spec), modules };
    const result = await located(file, () =>
      connected(options, (client) => client.call("apply", request, options.timeout), spec.name),
    );
    io.out(options.output === "json" ? JSON.stringify(result) : outcomesText(result));
  });
  example(command, "sluice apply -f node.yaml", "change the running node to what the file says now");
}

function addValidate(program: Command, io: Io): void {
  const command = withFile(program.command("validate"))
    .summary("check a node file without running it")
    .description(
      "Check a node file: its own rules, its plugins (AssemblyScript is compiled) and their configuration, and the order of the stages.",
    );
  withOutput(command).action(async ({ file, output }: FileOptions) => {
    const { spec, modules } = await readNode(file);
    const { name, ports, routes, plugins } = spec;
    const summary = {
      name,
      ports: ports.length,
      routes: routes.length,
      plugins: plugins.length,
      modules: [...modules.keys()],
    };
    io.out(
      output === "json"
        ? JSON.stringify(summary)
        : `valid: node ${name}, ${ports.length} ports, ${routes.length} routes, ${plugins.length} plugins`,
    );
  });
  example(command, "sluice validate -f node.yaml", "every mistake, with its line and what is allowed");
}

function addSchema(program: Command, io: Io): void {
  const command = program
    .command("schema")
    .summary("print the JSON schema of node files")
    .description("Print the JSON schema of node files, for editors and other programs.");
  withOutput(command).action(({ output }: OutputOptions) =>
    io.out(JSON.stringify(nodeFileJsonSchema(), undefined, output === "json" ? 0 : 2)),
  );
  example(command, "sluice schema > node.schema.json", "completion and checks in an editor");
}
