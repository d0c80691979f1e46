// From a change of a Plugin in the API to packets that bear it, through all that is between them on a real node.
import { setTimeout as sleep } from "node:timers/promises";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import type { ApiServer, Manifest } from "../support/kube-api.js";
import { ownName, removeLeftovers } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { PingFlow, ping } from "../support/traffic.js";
import { latencies } from "./quantile.js";
import { ReflectorProcess, startControlPlane } from "./reflector-process.js";
import type { Figure } from "./result.js";

export const pluginBenchmarks: readonly string[] = ["plugins"];

const NODE = "node1";
const NAME = "marker";
/** The compiler starts cold, and at a low priority. */
const CHANGE_MS = 90_000;
/** Between two changes. */
const PAUSE_MS = 300;
/** Marks of packets, which have six bits. */
const MARKS = 63;

export async function* runPlugins(_name: string, rounds: number): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const bench = await PluginBench.prepare(cleanup);
    const first = await bench.underLoad(1, () => bench.apply());
    yield { name: "plugin-apply-first", unit: "ms", value: first.took[0] ?? Number.NaN };
    yield* figures("plugin-apply", await bench.underLoad(rounds, () => bench.apply()));
    yield* figures("plugin-config", await bench.underLoad(rounds, () => bench.configure()));
  } finally {
    await cleanup.close();
    unwatch();
  }
}

interface Measured {
  /** Milliseconds of each change. */
  readonly took: readonly number[];
  /** Of that, milliseconds from its publication on the node until all workers ran with it. */
  readonly switches: readonly number[];
  /** Packets. */
  readonly lost: number;
}

const figures = (name: string, { took, switches, lost }: Measured): Figure[] => [
  ...latencies(name, took),
  { name: `${name}-swap`, unit: "ms", value: Math.max(...switches) },
  { name: `${name}-lost`, unit: "packets", value: lost },
];

class PluginBench {
  private changes = 0;

  private constructor(
    private readonly cleanup: Cleanup,
    private readonly api: ApiServer,
    private readonly node: ClusterNode,
    private readonly pods: readonly [Pod, Pod],
  ) {}

  static async prepare(cleanup: Cleanup): Promise<PluginBench> {
    const { api, etcd } = await startControlPlane(cleanup);
    const status = { addresses: [{ type: "InternalIP", address: "172.31.9.1" }] };
    await api.make({ apiVersion: "v1", kind: "Node", metadata: { name: NODE }, status });
    const reflector = await ReflectorProcess.start(api, etcd, cleanup);
    await reflector.synced();
    const namespace = await Namespace.create(cleanup, ownName("pnode"));
    const folder = temporaryFolder(cleanup);
    const node = new ClusterNode({ name: NODE, namespace, folder, etcd: etcd.endpoint }, cleanup);
    node.relayEtcd();
    node.startDataplane();
    await node.startAgent();
    await node.served();
    const pods = [await addPod(node, 1, cleanup), await addPod(node, 2, cleanup)] as const;
    await eventually("pods that reach each other", 20_000, async () =>
      (await ping(pods[0].namespace, pods[1].address)).lost === 0 ? true : undefined,
    );
    return new PluginBench(cleanup, api, node, pods);
  }

  /** One change after the other, while packets flow from one pod to the other. */
  async underLoad(rounds: number, change: () => Promise<number>): Promise<Measured> {
    const [from, to] = this.pods;
    const stream = new PingFlow(this.cleanup, from.namespace, to.address, { interval: 0.001 });
    const took: number[] = [];
    const switches: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await sleep(PAUSE_MS);
      const { generation } = (await this.node.status()).native;
      took.push(await change());
      switches.push(await this.switchAfter(generation));
    }
    await sleep(PAUSE_MS);
    const { lost } = await stream.stop();
    return { took, switches, lost };
  }

  /** Milliseconds; a packet may be there before the last worker has taken the change. */
  private async switchAfter(generation: number): Promise<number> {
    const { switchUs } = await eventually("the change's end", 5000, async () => {
      const { native } = await this.node.status();
      return native.generation > generation ? native : undefined;
    });
    return switchUs / 1000;
  }

  /** Another source. @returns milliseconds until a packet bears its mark */
  apply(): Promise<number> {
    return this.change((mark) => ({ source: { inline: source(mark) } }));
  }

  /** Another configuration. @returns milliseconds until a packet bears its mark */
  configure(): Promise<number> {
    return this.change((dscp) => ({ config: { dscp } }));
  }

  private async change(spec: (mark: number) => object): Promise<number> {
    const mark = (this.changes++ % MARKS) + 1;
    const filter = `icmp[icmptype] = 8 and ip[1] = ${mark << 2}`.split(" ");
    const argv = ["tcpdump", "-n", "-l", "-c", "1", "--immediate-mode", "-Q", "in", "-i", "eth0", ...filter];
    const seen = this.pods[1].namespace.start(this.cleanup, argv);
    await eventually("tcpdump", 10_000, () => (seen.stderr.includes("listening on") ? true : undefined));
    const started = performance.now();
    await this.put(spec(mark));
    // Its end comes later: the kernel takes its time to close a packet socket.
    while (seen.stdout === "") {
      if (performance.now() - started > CHANGE_MS)
        throw new Error(`no packet with mark ${mark} within ${CHANGE_MS} ms`);
      await sleep(1);
    }
    return performance.now() - started;
  }

  private async put(spec: object): Promise<void> {
    const metadata = { name: NAME };
    const plugin: Manifest = { apiVersion: "sluice.dev/v1alpha1", kind: "Plugin", metadata, spec };
    if (this.changes === 1) return this.api.make(plugin);
    const path = `/apis/sluice.dev/v1alpha1/plugins/${NAME}`;
    await this.api.must("PATCH", path, { spec }, "application/merge-patch+json");
  }
}

interface Pod {
  readonly namespace: Namespace;
  readonly address: string;
}

async function addPod(node: ClusterNode, number: number, cleanup: Cleanup): Promise<Pod> {
  const namespace = await Namespace.create(cleanup, ownName(`ppod${number}`));
  const attachment = { containerId: `container${number}`, ifname: "eth0" };
  const { interfaces } = await node.cni("add", { attachment, netns: namespace.path, pod: null, portMappings: [] });
  const addresses = interfaces.flatMap((each) => each.addresses.map(({ address }) => address.split("/")[0] ?? ""));
  const address = addresses.find((each) => !each.includes(":"));
  if (address === undefined) throw new Error(`a pod has no IPv4 address: ${addresses.join(", ")}`);
  return { namespace, address };
}

/** Marks packets with what its configuration says, or with `mark`. */
const source = (mark: number): string => `
import { Batch, definePlugin, Settings } from "@sluice/sdk";

definePlugin({ name: "${NAME}", version: "1.0.${mark}", headerBytes: 64 });

@config
class Config {
  dscp: u32 = ${mark};
}

@unmanaged
class Mark {
  dscp: u32;
}

const mark = new Settings<Mark>("mark");

@configure
export function build(config: Config): void {
  const made = mark.make();
  if (made != null) made.dscp = config.dscp;
}

@hook("forward")
export function process(batch: Batch): void {
  const dscp: u32 = mark.isSet ? mark.value.dscp : ${mark};
  for (let i = 0, n = batch.length; i < n; i++) batch.at(i).setDscp(dscp);
}
`;
