import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Command } from "commander";

/** Which cluster. */
export interface ClusterOptions {
  kubeconfig?: string;
  context?: string;
  /** Where Sluice is installed. */
  namespace?: string;
}

/** The options of commands that reach a cluster. */
export function withCluster(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "how to reach the cluster; default: as kubectl does")
    .option("--context <name>", "of the kubeconfig; default: its current one")
    .option("--namespace <name>", "where Sluice is installed; default: where its pods are found");
}

/** Called as `kubectl sluice`: a cluster is meant, unless a socket is named. */
export const isKubectlPlugin = (): boolean => basename(process.argv[1] ?? "").startsWith("kubectl-");

export function namesCluster({ kubeconfig, context, namespace }: ClusterOptions): boolean {
  return [kubeconfig, context, namespace].some((given) => given !== undefined) || isKubectlPlugin();
}

/** Whether kubectl would find a cluster without being told. */
export function hasKubeconfig(): boolean {
  const { KUBECONFIG } = process.env;
  if (KUBECONFIG !== undefined && KUBECONFIG !== "") return true;
  return existsSync(join(homedir(), ".kube", "config"));
}
