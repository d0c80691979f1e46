import { setTimeout as pause } from "node:timers/promises";
import { CommandExit, EXIT, example } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import type { StatusResponse } from "../../dataplane/protocol.js";
import { SluiceError } from "../../errors.js";
import { hasKubeCode } from "../../kube/errors.js";
import { durationMs } from "../arguments.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { clusterFacts } from "../cluster/facts.js";
import { type ClusterHealth, clusterHealth } from "../cluster/health.js";
import { type ConnectionOptions, clusterMeant, connected, withConnection } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import { type Io, shorten, TABLE_WIDTH } from "../output.js";
import { statusText } from "../tables.js";
import { clusterStatusText } from "../views/cluster-status.js";

interface StatusOptions extends ConnectionOptions {
  /** Milliseconds. */
  wait?: number;
  verbose?: boolean;
}

/** Between two looks while waiting: at a node, and at a cluster. */
const NODE_POLL_MS = 50;
const CLUSTER_POLL_MS = 1000;
/** For a node of a cluster to answer; the others are shown without it. */
const MAX_ANSWER_MS = 15_000;

export function addStatus(program: Command, io: Io): void {
  const command = program
    .command("status")
    .summary("show how a cluster or a node is")
    .description(
      "Show how Sluice is on a cluster: its nodes, agents, dataplanes, reflector, etcd and plugins, and what is wrong, with where to look; exit code 1 when something is. Of a node (--name, or one of this machine): ports, stages with their cycles for each packet, drops by reason, workers and flows.",
    )
    .addOption(
      new Option("--wait [time]", "wait until all is well, or the node is ready; at most this long, 2m if not said")
        .preset("2m")
        .argParser(durationMs),
    )
    .option("-v, --verbose", "of a node: with gauges and histograms, and all of stages' last failures");
  withConnection(command).action(async (options: StatusOptions) => {
    const cluster = await clusterMeant(options);
    if (cluster !== undefined && options.name === undefined) return clusterStatus(io, cluster, options);
    const status = await readyStatus(options, Date.now() + (options.wait ?? 0));
    io.out(options.output === "json" ? JSON.stringify(status) : statusText(status, options.verbose));
  });
  example(command, "sluice status --wait 5m", "once all nodes of a cluster are well, or what keeps them from it");
}

async function clusterStatus(io: Io, cluster: ClusterAccess, options: StatusOptions): Promise<void> {
  const deadline = Date.now() + (options.wait ?? 0);
  let health: ClusterHealth | undefined;
  await untilInterrupted(io, async (interrupted) => {
    let told = "";
    while (!interrupted.aborted) {
      const found = await lookAt(cluster, options, deadline);
      if (found instanceof SluiceError) told = waiting(io, told, found.message);
      else {
        health = found;
        const [first] = found.problems;
        if (first === undefined || Date.now() >= deadline) return;
        told = waiting(io, told, `${first.where}: ${first.what}`);
      }
      await pause(CLUSTER_POLL_MS, undefined, { signal: interrupted }).catch(() => {});
    }
  });
  if (health === undefined) throw SluiceError.of("interrupted", "", "nothing was seen of the cluster");
  io.out(options.output === "json" ? JSON.stringify(health) : clusterStatusText(health));
  if (!health.healthy) throw new CommandExit(EXIT.failed);
}

/** While there is time, an API server that is away or a Sluice that is not there yet is waited for too. */
async function lookAt(
  cluster: ClusterAccess,
  { timeout }: StatusOptions,
  deadline: number,
): Promise<ClusterHealth | SluiceError> {
  try {
    return clusterHealth(await clusterFacts(cluster, Math.min(timeout, MAX_ANSWER_MS)));
  } catch (error) {
    const isEarly = error instanceof SluiceError && error.problems.some(({ code }) => code === "not-installed");
    const passes = isEarly || hasKubeCode(error, "kube-unavailable");
    if (passes && error instanceof SluiceError && Date.now() < deadline) return error;
    throw error;
  }
}

/** Says what is waited for when it is another thing than before. */
function waiting(io: Io, told: string, what: string): string {
  if (what !== told) io.err(shorten(`waiting: ${what.replace(/\s*\n\s*/g, " ")}`, TABLE_WIDTH));
  return what;
}

async function readyStatus(options: ConnectionOptions, deadline: number): Promise<StatusResponse> {
  for (;;) {
    try {
      return await connected(options, (client) => client.call("status", {}, options.timeout));
    } catch (error) {
      const starting = error instanceof SluiceError && error.problems.every(({ code }) => code === "not-running");
      if (!starting || Date.now() >= deadline) throw error;
      await pause(NODE_POLL_MS);
    }
  }
}
