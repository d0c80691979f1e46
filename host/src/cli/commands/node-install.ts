import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import type { Command } from "commander";
import type { NamespacedName } from "../../kube/api.js";
import { namespacedName } from "../etcd-options.js";
import { logLevelOption } from "../log-level.js";
import type { Io } from "../output.js";

interface NodeInstallFlags extends OutputOptions {
  daemonset?: NamespacedName;
  cniBin: string;
  cniConf: string;
  conflist?: string;
  remove: string[];
  kubeconfig?: string;
  logLevel: string;
}

export function addNodeInstall(program: Command, io: Io): void {
  const command = program
    .command("node-install")
    .summary("keep the CNI's program and configuration on a node")
    .description(
      "Copy sluice-cni to where the container runtime looks for it, then, once the node's agent can add pods, the CNI's configuration, and put both right when somebody changes them, until SIGINT or SIGTERM. With its DaemonSet gone by then it removes them; else they stay for whoever comes next.",
    )
    .option("--daemonset <namespace/name>", "that it runs in; without it nothing is ever removed", namespacedName)
    .option("--cni-bin <folder>", "the container runtime's, for programs", "/opt/cni/bin")
    .option("--cni-conf <folder>", "the container runtime's, for configurations", "/etc/cni/net.d")
    .option("--conflist <file>", "another configuration than Sluice's own 10-sluice.conflist")
    .option(
      "--remove <path>",
      "what else goes with the DaemonSet: a file, or what is in a folder; may be repeated",
      (path: string, before: readonly string[]) => [...before, path],
      [],
    )
    .option("--kubeconfig <file>", "how to reach the API; default: that of the pod this runs in, or as kubectl")
    .addOption(logLevelOption());
  withOutput(command).action(async (flags: NodeInstallFlags) => {
    const { runNodeInstall } = await import("../../node-install/process.js");
    await runNodeInstall({
      ...flags,
      onInstalled: () =>
        io.out(
          flags.output === "json"
            ? JSON.stringify({ installed: true, pid: process.pid })
            : `installed: ${flags.cniBin}, ${flags.cniConf}`,
        ),
    });
  });
  example(command, "sluice node-install --daemonset kube-system/sluice", "in the DaemonSet's pod, beside the agent");
}
