import { example } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { readPlugin, rollBack, rollbackTarget } from "../cluster/plugins.js";
import { type ConnectionOptions, clusterMeant, withConnection } from "../connection.js";
import type { Io } from "../output.js";
import { change } from "./plugin-change.js";

type RollbackOptions = ConnectionOptions & { to?: number };

export function addRollback(plugin: Command, io: Io): void {
  const command = plugin
    .command("rollback")
    .summary("make an earlier version live again")
    .description(
      "Make an earlier version of plugins live again. On a cluster it becomes the source of the Plugin object, with the roll-out and the checks of any change, and the configuration that the object has now; on a node it comes back at once, with the configuration that it had.",
    )
    .argument("<plugins...>", "the plugins; on a node several are one transaction")
    .option(
      "--to <revision>",
      "the revision, on a cluster the generation of its history; default: the one before the live one",
      wholeNumber(1),
    );
  withConnection(command).action(async (plugins: string[], options: RollbackOptions) => {
    const cluster = await clusterMeant(options);
    if (cluster !== undefined) return rollBackAll(io, cluster, plugins, options);
    const revision = options.to === undefined ? {} : { revision: options.to };
    await change(io, options, { changes: plugins.map((name) => ({ rollback: { name, ...revision } })), modules: [] });
  });
  example(command, "sluice plugin rollback policy", "what was live before the last change");
}

/** Nothing is changed unless all of them have such a version. */
async function rollBackAll(
  io: Io,
  { api }: ClusterAccess,
  names: readonly string[],
  { to, output }: RollbackOptions,
): Promise<void> {
  const found = await Promise.all(names.map((name) => readPlugin(api, name)));
  const targets = found.map((plugin) => ({ plugin, target: rollbackTarget(plugin, to) }));
  for (const { plugin, target } of targets) {
    const { metadata } = await rollBack(api, plugin, target);
    const { name, generation } = metadata;
    if (output === "json") io.out(JSON.stringify({ name, generation, from: target }));
    else {
      const was = `generation ${target.generation} (${target.digest.slice(0, 12)}, ${target.source})`;
      io.out(`${name}: goes back to ${was}; sluice plugin history ${name} shows what becomes of it`);
    }
  }
}
