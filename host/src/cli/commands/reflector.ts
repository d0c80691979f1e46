import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import type { EtcdTls } from "../../store/connection.js";
import type { Io } from "../output.js";

export interface EtcdFlags {
  etcd: string[];
  etcdCa?: string;
  etcdCert?: string;
  etcdKey?: string;
}

/** The options of commands that use Sluice's etcd. */
export function withEtcd(command: Command): Command {
  return command
    .requiredOption("--etcd <urls>", "endpoints of Sluice's etcd, with commas between", (text) => text.split(","))
    .option("--etcd-ca <file>", "PEM file of the CA that signed etcd's certificate")
    .option("--etcd-cert <file>", "PEM file of a client certificate, where etcd asks for one")
    .option("--etcd-key <file>", "PEM file of its key");
}

export function tlsOf({ etcdCa, etcdCert, etcdKey }: EtcdFlags): { tls?: EtcdTls } {
  if (etcdCa === undefined) return {};
  const client = {
    ...(etcdCert === undefined ? {} : { cert: etcdCert }),
    ...(etcdKey === undefined ? {} : { key: etcdKey }),
  };
  return { tls: { ca: etcdCa, ...client } };
}

export const logLevelOption = () =>
  new Option("--log-level <level>", "how much is logged")
    .choices(["trace", "debug", "info", "warn", "error", "fatal"])
    .default("info");

interface ReflectorFlags extends EtcdFlags, OutputOptions {
  kubeconfig?: string;
  leaseNamespace: string;
  listen: string;
  logLevel: string;
}

export function addReflector(program: Command, io: Io): void {
  const command = withEtcd(program.command("reflector"))
    .summary("mirror the Kubernetes API into Sluice's etcd")
    .description(
      "Mirror what agents need of the Kubernetes API into Sluice's etcd, and give node ids and blocks of addresses to nodes, until SIGINT or SIGTERM. Of several one is active, the one that has the Lease; another one takes over when it is gone. Logs go to stderr, as JSON lines.",
    )
    .option("--kubeconfig <file>", "how to reach the API; default: that of the pod this runs in, or as kubectl")
    .option("--lease-namespace <namespace>", "where the Lease sluice-reflector is", "kube-system")
    .option("--listen <address>", "where /healthz, /readyz and /metrics are", ":9465")
    .addOption(logLevelOption());
  withOutput(command).action(async (flags: ReflectorFlags) => {
    const { runReflector } = await import("../../reflector/process.js");
    await runReflector({
      ...flags,
      ...tlsOf(flags),
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
