import { readdirSync, readFileSync } from "node:fs";
import { BLOCKS_PREFIX, MIRROR_PREFIX } from "@sluice/host/dist/cluster/keys.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { KUBERNETES } from "../cluster/programs.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { EtcdServer } from "../support/etcd.js";
import { ApiServer, pathOf } from "../support/kube-api.js";
import { Background, eventually } from "../support/process.js";
import { fillKubernetes } from "./fill.js";
import type { Figure } from "./result.js";
import { type ClusterSize, clusterObjects, LARGE } from "./synthetic.js";

export const reflectorBenchmarks = ["reflector"];

const SYNC_MS = 900_000;
const CHANGES = 200;
const CHANGE_MS = 30_000;

/**
 * The reflector with a real API server and real etcds, at the size of a large cluster. The objects are synthetic: written into the
 * API server's etcd before it starts, since making them one by one takes an hour. Nothing else of the cluster is there.
 */
export async function* runReflector(size: ClusterSize = LARGE): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, async () => undefined);
  try {
    const bench = await ReflectorBench.prepare(size, cleanup);
    yield* bench.run();
  } finally {
    await cleanup.close();
    unwatch();
  }
}

class ReflectorBench {
  private constructor(
    private readonly size: ClusterSize,
    private readonly api: ApiServer,
    private readonly etcd: EtcdServer,
    private readonly store: EtcdStore,
    private readonly cleanup: Cleanup,
  ) {}

  static async prepare(size: ClusterSize, cleanup: Cleanup): Promise<ReflectorBench> {
    const program = [KUBERNETES, "etcd"];
    const quota = (gib: number) => ["--quota-backend-bytes", String(gib * 2 ** 30)];
    const kubeEtcd = await EtcdServer.start({ program, flags: quota(8) });
    cleanup.defer("the API server's etcd", () => kubeEtcd.stop());
    const etcd = await EtcdServer.start({ program, flags: quota(4) });
    cleanup.defer("Sluice's etcd", () => etcd.stop());
    await fillKubernetes(kubeEtcd.endpoint, size);
    const api = await ApiServer.start(KUBERNETES, kubeEtcd);
    cleanup.defer("the API server", () => api.stop());
    const store = EtcdStore.open({ endpoints: [etcd.endpoint] });
    cleanup.defer("the store", () => store.close());
    await install(api);
    return new ReflectorBench(size, api, etcd, store, cleanup);
  }

  async *run(): AsyncGenerator<Figure> {
    const first = await Running.start(this.api, this.etcd, this.cleanup);
    await first.synced();
    yield { name: "reflector-fill", unit: "s", value: first.seconds() };
    await this.#granted();
    yield { name: "reflector-nodes", unit: "s", value: first.seconds() };
    await first.stop();
    const again = await Running.start(this.api, this.etcd, this.cleanup);
    await again.synced();
    yield { name: "reflector-resync", unit: "s", value: again.seconds() };
    const latencies = (await this.#changes()).sort((a, b) => a - b);
    yield { name: "reflector-change", unit: "ms", value: quantile(latencies, 0.5) };
    yield { name: "reflector-change-99", unit: "ms", value: quantile(latencies, 0.99) };
    yield { name: "reflector-cpu", unit: "s", value: first.cpuSeconds };
    yield { name: "reflector-memory", unit: "MiB", value: Math.max(first.peakMiB, again.memory("VmHWM")) };
    yield { name: "reflector-settled", unit: "MiB", value: again.memory("VmRSS") };
    await again.stop();
  }

  /** Every node has its block of each pool. */
  async #granted(): Promise<void> {
    await eventually("all blocks", SYNC_MS, async () => {
      let blocks = 0;
      for await (const { entries } of this.store.list(BLOCKS_PREFIX)) blocks += entries.length;
      return blocks === this.size.nodes * POOLS.length ? true : undefined;
    });
  }

  /** Milliseconds from the request to the API until etcd tells the change, one after the other. */
  async #changes(): Promise<number[]> {
    const pods = podNames(this.size, CHANGES);
    const told = new Map<string, string>();
    const watch = this.store.watch(`${MIRROR_PREFIX}pods/team-0/`, {
      changed: (changes) => {
        for (const { key, value = "" } of changes) told.set(key, value);
      },
    });
    await watch.synced;
    const latencies: number[] = [];
    for (const [i, name] of pods.entries()) {
      const started = performance.now();
      const patch = { metadata: { labels: { turn: `t${i}` } } };
      await this.api.must("PATCH", `/api/v1/namespaces/team-0/pods/${name}`, patch, "application/merge-patch+json");
      await spin(() => told.get(`${MIRROR_PREFIX}pods/team-0/${name}`)?.includes(`"t${i}"`) === true);
      latencies.push(performance.now() - started);
    }
    await watch.close();
    return latencies;
  }
}

/** One reflector as a process, timed from its start. */
class Running {
  readonly #program: Background;
  readonly #port: string;
  readonly #started: number;
  /** Of the whole run, once it has ended. */
  peakMiB = 0;
  cpuSeconds = 0;

  private constructor(program: Background, port: string, started: number) {
    this.#program = program;
    this.#port = port;
    this.#started = started;
  }

  static async start(api: ApiServer, etcd: EtcdServer, cleanup: Cleanup): Promise<Running> {
    const started = performance.now();
    const flags = ["--kubeconfig", api.kubeconfig("reflector"), "--listen", "127.0.0.1:0", "-o", "json"];
    const program = new Background([`${root}/host/bin/sluice.js`, "reflector", "--etcd", etcd.endpoint, ...flags]);
    cleanup.defer("a reflector", async () => void (await program.stop()));
    const port = await eventually("the reflector's port", 60_000, () => {
      if (!program.running) throw new Error(`the reflector ended:\n${program.stderr}`);
      return /"port":(\d+)/.exec(program.stdout)?.[1];
    });
    return new Running(program, port, started);
  }

  async synced(): Promise<void> {
    await eventually("the reflector in step", SYNC_MS, async () => {
      if (!this.#program.running) throw new Error(`the reflector ended:\n${this.#program.stderr.slice(-3000)}`);
      const text = await (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text();
      return /^sluice_reflector_synced 1$/m.test(text) && /^sluice_reflector_pending_writes 0$/m.test(text)
        ? true
        : undefined;
    });
  }

  seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  memory(field: "VmHWM" | "VmRSS"): number {
    const status = readFileSync(`/proc/${this.#program.pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  }

  async stop(): Promise<void> {
    this.peakMiB = this.memory("VmHWM");
    this.cpuSeconds = cpuSeconds(this.#program.pid);
    await this.#program.stop();
  }
}

/** User and system time of a process, in hundredths by the kernel's clock. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const POOLS = [
  { name: "v4", cidr: "10.128.0.0/9" },
  { name: "v6", cidr: "fd00:1::/64" },
];

async function install(api: ApiServer): Promise<void> {
  for (const file of readdirSync(`${root}/deploy/crds`)) await api.makeFrom(`${root}/deploy/crds/${file}`);
  await api.makeFrom(`${root}/deploy/rbac/reflector.yaml`);
  const kind = { apiVersion: "sluice.dev/v1alpha1", kind: "IPPool" };
  await eventually("Sluice's resources", 60_000, async () =>
    (await api.call("GET", pathOf({ ...kind, metadata: { name: "" } }))).status === 200 ? true : undefined,
  );
  for (const { name, cidr } of POOLS) await api.make({ ...kind, metadata: { name }, spec: { cidr } });
}

function podNames(size: ClusterSize, count: number): string[] {
  const names: string[] = [];
  for (const { object } of clusterObjects(size)) {
    if (object.kind === "Pod" && object.metadata.namespace === "team-0") names.push(object.metadata.name);
    if (names.length === count) break;
  }
  return names;
}

async function spin(done: () => boolean): Promise<void> {
  const deadline = performance.now() + CHANGE_MS;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`a change did not arrive within ${CHANGE_MS} ms`);
    await new Promise(setImmediate);
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
