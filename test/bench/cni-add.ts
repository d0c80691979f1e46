// What the runtime waits for when a pod gets its interface: sluice-cni as it is executed, a real agent, etcd and dataplane, and
// pods as network namespaces.
import { blockKey, COMPLETE_KEY, mirrorKey } from "@sluice/host/dist/cluster/keys.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { EtcdServer } from "../support/etcd.js";
import { ownName, removeLeftovers } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { temporaryFolder } from "../support/topology.js";
import { PodAdds } from "./pod-adds.js";
import { latencies } from "./quantile.js";
import type { Figure } from "./result.js";

export const cniBenchmarks: readonly string[] = ["cni-add"];

const NODE = "node1";
const AT_ONCE = 20;
const ALONE = 100;
/** So many turns later a namespace has another pod: a new pod never has the namespace of one that is on its way out. */
const TURNS = 2;
/** As many addresses as ADDs take: released ones rest for a minute. */
const BLOCKS = { v4: "10.61.0.0/22", v6: "fd61::/118" };

export async function* runCniAdd(_name: string, rounds: number): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const bench = await prepare(cleanup);
    await bench.turn(AT_ONCE, bench.executed); // what is loaded and compiled on first use
    const figures = { agent: [] as number[], alone: [] as number[], atOnce: [] as number[] };
    for (let i = 0; i < ALONE; i++) {
      figures.agent.push(...(await bench.turn(1, bench.called)));
      figures.alone.push(...(await bench.turn(1, bench.executed)));
    }
    for (let round = 0; round < rounds; round++) {
      figures.atOnce.push(...(await bench.turn(AT_ONCE, bench.executed)));
    }
    yield* latencies("cni-agent", figures.agent);
    yield* latencies("cni-add", figures.alone);
    yield* latencies("cni-add-20", figures.atOnce);
  } finally {
    await cleanup.close();
    unwatch();
  }
}

async function prepare(cleanup: Cleanup): Promise<PodAdds> {
  const etcd = await EtcdServer.start();
  cleanup.defer("etcd", () => etcd.stop());
  await writeCluster(etcd.endpoint);
  const folder = temporaryFolder(cleanup);
  const namespace = await Namespace.create(cleanup, ownName("cnode"));
  const node = new ClusterNode({ name: NODE, namespace, folder, etcd: etcd.endpoint }, cleanup);
  const namespaces: Namespace[] = [];
  for (let i = 0; i < AT_ONCE * TURNS; i++) namespaces.push(await Namespace.create(cleanup, ownName(`cpod${i}`)));
  node.relayEtcd();
  node.startDataplane();
  await node.startAgent();
  await node.served();
  return new PodAdds(node, `${folder}/cni.sock`, namespaces, true);
}

/** What the reflector would write of a cluster of one node. */
async function writeCluster(endpoint: string): Promise<void> {
  const store = EtcdStore.open({ endpoints: [endpoint] });
  const put = (key: string, record: object) => store.put(key, JSON.stringify(record));
  try {
    const node = { name: NODE, uid: NODE, labels: {}, annotations: {}, addresses: ["172.31.9.1"] };
    await put(mirrorKey("nodes", NODE), node);
    for (const [pool, block] of Object.entries(BLOCKS)) {
      const spec = { cidr: block, disabled: false };
      await put(mirrorKey("ippools", pool), { name: pool, uid: pool, generation: 1, spec });
      await put(blockKey(pool, block), { pool, block, node: NODE });
    }
    for (let i = 0; i < AT_ONCE; i++) {
      const name = `pod-${i}`;
      const fields = {
        uid: `uid-${name}`,
        node: NODE,
        phase: "Pending",
        ips: [],
        labels: {},
        annotations: {},
        ports: [],
      };
      await put(mirrorKey("pods", name, "default"), { namespace: "default", name, ...fields });
    }
    await put(COMPLETE_KEY, {});
  } finally {
    await store.close();
  }
}
