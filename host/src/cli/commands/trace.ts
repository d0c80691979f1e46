import { setTimeout as pause } from "node:timers/promises";
import { example } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import type { DataplaneClient } from "../../dataplane/client.js";
import { durationMs, wholeNumber } from "../arguments.js";
import type { ClusterAccess, NodeConnection } from "../cluster/cluster.js";
import { clusterMeant, connected, type NodeOptions, onAllNodes, withNode } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import { packetFilter } from "../observe/filter.js";
import type { Io } from "../output.js";
import { type Leg, TraceJoiner } from "../trace-joiner.js";
import { journeyText } from "../views/journey.js";
import { traceText, withFields } from "../views/trace.js";
import { podNetworks } from "./observe.js";

interface TraceCommandOptions extends NodeOptions {
  count: number;
  timeout: number;
  verbose?: boolean;
}

/** How long a packet's way is kept back for what another node may tell of it. */
const JOIN_MS = 500;
/** Where another node has to have seen it. */
const PARTIAL_MS = 3000;
const LOOK_MS = 100;
const ANSWER_MS = 15_000;
/** That a node follows besides those asked for: one of the others may follow other ones first. */
const SPARE_PACKETS = 256;
/** Until packets are told that came in before all nodes had begun. */
const BEGIN_MS = 200;

export function addTrace(program: Command, io: Io): void {
  const command = program
    .command("trace")
    .summary("show the way of the next packets through the pipeline")
    .description(
      "Show the way of the next packets that match a filter: each stage with its verdict, what it rewrote and noted, the route, and how it left or why it was dropped. Of a cluster: through all of its nodes, of pods' packets; --name for one of them.",
    )
    .argument(
      "[filter...]",
      "pcap-filter(7), matched where a packet comes in, on a cluster also inside VXLAN (there of host, net, port and protocols); none: every packet",
    )
    .option("-c, --count <n>", "packets to follow", wholeNumber(1), 10)
    .addOption(
      new Option("--timeout <time>", "end when not all of them came in this time")
        .argParser(durationMs)
        .default(10_000, "10s"),
    )
    .option("-v, --verbose", "with checksums and each packet's bytes");
  withNode(command).action(async (words: string[], options: TraceCommandOptions) => {
    const filter = words.join(" ");
    const cluster = await clusterMeant(options);
    if (cluster !== undefined && options.name === undefined) return followAcross(io, cluster, filter, options);
    await connected(options, (client) =>
      untilInterrupted(io, (interrupted) => follow(io, client, filter, options, interrupted), options.timeout),
    );
  });
  example(command, "sluice trace -c 1 tcp port 80 and host 10.1.1.10", "what happens to that pod's next HTTP packet");
}

async function follow(
  io: Io,
  client: DataplaneClient,
  filter: string,
  { count, verbose = false, output }: TraceCommandOptions,
  interrupted: AbortSignal,
): Promise<void> {
  let isFirst = true;
  let shown = 0;
  let lost = 0;
  for await (const read of client.stream("trace", { filter, packets: count }, interrupted)) {
    if (isFirst) io.err(`waiting for ${count} packets`);
    isFirst = false;
    lost = read.lost;
    for (const packet of read.packets.map(withFields)) {
      if (output === "json") io.out(JSON.stringify(packet));
      else io.out(`${shown === 0 ? "" : "\n"}${traceText(packet, verbose)}`);
      shown++;
    }
  }
  if (lost > 0) io.err(`${lost} packets or steps did not fit into the trace buffer`);
  if (shown < count) io.err(`${shown} of ${count} packets came`);
}

async function followAcross(
  io: Io,
  cluster: ClusterAccess,
  words: string,
  { count, verbose = false, output, timeout }: TraceCommandOptions,
): Promise<void> {
  const names = await cluster.names();
  const filter = packetFilter(words === "" ? await podNetworks(cluster) : [], {}, words);
  const joiner = new TraceJoiner();
  let shown = 0;
  const show = (before: number, partialBefore: number) => {
    for (const legs of joiner.settled(before, partialBefore)) {
      if (shown === count) return;
      shown++;
      if (output === "json") io.out(JSON.stringify({ legs }));
      else io.out(`${shown === 1 ? "" : "\n"}${journeyText(shown, legs, names, verbose)}`);
    }
  };
  await onAllNodes(cluster, await cluster.nodes(), async (connections) => {
    // So that all begin at once: a packet that only some of them follow is of no use.
    await Promise.all(connections.map(reached));
    const begun = new Set<string>();
    let begunAt = Number.POSITIVE_INFINITY;
    const started = (node: string) => {
      if (begun.size === connections.length || begun.add(node).size < connections.length) return;
      begunAt = performance.now();
      io.err(`waiting for ${count} packets on ${begun.size} nodes`);
    };
    const told = (leg: Leg) => {
      if (performance.now() - begunAt > BEGIN_MS) joiner.add(leg, performance.now());
    };
    const work = async (interrupted: AbortSignal, interrupt: () => void) => {
      const request = { filter, packets: count + SPARE_PACKETS };
      const streams = connections.map((each) => legsOf(io, each, { request, interrupted, told, started }));
      const over = Promise.all(streams);
      over.catch(interrupt); // it is thrown below
      while (!interrupted.aborted && shown < count) {
        await pause(LOOK_MS, undefined, { signal: interrupted }).catch(() => {});
        show(performance.now() - JOIN_MS, performance.now() - PARTIAL_MS);
      }
      interrupt();
      await over;
    };
    await untilInterrupted(io, work, timeout);
  });
  show(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  if (shown < count) io.err(`${shown} of ${count} packets came`);
}

async function reached({ client, explained }: NodeConnection): Promise<void> {
  try {
    await client.call("listPlugins", {}, ANSWER_MS);
  } catch (error) {
    throw explained(error);
  }
}

interface Legs {
  readonly request: { filter: string; packets: number };
  readonly interrupted: AbortSignal;
  readonly told: (leg: Leg) => void;
  readonly started: (node: string) => void;
}

/** A node that has followed all that it was to begins anew: the others may have followed other packets. */
async function legsOf(
  io: Io,
  { node, client, explained }: NodeConnection,
  { request, interrupted, told, started }: Legs,
): Promise<void> {
  let lost = 0;
  try {
    while (!interrupted.aborted) {
      for await (const read of client.stream("trace", request, interrupted)) {
        started(node);
        lost = read.lost;
        for (const packet of read.packets) told({ node, packet: withFields(packet) });
      }
      if (lost > 0) io.err(`${node}: ${lost} packets or steps did not fit into the trace buffer`);
    }
  } catch (error) {
    throw explained(error);
  }
}
