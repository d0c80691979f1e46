import { type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { DataplaneClient } from "../dataplane/client.js";
import { defaultSocket, onlySocket } from "../dataplane/paths.js";
import { durationMs } from "./arguments.js";

/** Which node. */
export interface NodeOptions extends OutputOptions {
  name?: string;
  socket?: string;
}

export interface ConnectionOptions extends NodeOptions {
  /** Milliseconds. */
  timeout: number;
}

/** The options of commands that talk to a running dataplane for as long as they like. */
export function withNode(command: Command): Command {
  return withOutput(command)
    .option("-n, --name <node>", "name of the node; not needed when one runs on this machine")
    .option("--socket <path>", "the dataplane's socket, where it is not /run/sluice/<node>.sock");
}

/** The options of commands that ask a running dataplane and wait for its answer. */
export function withConnection(command: Command): Command {
  return withNode(command).addOption(
    new Option("--timeout <time>", "how long to wait for the dataplane").argParser(durationMs).default(120_000, "2m"),
  );
}

/** Calls work with a client that is closed after it. @param node whose name stands in for --name */
export async function connected<Value>(
  { socket, name }: NodeOptions,
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
