import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parsePrefix } from "../../config/addresses.js";
import type { StartSettings } from "../../dataplane/start-file.js";
import { durationMs, nodeName } from "../arguments.js";
import { type EtcdFlags, etcdOf, withEtcd } from "../etcd-options.js";
import type { Io } from "../output.js";

interface AgentFlags extends EtcdFlags, OutputOptions {
  node: string;
  dataplane?: string;
  stateDir?: string;
  cniSocket: string;
  listen: string;
  serviceCidr: string[];
  coolDown: number;
  logLevel: StartSettings["logLevel"];
}

export function addAgent(program: Command, io: Io): void {
  const command = withEtcd(program.command("agent"))
    .summary("make a node's dataplane what the cluster asks for")
    .description(
      "Make a node's dataplane what the cluster asks for, and give pods their addresses and interfaces, until SIGINT or SIGTERM: packets flow on without it. It follows Sluice's etcd, and starts with what it knew last where etcd is away. Logs go to stderr, as JSON lines.",
    )
    .requiredOption("--node <name>", "the node's name in Kubernetes", nodeName)
    .option("--dataplane <socket>", "where the dataplane takes calls; default: /run/sluice/<node>.sock")
    .option("--state-dir <folder>", "the dataplane's, where it is not /var/lib/sluice/<node>")
    .option("--cni-socket <path>", "where sluice-cni is served", "/run/sluice/cni.sock")
    .option("--listen <address>", "where /healthz, /readyz and /metrics are", "127.0.0.1:9466")
    .option(
      "--service-cidr <prefix>",
      "addresses of services, which the node's own processes reach through the dataplane, where they are not those of the API server's ServiceCIDR objects; may be repeated",
      prefixes,
      [],
    )
    .addOption(
      new Option("--cool-down <time>", "how long a pod's address rests before another pod gets it")
        .argParser(durationMs)
        .default(60_000, "1m"),
    )
    .addOption(
      new Option("--log-level <level>", "how much is logged, by the dataplane too")
        .choices(["trace", "debug", "info", "warn", "error"])
        .default("info"),
    );
  withOutput(command).action(async (flags: AgentFlags) => {
    const etcd = etcdOf(flags);
    const { runAgent } = await import("../../agent/process.js");
    await runAgent({
      ...flags,
      etcd,
      onReady: (port) =>
        io.out(
          flags.output === "json"
            ? JSON.stringify({ name: flags.node, port, pid: process.pid })
            : `started: node ${flags.node}, /healthz, /readyz and /metrics on port ${port}`,
        ),
    });
  });
  example(command, "sluice agent --node node-a --etcd http://10.0.0.1:2379", "beside sluice dataplane --node node-a");
}

function prefixes(text: string, before: readonly string[]): string[] {
  if (parsePrefix(text) !== undefined) return [...before, text];
  throw new InvalidArgumentError(`Found "${text}"; allowed: a prefix such as 10.96.0.0/12.`);
}
