import { example, type OutputOptions, withOutput, wrongUsage } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { SluiceError } from "../../errors.js";
import { names as nameList, wholeNumber } from "../arguments.js";
import type { ClusterAccess, NodeConnection } from "../cluster/cluster.js";
import { sluiceObjects } from "../cluster/facts.js";
import type { Names } from "../cluster/names.js";
import { type ClusterOptions, withCluster } from "../cluster/options.js";
import { loadCluster, onAllNodes } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import { capturedEvent, droppedEvent, flowEvent, type PacketEvent, VERDICTS } from "../observe/event.js";
import {
  type EventFilter,
  isExact,
  matches,
  matchesPattern,
  packetFilter,
  podPattern,
  type WantedAddresses,
} from "../observe/filter.js";
import type { Io } from "../output.js";
import { eventText } from "../views/event.js";
import { PROTOCOL_NAMES } from "../views/flows.js";

interface ObserveOptions extends ClusterOptions, OutputOptions, EventFilter {
  follow?: boolean;
  name?: string[];
  /** Events. */
  last: number;
  count?: number;
}

/** Link, VXLAN over IPv6, and the inner packet's headers. */
const SNAP_LENGTH = 192;
const ANSWER_MS = 15_000;

export function addObserve(program: Command, io: Io): void {
  const command = program
    .command("observe")
    .summary("show packets of all nodes of a cluster, with pods' names")
    .description(
      "Show packets that leave a node or are dropped there, on all nodes of a cluster, with the names of pods, services and nodes: with --follow from now on, else the connections that are tracked, and of each drop reason the last packet. A packet that crosses nodes is seen on both.",
    )
    .argument(
      "[filter...]",
      "with --follow: [src|dst] host, net or port, and ip, ip6, tcp, udp, icmp, icmp6, sctp, with and, or, not, as in pcap-filter(7); of packets as their pods see them",
    )
    .option("-f, --follow", "show packets as they come, until interrupted")
    .addOption(new Option("--verdict <verdict>", "only these").choices(VERDICTS))
    .option(
      "--pod <names>",
      "only packets from or to such a pod: NAME, NAMESPACE/NAME, * allowed; may be repeated",
      podPattern,
    )
    .option("--from-pod <name>", "only packets from such a pod; may be repeated", podPattern)
    .option("--to-pod <name>", "only packets to such a pod; may be repeated", podPattern)
    .option("--drop-reason <reasons>", "only packets dropped for these, such as policy", nameList)
    .addOption(new Option("--protocol <name>", "only packets of this protocol").choices(PROTOCOL_NAMES))
    .option("--port <n>", "only packets with this port on either side", wholeNumber(1))
    .option("-n, --name <nodes>", "only on these nodes", nameList)
    .option("--last <n>", "without --follow: at most this many, the newest", wholeNumber(1), 100)
    .option("-c, --count <n>", "with --follow: end after this many", wholeNumber(1));
  withCluster(withOutput(command)).action(async (words: string[], options: ObserveOptions) => {
    if (options.dropReason !== undefined && options.verdict === "forwarded")
      throw wrongUsage("--drop-reason and --verdict forwarded: allowed: one of them");
    if (options.follow !== true && words.length > 0) throw wrongUsage("a filter: allowed: with --follow");
    if (options.follow !== true && options.count !== undefined) throw wrongUsage("--count: allowed: with --follow");
    const cluster = await loadCluster(options);
    const nodes = await cluster.nodes(options.name);
    const names = await cluster.names();
    for (const pattern of unknownPods(names, options)) io.err(`there is no pod ${pattern} now`);
    await onAllNodes(cluster, nodes, (connections) =>
      options.follow === true
        ? follow(io, { cluster, connections, names, options, words: words.join(" ") })
        : snapshot(io, connections, names, options),
    );
  });
  example(
    command,
    "sluice observe --follow --verdict dropped --to-pod shop/web-*",
    "what is dropped on its way to the pods of a deployment, as it happens",
  );
}

function show(io: Io, { output }: ObserveOptions, event: PacketEvent): void {
  io.out(output === "json" ? JSON.stringify(event) : eventText(event));
}

/** A drop reason wants no packet that was not dropped. */
const filterOf = (options: ObserveOptions): EventFilter =>
  options.dropReason === undefined ? options : { ...options, verdict: "dropped" };

async function snapshot(
  io: Io,
  connections: readonly NodeConnection[],
  names: Names,
  options: ObserveOptions,
): Promise<void> {
  const filter = filterOf(options);
  const found = await Promise.all(connections.map((connection) => eventsOf(connection, names, options.last)));
  const events = found
    .flat()
    .filter((event) => matches(filter, event))
    .sort((a, b) => a.at - b.at)
    .slice(-options.last);
  for (const event of events) show(io, options, event);
  if (events.length === 0) io.err("no events; --follow waits for some");
}

async function eventsOf(connection: NodeConnection, names: Names, max: number): Promise<PacketEvent[]> {
  const { node, client } = connection;
  try {
    const { flows } = await client.call("flows", { max: Math.max(max, 1000) }, ANSWER_MS);
    const { drops } = await client.call("drops", {}, ANSWER_MS);
    const now = Date.now();
    return [
      ...flows.map((flow) => flowEvent(node, flow, names, now)),
      ...drops.flatMap((drop) => droppedEvent(node, drop, names) ?? []),
    ];
  } catch (error) {
    throw connection.explained(error);
  }
}

interface Following {
  readonly cluster: ClusterAccess;
  readonly connections: readonly NodeConnection[];
  readonly names: Names;
  readonly options: ObserveOptions;
  readonly words: string;
}

async function follow(io: Io, following: Following): Promise<void> {
  const { cluster, connections, names, options, words } = following;
  const filter = filterOf(options);
  const request = {
    filter: packetFilter(await podNetworks(cluster), wantedAddresses(names, filter), words),
    points: pointsOf(filter),
    ports: [],
    snapLength: SNAP_LENGTH,
  };
  let shown = 0;
  let lost = 0;
  let begun = 0;
  await untilInterrupted(io, async (interrupted, interrupt) => {
    const told = (error: SluiceError) => io.err(`pods' names are not followed for now: ${error.message}`);
    const naming = names.follow(interrupted, told);
    const watch = async ({ node, client, explained }: NodeConnection) => {
      let isFirst = true;
      try {
        for await (const message of client.stream("capture", request, interrupted)) {
          if (isFirst && ++begun === connections.length) io.err(`observing ${begun} nodes`);
          isFirst = false;
          lost += message.lost;
          for (const packet of message.packets) {
            const event = capturedEvent(node, packet, names);
            if (event === undefined || interrupted.aborted || !matches(filter, event)) continue;
            show(io, options, event);
            if (++shown === options.count) interrupt();
          }
        }
      } catch (error) {
        throw explained(error);
      }
    };
    try {
      await untilAllEnd(io, connections, watch);
    } finally {
      interrupt();
      await naming;
    }
  });
  if (lost > 0) io.err(`${lost} packets were not seen: they came faster than they were read`);
}

/** A node that is lost is told of, and the others are followed on. @throws SluiceError when none is left */
async function untilAllEnd(
  io: Io,
  connections: readonly NodeConnection[],
  watch: (connection: NodeConnection) => Promise<void>,
): Promise<void> {
  const failures: SluiceError[] = [];
  await Promise.all(
    connections.map(async (connection) => {
      try {
        await watch(connection);
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        failures.push(error);
        if (failures.length < connections.length)
          io.err(`node ${connection.node} is no longer followed: ${error.message}`);
      }
    }),
  );
  const [first] = failures;
  if (first !== undefined && failures.length === connections.length) throw first;
}

function pointsOf({ verdict }: EventFilter): string[] {
  if (verdict === undefined) return ["tx", "drop"];
  return verdict === "dropped" ? ["drop"] : ["tx"];
}

/** Where only pods are named that there are now; a pattern may match pods to come. */
function wantedAddresses(names: Names, { pod, fromPod, toPod }: EventFilter): WantedAddresses {
  const known = (patterns: readonly string[] | undefined) => {
    if (patterns === undefined || !patterns.every(isExact)) return undefined;
    const each = patterns.map((pattern) => names.addressesOf((name) => matchesPattern(pattern, name)));
    return each.some((addresses) => addresses.length === 0) ? undefined : each.flat();
  };
  const [either, source, destination] = [known(pod), known(fromPod), known(toPod)];
  return {
    ...(either === undefined ? {} : { either }),
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
  };
}

/** A pod may be about to come, or its name mistaken. */
function unknownPods(names: Names, { pod = [], fromPod = [], toPod = [] }: EventFilter): string[] {
  const isKnown = (pattern: string) => names.addressesOf((name) => matchesPattern(pattern, name)).length > 0;
  return [...pod, ...fromPod, ...toPod].filter((pattern) => isExact(pattern) && !isKnown(pattern));
}

/** Packets of pods alone are meant: this command's own way to the nodes is not. */
export async function podNetworks(cluster: ClusterAccess): Promise<string[]> {
  const pools = await sluiceObjects(cluster.api, "ippools");
  return pools.flatMap(({ spec }) => (typeof spec?.cidr === "string" ? [spec.cidr] : []));
}
