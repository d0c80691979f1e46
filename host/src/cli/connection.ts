import { type OutputOptions, withOutput, wrongUsage } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { DataplaneClient } from "../dataplane/client.js";
import { defaultSocket, localNames, onlySocket } from "../dataplane/paths.js";
import { durationMs } from "./arguments.js";
import type { ClusterAccess, NodeConnection } from "./cluster/cluster.js";
import { type ClusterOptions, hasKubeconfig, namesCluster, withCluster } from "./cluster/options.js";

/** Which node. */
export interface NodeOptions extends OutputOptions, ClusterOptions {
  name?: string;
  socket?: string;
}

export interface ConnectionOptions extends NodeOptions {
  /** Milliseconds. */
  timeout: number;
}

/** The options of commands that talk to a running dataplane for as long as they like. */
export function withNode(command: Command): Command {
  return withCluster(
    withOutput(command)
      .option("-n, --name <node>", "name of the node, on this machine or of a cluster; not needed when there is one")
      .option("--socket <path>", "the dataplane's socket, where it is not /run/sluice/<node>.sock"),
  );
}

/** The options of commands that ask a running dataplane and wait for its answer. */
export function withConnection(command: Command): Command {
  return withTimeout(withNode(command));
}

export function withTimeout(command: Command): Command {
  return command.addOption(
    new Option("--timeout <time>", "how long to wait for the dataplane").argParser(durationMs).default(120_000, "2m"),
  );
}

/**
 * The cluster that is meant, or undefined: a node of this machine is. A node of this machine goes before a cluster that
 * nothing but kubectl's own settings names.
 */
export async function clusterMeant(options: NodeOptions): Promise<ClusterAccess | undefined> {
  const { name, socket } = options;
  if (socket !== undefined) {
    const flag = ["kubeconfig", "context", "namespace"].find((each) => options[each as keyof ClusterOptions]);
    if (flag !== undefined) throw wrongUsage(`--socket and --${flag}: allowed: one of them`);
    return undefined;
  }
  if (namesCluster(options)) return loadCluster(options);
  const local = await localNames();
  const isHere = name === undefined ? local.length > 0 : local.includes(name);
  return isHere || !hasKubeconfig() ? undefined : loadCluster(options);
}

/** Kubernetes' client is a large one: commands that need no cluster start without it. @throws SluiceError "kubeconfig" */
export async function loadCluster(options: ClusterOptions): Promise<ClusterAccess> {
  const cluster = await import("./cluster/cluster.js");
  return cluster.ClusterAccess.load(options);
}

/**
 * Calls work with the client of the node meant, of this machine or of a cluster, which is closed after it.
 * @param node whose name stands in for --name: one of this machine
 */
export async function connected<Value>(
  options: NodeOptions,
  work: (client: DataplaneClient) => Promise<Value>,
  node?: string,
): Promise<Value> {
  const cluster = node === undefined ? await clusterMeant(options) : undefined;
  if (cluster !== undefined) return onNode(cluster, await cluster.oneNode(options.name), work);
  const { socket, name = node } = options;
  const client = new DataplaneClient(socket ?? (name === undefined ? await onlySocket() : defaultSocket(name)));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Calls work with the client of a cluster's node, which is closed after it. */
export async function onNode<Value>(
  cluster: ClusterAccess,
  node: string,
  work: (client: DataplaneClient) => Promise<Value>,
): Promise<Value> {
  const connection = await cluster.connect(node);
  try {
    return await work(connection.client);
  } catch (error) {
    throw connection.explained(error);
  } finally {
    await connection.close();
  }
}

/** Calls work with connections to nodes of a cluster, which are closed after it. */
export async function onAllNodes<Value>(
  cluster: ClusterAccess,
  nodes: readonly string[],
  work: (connections: readonly NodeConnection[]) => Promise<Value>,
): Promise<Value> {
  const connections: NodeConnection[] = [];
  try {
    for (const node of nodes) connections.push(await cluster.connect(node));
    return await work(connections);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
