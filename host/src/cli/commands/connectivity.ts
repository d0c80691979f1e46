import { CommandExit, EXIT, example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { hostAndPort } from "../../connectivity/checks.js";
import { probeSchema, runProbes } from "../../connectivity/probe.js";
import { ProbeServer } from "../../connectivity/server.js";
import { SluiceError } from "../../errors.js";
import { durationMs, names, nodeName } from "../arguments.js";
import type { ClusterAccess } from "../cluster/cluster.js";
import { type ClusterOptions, withCluster } from "../cluster/options.js";
import { containerOf, DATAPLANE } from "../cluster/sluice-pods.js";
import { loadCluster } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import { type Io, shorten, TABLE_WIDTH } from "../output.js";
import { connectivityText } from "../views/connectivity.js";

export function addConnectivity(program: Command, io: Io): void {
  const connectivity = program
    .command("connectivity")
    .summary("test who reaches whom on a cluster")
    .description("Test who reaches whom on a cluster, with pods of its own.");
  example(connectivity, "sluice connectivity test", "all paths, both families, policies");
  addTest(connectivity, io);
  addServe(connectivity, io);
  addProbe(connectivity, io);
}

interface TestFlags extends ClusterOptions, OutputOptions {
  image?: string;
  name?: string[];
  outside: string[];
  keep?: boolean;
  /** Milliseconds. */
  timeout: number;
}

function addTest(connectivity: Command, io: Io): void {
  const command = connectivity
    .command("test")
    .summary("let pods and nodes call each other on all paths")
    .description(
      "Create pods and a service in a namespace of their own, and let them and a node call each other: on the same node and another one, by ClusterIP, NodePort and DNS, to the outside where asked, and with network policies that allow and deny; TCP with 100 kB and UDP, IPv4 and IPv6. All of it is removed at the end, at Ctrl-C and on a failure too. Exit code 1 when a call did not go as it should.",
    )
    .option("--image <image>", "of the pods, one that has sluice; default: that of the nodes' dataplane")
    .option("-n, --name <nodes>", "on this node, and to this other one; default: the first two", names)
    .option("--outside <target>", "also call HOST:PORT or a URL from a pod; may be repeated", outsideTarget, [])
    .option("--keep", "leave the namespace, to look at what failed")
    .addOption(new Option("--timeout <time>", "for all of it").argParser(durationMs).default(300_000, "5m"));
  withCluster(withOutput(command)).action((flags: TestFlags) => test(io, flags));
  example(command, "sluice connectivity test --outside 192.0.2.1:443", "all paths, and one to the outside");
}

async function test(io: Io, flags: TestFlags): Promise<void> {
  const cluster = await loadCluster(flags);
  const { testConnectivity } = await import("../../connectivity/run.js");
  const { nodes, all } = await cluster.pods();
  const chosen = await chosenNodes(cluster, flags.name);
  const image = flags.image ?? imageOf(all);
  const begun = performance.now();
  let timedOut = false;
  await untilInterrupted(io, async (interrupted, interrupt) => {
    const timer = setTimeout(() => {
      timedOut = true;
      interrupt();
    }, flags.timeout);
    try {
      const { namespace, outcomes } = await testConnectivity({
        api: cluster.api,
        image,
        nodes: chosen,
        nodeContainers: new Map([...nodes].map(([node, pod]) => [node, containerOf(pod, DATAPLANE)])),
        outside: flags.outside,
        keep: flags.keep ?? false,
        progress: (what) => io.err(shorten(what.replace(/\s*\n\s*/g, " "), TABLE_WIDTH)),
        interrupted,
      });
      const healthy = outcomes.every(({ ok }) => ok);
      const seconds = (performance.now() - begun) / 1000;
      if (flags.output === "json")
        io.out(JSON.stringify({ healthy, namespace, seconds, calls: outcomes.map(outcomeJson) }));
      else io.out(connectivityText(namespace, outcomes, seconds));
      if (!healthy) throw new CommandExit(EXIT.failed);
    } catch (error) {
      throw interrupted.aborted && !(error instanceof SluiceError) ? stopped(timedOut) : error;
    } finally {
      clearTimeout(timer);
    }
  });
}

function stopped(timedOut: boolean): SluiceError {
  if (!timedOut) return SluiceError.of("interrupted", "", "the test was interrupted; what it made is removed");
  const why = "the test did not end in time, see what it waited for last; what it made is removed; raise --timeout";
  return SluiceError.of("timed-out", "", why);
}

async function chosenNodes(cluster: ClusterAccess, only: readonly string[] = []): Promise<[string, string?]> {
  const known = await cluster.nodes(only);
  // In the order that they were named in.
  const [node, other] = only.length === 0 ? known : only;
  if (node === undefined) throw SluiceError.of("unknown-node", "", "Sluice runs on no node of the cluster");
  return other === undefined ? [node] : [node, other];
}

function imageOf(pods: readonly { spec: { containers: readonly { name: string; image?: string }[] } }[]): string {
  const containers = pods.flatMap(({ spec }) => spec.containers);
  const image = containers.find(({ name }) => name === DATAPLANE)?.image;
  if (image !== undefined) return image;
  throw SluiceError.of("unknown-image", "", "no node runs Sluice's image; name one with --image");
}

type Outcomes = Awaited<ReturnType<typeof import("../../connectivity/run.js")["testConnectivity"]>>["outcomes"];

function outcomeJson({ check, ok, error, ms }: Outcomes[number]) {
  const { path, from, to, transport, family, allowed, probe } = check;
  const target = { host: probe.host, port: probe.port };
  return { path, from, to, transport, family: family ?? null, target, allowed, ok, error, ms: Math.round(ms) };
}

function outsideTarget(text: string, before: readonly string[]): string[] {
  const { host, port } = hostAndPort(text);
  const isUrl = /^https?:\/\//.test(text) && URL.canParse(text);
  if (!isUrl && (host === "" || port < 1 || port > 65535)) {
    throw new InvalidArgumentError(`Found "${text}"; allowed: HOST:PORT, [ADDRESS]:PORT, or an http or https URL.`);
  }
  return [...before, text];
}

function addServe(connectivity: Command, io: Io): void {
  const command = connectivity
    .command("serve")
    .summary("answer calls, as a test's pods do")
    .description(
      "Answer who it is and who called, over HTTP at port 8080 and UDP at port 8081, until SIGINT or SIGTERM.",
    )
    .requiredOption("--as <name>", "what it calls itself", nodeName);
  withOutput(command).action(async ({ as, output }: OutputOptions & { as: string }) => {
    const server = await ProbeServer.start(as);
    io.out(output === "json" ? JSON.stringify({ server: as, pid: process.pid }) : `ready: ${as}`);
    await untilInterrupted(
      io,
      (interrupted) => new Promise((resolve) => interrupted.addEventListener("abort", () => resolve())),
    );
    await server.close();
  });
  example(command, "sluice connectivity serve --as near", "what the pod near runs");
}

function addProbe(connectivity: Command, io: Io): void {
  const command = connectivity
    .command("probe")
    .summary("make calls, as a test's pods do")
    .description("Make calls, all at once, and say what came of each.")
    .argument("<calls>", "a JSON list of id, kind (tcp, udp, open or url), host, port; timeoutMs, tries, bytes", calls);
  withOutput(command).action(async (probes: z.output<typeof callsSchema>, { output }: OutputOptions) => {
    const results = await runProbes(probes);
    if (output === "json") io.out(JSON.stringify(results));
    else for (const { id, ok, error = "", ms } of results) io.out(`${id}  ${ok ? "ok" : error}  ${Math.round(ms)} ms`);
  });
  const call = `'[{"id":"a","kind":"tcp","host":"10.1.1.2","port":8080}]'`;
  example(command, `sluice connectivity probe ${call}`, "");
}

const callsSchema = z.array(probeSchema).min(1);

function calls(text: string): z.output<typeof callsSchema> {
  try {
    return callsSchema.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    throw new InvalidArgumentError("Found no list of calls; --help shows one.");
  }
}
