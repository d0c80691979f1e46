import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { durationMs } from "../arguments.js";
import { type EtcdFlags, etcdOf, withEtcd } from "../etcd-options.js";
import { logLevelOption } from "../log-level.js";
import type { Io } from "../output.js";

interface ReflectorFlags extends EtcdFlags, OutputOptions {
  leaseNamespace: string;
  identity?: string;
  listen: string;
  /** Milliseconds. */
  compileTime: number;
  fetchTime: number;
  logLevel: string;
}

export function addReflector(program: Command, io: Io): void {
  const command = withEtcd(program.command("reflector"))
    .summary("mirror the Kubernetes API into Sluice's etcd")
    .description(
      "Mirror what agents need of the Kubernetes API into Sluice's etcd, and give node ids and blocks of addresses to nodes, until SIGINT or SIGTERM. Of several one is active, the one that has the Lease; another one takes over when it is gone. Logs go to stderr, as JSON lines.",
    )
    .option("--lease-namespace <namespace>", "where the Lease sluice-reflector is", "kube-system")
    .option(
      "--identity <name>",
      "who holds the Lease. One that is killed and started again with the name that it had, as a pod's container is, need not wait until its Lease runs out. No two may run with one name. (default: the host's name and a random part)",
    )
    .option("--listen <address>", "where /healthz, /readyz and /metrics are", ":9465")
    .addOption(
      new Option("--compile-time <time>", "CPU time that the source of a Plugin may take to compile")
        .argParser(durationMs)
        .default(60_000, "1m"),
    )
    .addOption(
      new Option("--fetch-time <time>", "how long a request for a Plugin's module may take")
        .argParser(durationMs)
        .default(30_000, "30s"),
    )
    .addOption(logLevelOption());
  withOutput(command).action(async (flags: ReflectorFlags) => {
    const etcd = etcdOf(flags);
    const { runReflector } = await import("../../reflector/process.js");
    await runReflector({
      ...flags,
      identity: flags.identity ?? `${hostname()}_${randomUUID()}`,
      etcd,
      pluginLimits: { compileMs: flags.compileTime, fetchMs: flags.fetchTime },
      onReady: (port) =>
        io.out(
          flags.output === "json"
            ? JSON.stringify({ port, pid: process.pid })
            : `started: /healthz, /readyz and /metrics on port ${port}`,
        ),
    });
  });
  example(
    command,
    "sluice reflector --etcd http://127.0.0.1:2379 --kubeconfig admin.conf",
    "beside the cluster, as its administrator",
  );
}
