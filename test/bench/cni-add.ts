// What the runtime waits for when a pod gets its interface: sluice-cni as it is executed, a real agent, etcd and dataplane, and
// pods as network namespaces.
import { setTimeout as sleep } from "node:timers/promises";
import { blockKey, COMPLETE_KEY, mirrorKey } from "@sluice/host/dist/cluster/keys.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { CNI_BINARY } from "../support/cni-server.js";
import { EtcdServer } from "../support/etcd.js";
import { ownName, removeLeftovers } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { must } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { Gated } from "./gated.js";
import { quantile } from "./quantile.js";
import type { Figure } from "./result.js";

export const cniBenchmarks: readonly string[] = ["cni-add"];

const NODE = "node1";
const AT_ONCE = 20;
const ALONE = 100;
/** So many turns later a namespace has another pod: a new pod never has the namespace of one that is on its way out. */
const TURNS = 2;
/** In which the kernel takes interfaces away, some 10 ms for each. */
const PAUSE_MS = 500;
/** As many addresses as ADDs take: released ones rest for a minute. */
const BLOCKS = { v4: "10.61.0.0/22", v6: "fd61::/118" };

export async function* runCniAdd(_name: string, rounds: number): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const bench = await CniBench.prepare(cleanup);
    await bench.turn(AT_ONCE, bench.executed); // what is loaded and compiled on first use
    const figures = { agent: [] as number[], alone: [] as number[], atOnce: [] as number[] };
    for (let i = 0; i < ALONE; i++) {
      figures.agent.push(...(await bench.turn(1, bench.called)));
      figures.alone.push(...(await bench.turn(1, bench.executed)));
    }
    for (let round = 0; round < rounds; round++) {
      figures.atOnce.push(...(await bench.turn(AT_ONCE, bench.executed)));
    }
    const both = (name: string, values: readonly number[]): Figure[] => [
      { name, unit: "ms", value: quantile(values, 0.5) },
      { name: `${name}-p99`, unit: "ms", value: quantile(values, 0.99) },
    ];
    yield* [
      ...both("cni-agent", figures.agent),
      ...both("cni-add", figures.alone),
      ...both("cni-add-20", figures.atOnce),
    ];
  } finally {
    await cleanup.close();
    unwatch();
  }
}

type Add = () => Promise<unknown>;

/** A pod whose namespace is there, and which the API knows. */
interface Pod {
  readonly name: string;
  readonly namespace: Namespace;
  readonly containerId: string;
}

class CniBench {
  private containers = 0;
  private namespacesUsed = 0;

  private constructor(
    private readonly node: ClusterNode,
    private readonly socket: string,
    private readonly namespaces: readonly Namespace[],
  ) {}

  static async prepare(cleanup: Cleanup): Promise<CniBench> {
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
    return new CniBench(node, `${folder}/cni.sock`, namespaces);
  }

  /**
   * Adds so many pods at once, and deletes them. @param prepare makes all ready, and gives what adds the pod
   * @returns milliseconds that each took to be added, from when all were let go
   */
  async turn(count: number, prepare: (pod: Pod) => Promise<Add>): Promise<number[]> {
    const pods = Array.from({ length: count }, (_, i) => ({
      name: `pod-${i}`,
      namespace: this.namespaces[this.namespacesUsed++ % this.namespaces.length] as Namespace,
      containerId: `container${++this.containers}`,
    }));
    const adds = await Promise.all(pods.map(prepare));
    const started = performance.now();
    const took = await Promise.all(
      adds.map(async (add) => {
        await add();
        return performance.now() - started;
      }),
    );
    await Promise.all(pods.map((pod) => must([CNI_BINARY], this.command("DEL", pod))));
    if (count > 1) await sleep(PAUSE_MS);
    return took;
  }

  /** The agent's part alone, as the binary calls it. */
  readonly called = async ({ name, namespace, containerId }: Pod): Promise<Add> => {
    const attachment = { containerId, ifname: "eth0" };
    const pod = { namespace: "default", name, uid: `uid-${name}` };
    return () => this.node.cni("add", { attachment, netns: namespace.path, pod, portMappings: [] });
  };

  /** The binary, from its execve(2) on; a runtime's own cost of a process is not in it. */
  readonly executed = async (pod: Pod): Promise<Add> => {
    const program = await Gated.start([CNI_BINARY], this.command("ADD", pod));
    return () => program.go();
  };

  /** As libcni runs it. */
  private command(command: "ADD" | "DEL", { name, namespace, containerId }: Pod) {
    return {
      input: JSON.stringify({ cniVersion: "1.1.0", name: "sluice", type: "sluice-cni", socket: this.socket }),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: containerId,
        CNI_IFNAME: "eth0",
        CNI_NETNS: namespace.path,
        CNI_PATH: "/opt/cni/bin",
        CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
      },
    };
  }
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
