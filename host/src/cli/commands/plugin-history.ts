import { CommandExit, EXIT, example } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { parseAllDocuments, stringify } from "yaml";
import { messageOf, SluiceError } from "../../errors.js";
import { readText } from "../../readable-file.js";
import { parsePlugin } from "../../resources/parse.js";
import type { PastVersion } from "../../resources/status.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { isProblems, onNodes, type PluginObject } from "../cluster/facts.js";
import { historyOf, readPlugin } from "../cluster/plugins.js";
import { type ConnectionOptions, clusterMeant, connected, loadCluster, onNode, withConnection } from "../connection.js";
import { changedLines, lineDiff } from "../line-diff.js";
import { type Io, table } from "../output.js";

/** The commands that show what became of a Plugin, and what it would become. */
export function addPluginHistory(plugin: Command, io: Io): void {
  addHistory(plugin, io);
  addDiff(plugin, io);
}

function addHistory(plugin: Command, io: Io): void {
  const command = plugin
    .command("history")
    .summary("show the versions that a plugin had")
    .description(
      "Show the versions of a cluster's Plugin that its nodes were given, oldest first, and what became of each: what --to of plugin rollback takes. Of a node: the revisions of its plugin.",
    )
    .argument("<plugin>", "its name");
  withConnection(command).action(async (name: string, options: ConnectionOptions) => {
    const cluster = await clusterMeant(options);
    if (cluster !== undefined && options.name === undefined) {
      const history = historyOf(await readPlugin(cluster.api, name));
      io.out(options.output === "json" ? JSON.stringify(history) : historyText(history));
      return;
    }
    const { plugins } = await connected(options, (client) => client.call("listPlugins", {}, options.timeout));
    const found = plugins.find((each) => each.name === name);
    if (found === undefined) throw SluiceError.of("unknown-plugin", name, "the node has no such plugin");
    const columns = [
      { title: "REVISION" },
      { title: "VERSION" },
      { title: "DIGEST" },
      { title: "APPLIED" },
      { title: "FROM" },
    ];
    const rows = found.revisions.map(({ number, version, digest, appliedAt, origin }) => [
      ...[String(number), version, digest.slice(0, 12), appliedAt, origin],
    ]);
    io.out(options.output === "json" ? JSON.stringify(found.revisions) : table(columns, rows));
  });
  example(command, "sluice plugin history guard", "");
}

export function historyText(history: readonly PastVersion[]): string {
  if (history.length === 0) return "no version has been given to nodes yet";
  const columns = [
    { title: "GENERATION", right: true },
    { title: "OUTCOME" },
    { title: "DIGEST" },
    { title: "TIME" },
    { title: "SOURCE" },
    { title: "WHY" },
  ];
  const rows = history.map(({ generation, outcome, digest, time, source, message = "" }) => [
    ...[String(generation), outcome, digest.slice(0, 12), time, source, message.replace(/\s*\n\s*/g, " ")],
  ]);
  return table(columns, rows);
}

type DiffOptions = ConnectionOptions & { file?: string };

function addDiff(plugin: Command, io: Io): void {
  const command = plugin
    .command("diff")
    .summary("show what a file would change, or which nodes run another version")
    .description(
      "With --file: show what applying the file would change in the spec of a cluster's Plugin, its source included. Without: show which version the Plugin has and which each node runs. Exit code 1 when something differs.",
    )
    .argument("<plugin>", "its name")
    .option("-f, --file <plugin.yaml>", "the Plugin as it would be applied");
  withConnection(command).action(async (name: string, options: DiffOptions) => {
    const cluster = (await clusterMeant(options)) ?? (await loadCluster(options));
    const live = await readPlugin(cluster.api, name);
    const isSame =
      options.file === undefined
        ? await diffNodes(io, cluster, live, options)
        : diffSpecs(io, live, await pluginIn(options.file, name), options);
    if (!isSame) throw new CommandExit(EXIT.failed);
  });
  example(command, "sluice plugin diff guard -f guard.yaml", "before kubectl apply -f guard.yaml");
}

/** With all defaults filled in: what the API server added is no difference. */
function diffSpecs(io: Io, live: PluginObject, wanted: PluginObject, { output }: DiffOptions): boolean {
  const lines = (plugin: PluginObject) =>
    stringify(parsePlugin(plugin).spec, { lineWidth: 0, sortMapEntries: true }).trimEnd().split("\n");
  const changed = changedLines(lineDiff(lines(live), lines(wanted)));
  if (output === "json") io.out(JSON.stringify({ differs: changed.length > 0, lines: changed }));
  else io.out(changed.length === 0 ? "nothing differs" : changed.join("\n"));
  return changed.length === 0;
}

/** @throws SluiceError "unreadable-file", "invalid-plugin-file" */
async function pluginIn(file: string, name: string): Promise<PluginObject> {
  const documents = parseAllDocuments(await readText(file));
  const [wrong] = documents.flatMap(({ errors }) => errors);
  if (wrong !== undefined) throw SluiceError.of("invalid-plugin-file", file, messageOf(wrong));
  const objects = documents.map((document) => document.toJS() as Partial<PluginObject & { kind: string }> | null);
  const found = objects.find((object) => object?.kind === "Plugin" && object.metadata?.name === name);
  if (found?.metadata !== undefined) return { ...found, metadata: found.metadata };
  throw SluiceError.of("invalid-plugin-file", file, `it has no Plugin named ${name}`);
}

async function diffNodes(
  io: Io,
  cluster: ClusterAccess,
  { metadata: { name }, status }: PluginObject,
  { output, timeout }: DiffOptions,
): Promise<boolean> {
  const wanted = status?.digest ?? "";
  const asked = await onNodes(await cluster.nodes(), (node) =>
    onNode(cluster, node, (client) => client.call("listPlugins", {}, timeout)),
  );
  const nodes = [...asked].map(([node, answer]) => {
    if (isProblems(answer)) return { node, digest: null, problem: answer[0]?.message ?? "no answer" };
    return { node, digest: answer.plugins.find((each) => each.name === name)?.digest ?? null, problem: "" };
  });
  // A node that its placement leaves out runs none.
  const running = nodes.filter(({ digest, problem }) => digest !== null || problem !== "");
  const isSame = running.every(({ digest }) => digest === wanted);
  if (output === "json") io.out(JSON.stringify({ differs: !isSame, digest: wanted, nodes }));
  else {
    const rows = nodes.map(({ node, digest, problem }) => [
      node,
      digest?.slice(0, 12) ?? "-",
      stateOf(digest, problem, wanted),
    ]);
    const head = `plugin ${name}  digest ${wanted.slice(0, 12) || "none yet"}`;
    io.out(`${head}\n\n${table([{ title: "NODE" }, { title: "RUNS" }, { title: "" }], rows)}`);
  }
  return isSame;
}

function stateOf(digest: string | null, problem: string, wanted: string): string {
  if (problem !== "") return problem;
  if (digest === null) return "does not run it";
  return digest === wanted ? "same" : "another version";
}
