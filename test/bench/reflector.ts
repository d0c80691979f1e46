import { BLOCKS_PREFIX, MIRROR_PREFIX } from "@sluice/host/dist/cluster/keys.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import type { EtcdServer } from "../support/etcd.js";
import type { ApiServer } from "../support/kube-api.js";
import { eventually } from "../support/process.js";
import { fillKubernetes } from "./fill.js";
import { quantile } from "./quantile.js";
import { ReflectorProcess, SYNC_MS, startControlPlane } from "./reflector-process.js";
import type { Figure } from "./result.js";
import { type ClusterSize, clusterObjects, LARGE, POOLS } from "./synthetic.js";

export const reflectorBenchmarks = ["reflector"];

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
    const quota = (gib: number) => ["--quota-backend-bytes", String(gib * 2 ** 30)];
    const { api, etcd } = await startControlPlane(cleanup, {
      kubeEtcdFlags: quota(8),
      etcdFlags: quota(4),
      fill: (endpoint) => fillKubernetes(endpoint, size),
    });
    const store = EtcdStore.open({ endpoints: [etcd.endpoint] });
    cleanup.defer("the store", () => store.close());
    return new ReflectorBench(size, api, etcd, store, cleanup);
  }

  async *run(): AsyncGenerator<Figure> {
    const first = await ReflectorProcess.start(this.api, this.etcd, this.cleanup);
    await first.synced();
    yield { name: "reflector-fill", unit: "s", value: first.seconds() };
    await this.#granted();
    yield { name: "reflector-nodes", unit: "s", value: first.seconds() };
    await first.stop();
    const again = await ReflectorProcess.start(this.api, this.etcd, this.cleanup);
    await again.synced();
    yield { name: "reflector-resync", unit: "s", value: again.seconds() };
    const latencies = await this.#changes();
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
