import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { VERSION } from "../../version.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { isProblems, onNodes } from "../cluster/facts.js";
import { type ClusterOptions, hasKubeconfig, namesCluster, withCluster } from "../cluster/options.js";
import type { Pod } from "../cluster/sluice-pods.js";
import { loadCluster, onNode } from "../connection.js";
import type { Io } from "../output.js";

interface VersionOptions extends OutputOptions, ClusterOptions {
  client?: boolean;
}

interface Versions {
  sluice: string;
  node: string;
  /** Absent: no cluster was asked. */
  cluster?: {
    kubernetes: string;
    /** Of each node's dataplane; null: it did not answer. */
    dataplanes: Record<string, string | null>;
    images: string[];
  };
}

const ANSWER_MS = 10_000;

export function addVersion(program: Command, io: Io): void {
  const command = program
    .command("version")
    .summary("print the version, and that of the cluster")
    .description("Print the version of Sluice and of Node, and where there is a cluster, what runs there.")
    .option("--client", "ask no cluster");
  withCluster(withOutput(command)).action(async (options: VersionOptions) => {
    const own: Versions = { sluice: VERSION, node: process.versions.node };
    const asks = options.client !== true && (namesCluster(options) || hasKubeconfig());
    const versions = asks ? { ...own, cluster: await clusterVersions(await loadCluster(options)) } : own;
    io.out(options.output === "json" ? JSON.stringify(versions) : versionsText(versions));
  });
  example(command, "sluice version", "");
}

async function clusterVersions(cluster: ClusterAccess): Promise<NonNullable<Versions["cluster"]>> {
  const { gitVersion } = await cluster.api.get<{ gitVersion: string }>("/version");
  const { all } = await cluster.pods();
  const statuses = await onNodes(await cluster.nodes(), (node) =>
    onNode(cluster, node, (client) => client.call("status", {}, ANSWER_MS)),
  );
  const versions = [...statuses].map(([node, status]) => [node, isProblems(status) ? null : status.version] as const);
  return { kubernetes: gitVersion, dataplanes: Object.fromEntries(versions), images: imagesOf(all) };
}

function imagesOf(pods: readonly Pod[]): string[] {
  const images = pods.flatMap(({ spec }) => spec.containers.map(({ image = "" }) => image));
  return [...new Set(images)].filter((image) => image !== "").sort();
}

function versionsText({ sluice, node, cluster }: Versions): string {
  const own = `sluice ${sluice} (Node ${node})`;
  if (cluster === undefined) return own;
  const { kubernetes, dataplanes, images } = cluster;
  const nodes = Object.entries(dataplanes).map(([name, version]) => `  ${name}  ${version ?? "no answer"}`);
  return [
    own,
    `Kubernetes ${kubernetes}`,
    "dataplanes:",
    ...nodes,
    "images:",
    ...images.map((image) => `  ${image}`),
  ].join("\n");
}
