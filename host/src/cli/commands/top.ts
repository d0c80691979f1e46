import { example } from "@sluice/sdk/cli";
import type { Command } from "commander";
import type { StatusResponse } from "../../dataplane/protocol.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { isProblems, onNodes } from "../cluster/facts.js";
import { type ConnectionOptions, clusterMeant, connected, onAllNodes, withConnection } from "../connection.js";
import { type LiveOptions, showLive, withInterval } from "../live.js";
import type { Io } from "../output.js";
import { ratesBetween } from "../rates.js";
import { clusterTopText, type NodeRates } from "../views/cluster-top.js";
import { topText } from "../views/top.js";

type TopOptions = ConnectionOptions & LiveOptions;

export function addTop(program: Command, io: Io): void {
  const command = program
    .command("top")
    .summary("show live what nodes, workers, stages and ports do")
    .description(
      "Show packets, drops and cycles a packet of each stage and worker, and the ports' rates, again and again: in a terminal in place, elsewhere one frame after the other. Of a cluster: a line a node, and the stages of all of them; --name for one of its nodes.",
    );
  withConnection(withInterval(command)).action(async (options: TopOptions) => {
    const cluster = await clusterMeant(options);
    if (cluster !== undefined && options.name === undefined) return clusterTop(io, cluster, options);
    await connected(options, (client) =>
      showLive(
        io,
        options,
        () => client.call("status", {}, options.timeout),
        (before, after) => {
          const rates = ratesBetween(before, after);
          return { json: rates, text: () => topText(rates) };
        },
      ),
    );
  });
  example(command, "sluice top --interval 500ms --count 10 -o json", "five seconds of figures, one object a line");
}

async function clusterTop(io: Io, cluster: ClusterAccess, options: TopOptions): Promise<void> {
  const names = await cluster.nodes();
  await onAllNodes(cluster, names, async (connections) => {
    const read = () =>
      onNodes(names, async (name) => {
        const connection = connections.find(({ node }) => node === name);
        if (connection === undefined) throw new Error(`no connection to ${name}`);
        return connection.client.call("status", {}, options.timeout).catch((error: unknown) => {
          throw connection.explained(error);
        });
      });
    await showLive(io, options, read, (before, after) => {
      const rates = names.map((name) => nodeRates(name, before.get(name), after.get(name)));
      return { json: rates, text: () => clusterTopText(rates) };
    });
  });
}

type Reading = Awaited<ReturnType<typeof onNodes<StatusResponse>>> extends Map<string, infer Value> ? Value : never;

/** A node that did not answer the last time has rates from the next reading on. */
function nodeRates(node: string, before: Reading | undefined, after: Reading | undefined): NodeRates {
  if (after === undefined || isProblems(after)) return { node, problems: after ?? [] };
  return { node, rates: ratesBetween(before === undefined || isProblems(before) ? after : before, after) };
}
