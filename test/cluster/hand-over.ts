import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cleanup } from "../support/cleanup.js";
import type { Cluster } from "./cluster.js";
import { startGateway } from "./gateway.js";
import { KUBERNETES } from "./programs.js";

const kubeconfig = (cluster: Cluster) => join(cluster.plan.folder, "kubeconfig");

/** Makes the cluster usable from this machine: a kubeconfig, kubectl, and a command that runs others on a machine of the cluster. */
export async function handOver(cleanup: Cleanup, cluster: Cluster): Promise<void> {
  const { control, nodes, plan, wire } = cluster;
  const url = await startGateway(cleanup, control.namespace, plan.folder);
  control.writeAdminConfig(kubeconfig(cluster), url);
  writeScript(join(plan.folder, "kubectl"), [KUBERNETES, "kubectl", `--kubeconfig=${kubeconfig(cluster)}`]);
  for (const node of nodes) writeScript(join(plan.folder, `on-${node.name}`), node.command([]));
  writeScript(join(plan.folder, "on-control"), control.namespace.command([]));
  writeScript(join(plan.folder, "on-outside"), wire.outside.command([]));
}

/** Runs `argv` with the script's own arguments added. */
function writeScript(file: string, argv: readonly string[]): void {
  writeFileSync(file, `#!/bin/sh\nexec ${argv.map((word) => `'${word}'`).join(" ")} "$@"\n`, { mode: 0o755 });
}

export function howToUse({ plan, nodes }: Cluster): string {
  const [node] = nodes;
  return `export KUBECONFIG=${plan.folder}/kubeconfig
${plan.folder}/kubectl get pods -A -o wide
${plan.folder}/on-${node?.name} ip route          # any command on a node; on-control, on-outside likewise
logs: ${plan.folder}/*/*.log`;
}
