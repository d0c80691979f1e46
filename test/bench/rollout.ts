// A Plugin's new version on 500 nodes: a real API server, reflector and etcds, and the nodes' agents without dataplanes.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NODE_REPORTS_PREFIX } from "@sluice/host/dist/cluster/keys.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import type { EtcdServer } from "../support/etcd.js";
import type { ApiServer, Manifest } from "../support/kube-api.js";
import { Background, eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { ReflectorProcess, startControlPlane } from "./reflector-process.js";
import type { Figure } from "./result.js";

export const rolloutBenchmarks: readonly string[] = ["rollout"];

const NODES = 500;
/** Each of them with as many agents. */
const PROCESSES = 4;
const START_MS = 150_000;
const CHANGE_MS = 60_000;
const EACH_MS = 600_000;
const MIB = 1 << 20;
const NAME = "rolled-out";
const PLUGINS = "/apis/sluice.dev/v1alpha1/plugins";

/** A node's report that it runs the version is what the next one waits for. */
const NODE_BY_NODE = { strategy: "NodeByNode", settleSeconds: 0 };

export async function* runRollout(): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, async () => undefined);
  try {
    const bench = await RolloutBench.prepare(cleanup);
    yield* bench.figures("rollout-500-first", () => bench.create());
    yield* bench.figures("rollout-500", () => bench.change(2));
    yield* bench.figures("rollout-500-each", () => bench.change(3, NODE_BY_NODE), EACH_MS);
  } finally {
    await cleanup.close();
    unwatch();
  }
}

interface Load {
  /** Requests of the API server by their verbs, without watches. */
  readonly api: ReadonlyMap<string, number>;
  /** Of the API server: open ones, and events that all have sent. */
  readonly watches: number;
  readonly events: number;
  /** Transactions of Sluice's etcd. */
  readonly writes: number;
  /** Bytes that it has sent. */
  readonly sent: number;
}

class RolloutBench {
  /** Generations of the Plugin that nodes report, by their keys. */
  private readonly reported = new Map<string, number | undefined>();
  private own = 0;

  private constructor(
    private readonly api: ApiServer,
    private readonly etcd: EtcdServer,
  ) {}

  static async prepare(cleanup: Cleanup): Promise<RolloutBench> {
    const { api, etcd } = await startControlPlane(cleanup);
    const names = Array.from({ length: NODES }, (_, index) => `node-${index}`);
    await inTurns(names, (name, index) => api.make(nodeObject(name, index)));
    const reflector = await ReflectorProcess.start(api, etcd, cleanup);
    await reflector.synced();
    const bench = new RolloutBench(api, etcd);
    await bench.watch(cleanup);
    await startAgents(names, etcd.endpoint, cleanup);
    await eventually("all nodes' first reports", START_MS, () => (bench.reported.size === NODES ? true : undefined));
    return bench;
  }

  /** Until all nodes report the change, and its status says that they do well: times, and what it took. */
  async *figures(name: string, make: () => Promise<number>, limitMs = CHANGE_MS): AsyncGenerator<Figure> {
    const before = await this.load();
    this.own = 0;
    const started = performance.now();
    const generation = await make();
    const seconds = () => (performance.now() - started) / 1000;
    await eventually("all nodes to run it", limitMs, () => (this.runs(generation) ? true : undefined));
    yield { name, unit: "s", value: seconds() };
    await eventually("its status to say so", CHANGE_MS, async () => {
      await sleep(100);
      return (await this.isReady(generation)) ? true : undefined;
    });
    yield { name: `${name}-ready`, unit: "s", value: seconds() };
    const after = await this.load();
    for (const [verb, count] of after.api) {
      const value = count - (before.api.get(verb) ?? 0) - (verb === "GET" ? this.own : 0);
      if (value > 0) yield { name: `${name}-api`, unit: `${verb} requests`, value };
    }
    yield { name: `${name}-watches`, unit: "open", value: after.watches };
    yield { name: `${name}-events`, unit: "by watches", value: after.events - before.events };
    yield { name: `${name}-etcd`, unit: "writes", value: after.writes - before.writes };
    yield { name: `${name}-sent`, unit: "MiB", value: (after.sent - before.sent) / MIB };
  }

  async create(): Promise<number> {
    const rollout = { strategy: "AllAtOnce", settleSeconds: 1 };
    const spec = { source: { inline: source(1) }, rollout };
    const plugin: Manifest = { apiVersion: "sluice.dev/v1alpha1", kind: "Plugin", metadata: { name: NAME }, spec };
    await this.api.make(plugin);
    return 1;
  }

  async change(version: number, rollout?: object): Promise<number> {
    const spec = { source: { inline: source(version) }, ...(rollout === undefined ? {} : { rollout }) };
    const type = "application/merge-patch+json";
    const { metadata } = await this.api.must<{ metadata: { generation: number } }>(
      "PATCH",
      `${PLUGINS}/${NAME}`,
      { spec },
      type,
    );
    return metadata.generation;
  }

  private runs(generation: number): boolean {
    return [...this.reported.values()].every((each) => each === generation);
  }

  private async isReady(generation: number): Promise<boolean> {
    this.own++;
    const { status } = await this.api.must<{ status?: { conditions?: Condition[] } }>("GET", `${PLUGINS}/${NAME}`);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True" && ready.observedGeneration === generation;
  }

  private async watch(cleanup: Cleanup): Promise<void> {
    const store = EtcdStore.open({ endpoints: [this.etcd.endpoint] });
    cleanup.defer("the store", () => store.close());
    const watch = store.watch(NODE_REPORTS_PREFIX, {
      changed: (changes) => {
        for (const { key, value = "{}" } of changes) {
          const { plugins = [] } = JSON.parse(value) as { plugins?: { name: string; generation?: number }[] };
          this.reported.set(key, plugins.find(({ name }) => name === NAME)?.generation);
        }
      },
    });
    cleanup.defer("the watch of reports", () => watch.close());
    await watch.synced;
  }

  private async load(): Promise<Load> {
    this.own++;
    const { body } = await this.api.call("GET", "/metrics");
    const etcd = await this.etcd.metrics();
    return {
      api: byVerb(body),
      watches: total(body, /^apiserver_longrunning_requests\{.*verb="WATCH".*\} (.+)$/gm),
      events: total(body, /^apiserver_watch_events_total\{.*\} (.+)$/gm),
      writes: total(etcd, /^grpc_server_handled_total\{.*grpc_method="Txn".*\} (.+)$/gm),
      sent: total(etcd, /^etcd_network_client_grpc_sent_bytes_total (.+)$/gm),
    };
  }
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly observedGeneration: number;
}

function total(metrics: string, line: RegExp): number {
  return [...metrics.matchAll(line)].reduce((sum, [, value]) => sum + Number(value), 0);
}

function byVerb(metrics: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [, verb = "", value] of metrics.matchAll(/^apiserver_request_total\{.*verb="([A-Z]+)".*\} (.+)$/gm)) {
    if (verb !== "WATCH") counts.set(verb, (counts.get(verb) ?? 0) + Number(value));
  }
  return counts;
}

/** A few at a time. */
async function inTurns(names: readonly string[], work: (name: string, index: number) => Promise<void>): Promise<void> {
  const queue = [...names.entries()];
  const one = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: 8 }, one));
}

const nodeObject = (name: string, index: number) => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name },
  status: { addresses: [{ type: "InternalIP", address: `172.30.${index >> 8}.${index & 255}` }] },
});

async function startAgents(names: readonly string[], endpoint: string, cleanup: Cleanup): Promise<void> {
  const program = fileURLToPath(new URL("./rollout-nodes.js", import.meta.url));
  const folder = temporaryFolder(cleanup);
  const processes = Array.from({ length: PROCESSES }, (_, part) => {
    const own = names.filter((_name, index) => index % PROCESSES === part);
    const agents = new Background([process.execPath, program, endpoint, folder, ...own]);
    cleanup.defer("agents", async () => void (await agents.stop("SIGKILL")));
    return agents;
  });
  await eventually("the agents", START_MS, () => {
    const ended = processes.find(({ running }) => !running);
    if (ended !== undefined) throw new Error(`agents ended:\n${ended.stderr.slice(-3000)}`);
    return processes.every(({ stdout }) => stdout.includes("all follow")) ? true : undefined;
  });
}

const source = (version: number): string => `
import { Batch, Counter, definePlugin } from "@sluice/sdk";

definePlugin({ name: "${NAME}", version: "1.0.${version}", headerBytes: 64 });

const seen = new Counter("seen_packets", "Packets");

@hook("forward")
export function process(batch: Batch): void {
  seen.add(batch.length);
}
`;
