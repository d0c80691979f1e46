import { type Command, Option } from "commander";
import { DataplaneClient } from "../dataplane/client.js";
import { defaultSocket, onlySocket } from "../dataplane/paths.js";
import { seconds } from "./arguments.js";

export interface OutputOptions {
  output: "table" | "json";
}

export interface ConnectionOptions extends OutputOptions {
  name?: string;
  socket?: string;
  /** Seconds. */
  timeout: number;
}

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "what to print").choices(["table", "json"]).default("table"),
  );
}

/** The options of commands that talk to a running dataplane. */
export function withConnection(command: Command): Command {
  return withOutput(command)
    .option("-n, --name <node>", "name of the node; not needed when one runs on this machine")
    .option("--socket <path>", "the dataplane's socket, where it is not /run/sluice/<node>.sock")
    .option("--timeout <seconds>", "how long to wait for the dataplane", seconds, 120);
}

/** Calls work with a client that is closed after it. @param node whose name stands in for --name */
export async function connected<Value>(
  { socket, name }: ConnectionOptions,
  work: (client: DataplaneClient) => Promise<Value>,
  node?: string,
): Promise<Value> {
  const known = name ?? node;
  const client = new DataplaneClient(socket ?? (known === undefined ? await onlySocket() : defaultSocket(known)));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
