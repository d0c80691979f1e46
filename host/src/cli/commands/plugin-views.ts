import { example } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { suggestion } from "../../config/suggest.js";
import type { DataplaneClient } from "../../dataplane/client.js";
import type { PluginInfo, StageFigures } from "../../dataplane/protocol.js";
import { SluiceError } from "../../errors.js";
import { durationMs, wholeNumber } from "../arguments.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { type PluginObject, sluiceObjects } from "../cluster/facts.js";
import { pluginHealth } from "../cluster/health.js";
import { type ConnectionOptions, clusterMeant, connected, onAllNodes, withConnection } from "../connection.js";
import type { Io } from "../output.js";
import { pluginsText } from "../tables.js";
import { clusterPlugin, clusterPluginText, type NodeAnswer } from "../views/cluster-plugin.js";
import { pluginsTable as clusterPluginsTable } from "../views/cluster-status.js";
import { pluginText } from "../views/plugin.js";
import { hotPlaces, profileText } from "../views/profile.js";
import { trapLines } from "../views/traps.js";

/** The commands that show plugins and change nothing. */
export function addPluginViews(plugin: Command, io: Io): void {
  addList(plugin, io);
  addShow(plugin, io);
  addProfile(plugin, io);
}

function addList(plugin: Command, io: Io): void {
  const command = plugin
    .command("list")
    .summary("show the plugins and their revisions")
    .description(
      "Show the Plugins of a cluster: whether they are ready and on how many nodes. Of a node (--name, or one of this machine): its plugins with the revisions that they can be rolled back to, and why those failed that did.",
    );
  withConnection(command).action(async (options: ConnectionOptions) => {
    const cluster = await clusterMeant(options);
    if (cluster !== undefined && options.name === undefined) {
      const plugins = (await sluiceObjects<PluginObject>(cluster.api, "plugins")).map(pluginHealth);
      io.out(options.output === "json" ? JSON.stringify(plugins) : clusterPluginsTable(plugins) || "no plugins");
      return;
    }
    const found = await connected(options, (client) => pluginsAndStages(client, options.timeout));
    if (options.output === "json") {
      io.out(JSON.stringify(found.map(({ plugin, stage }) => ({ ...plugin, lastTrap: stage?.lastTrap ?? null }))));
      return;
    }
    const traps = found.flatMap(({ stage }) => (stage === undefined ? [] : trapLines(stage, false)));
    io.out([pluginsText(found.map((each) => each.plugin)), ...traps].join("\n"));
  });
  example(command, "sluice plugin list", "");
}

function addShow(plugin: Command, io: Io): void {
  const command = plugin
    .command("show")
    .summary("show all about one plugin")
    .description(
      "Show a plugin of a running node: where it came from, what it did, its counters, gauges and histograms, and where in its source and with which packet it failed last. Of a cluster of several nodes: what they have in common, and what it did on each; --name for all of one of them.",
    )
    .argument("<plugin>", "its name in the node")
    .option("-v, --verbose", "with all frames and the packet's bytes of the last failure");
  withConnection(command).action(async (name: string, options: ConnectionOptions & { verbose?: boolean }) => {
    const cluster = options.name === undefined ? await clusterMeant(options) : undefined;
    const nodes = (await cluster?.nodes()) ?? [];
    if (cluster !== undefined && nodes.length > 1) {
      const shown = clusterPlugin(await nodeAnswers(cluster, nodes, name, options.timeout));
      io.out(options.output === "json" ? JSON.stringify(shown) : clusterPluginText(shown));
      return;
    }
    const found = await connected(options, (client) => pluginsAndStages(client, options.timeout));
    const one = found.find((each) => each.plugin.name === name);
    if (one === undefined) throw unknownPlugin(name, found);
    const { plugin: info, stage } = one;
    if (options.output === "json") io.out(JSON.stringify({ ...info, stage: stage ?? null }));
    else io.out(pluginText(info, stage, options.verbose ?? false));
  });
  example(command, "sluice plugin show nat", "");
}

interface ProfileCommandOptions extends ConnectionOptions {
  duration: number;
  hertz: number;
  lines?: boolean;
}

function addProfile(plugin: Command, io: Io): void {
  const command = plugin
    .command("profile")
    .summary("show where a plugin's cycles go")
    .description("Show where a plugin's cycles go, by function of its AssemblyScript source, while packets flow.")
    .argument("<plugin>", "its name in the node")
    .addOption(new Option("--duration <time>", "how long to look").argParser(durationMs).default(5000, "5s"))
    .option("--hertz <n>", "samples a second and worker", wholeNumber(1), 997)
    .option("--lines", "by line, not by function");
  withConnection(command).action(async (name: string, options: ProfileCommandOptions) => {
    const { duration, hertz, lines = false, timeout, output } = options;
    const request = { plugin: name, durationMs: duration, hertz };
    const profile = await connected(options, (client) => client.call("profile", request, duration + timeout));
    if (output === "json") io.out(JSON.stringify({ plugin: name, ...profile, hot: hotPlaces(profile, lines) }));
    else io.out(profileText(name, profile, lines));
  });
  example(command, "sluice plugin profile nat --duration 2s --lines", "its hottest lines");
}

/** What each node that has the plugin says of it. @throws SluiceError "unknown-plugin" where none has */
async function nodeAnswers(
  cluster: ClusterAccess,
  nodes: readonly string[],
  name: string,
  timeout: number,
): Promise<[NodeAnswer, ...NodeAnswer[]]> {
  return onAllNodes(cluster, nodes, async (connections) => {
    const found = await Promise.all(
      connections.map(async ({ node, client, explained }) => {
        const all = await pluginsAndStages(client, timeout).catch((error: unknown) => {
          throw explained(error);
        });
        return all.map((each) => ({ node, ...each }));
      }),
    );
    const [first, ...others] = found.flat().filter(({ plugin }) => plugin.name === name);
    if (first === undefined) throw unknownPlugin(name, found.flat());
    return [first, ...others];
  });
}

function unknownPlugin(name: string, found: readonly { plugin: PluginInfo }[]): SluiceError {
  const known = [...new Set(found.map(({ plugin }) => plugin.name))];
  const there = known.length === 0 ? "there is none" : `there are: ${known.join(", ")}`;
  return SluiceError.of("unknown-plugin", name, `no such plugin${suggestion(name, known)}; ${there}`);
}

async function pluginsAndStages(
  client: DataplaneClient,
  timeout: number,
): Promise<{ plugin: PluginInfo; stage: StageFigures | undefined }[]> {
  const { plugins } = await client.call("listPlugins", {}, timeout);
  const { native } = await client.call("status", {}, timeout);
  return plugins.map((plugin) => ({ plugin, stage: native.stages.find(({ name }) => name === plugin.name) }));
}
