import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/dataplane.js";
import { eventually } from "../support/process.js";
import { GATEWAY, POD_CIDRS, SLUICE_ETCD, SLUICE_ETCD_PORT, WIRE_PREFIX } from "./address-plan.js";
import { writeKubeconfig } from "./certificates.js";
import type { Cluster } from "./cluster.js";
import type { Daemon } from "./daemon.js";
import { coreDns } from "./dns.js";
import type { KubernetesObject } from "./kubectl.js";
import type { ClusterNode } from "./node.js";
import { FAMILIES } from "./pods.js";
import { UPLINK } from "./wire.js";

const COMMAND = [process.execPath, `${root}/host/bin/sluice.js`];
const REFLECTOR_USER = "system:serviceaccount:kube-system:sluice-reflector";
const REFLECTOR_PORT = 9465;
const HOST_DEVICE = "sluice0";
/** Of an agent that is ready: what a killed one leaves of its socket says nothing. */
const AGENT_READY = "http://127.0.0.1:9466/readyz";
const CNI_BINARY = `${root}/build/native/sluice-cni`;
const CNI_CONFIGURATION = "10-sluice.conflist";
const READY_MS = 90_000;

/** Sluice on a cluster: its resources, its reflector, and its processes on every node. */
export class Sluice {
  readonly reflector: Daemon;
  readonly nodes = new Map<string, SluiceNode>();

  private constructor(readonly cluster: Cluster) {
    const { control } = cluster;
    const kubeconfig = join(control.folder, "reflector.kubeconfig");
    const etcd = `http://127.0.0.1:${SLUICE_ETCD_PORT}`;
    this.reflector = control.daemon({
      name: "reflector",
      argv: [...COMMAND, "reflector", "--etcd", etcd, "--kubeconfig", kubeconfig],
      ready: control.serves(`127.0.0.1:${REFLECTOR_PORT}/readyz`),
      readyMs: READY_MS,
    });
  }

  /** Installs Sluice on a cluster whose kubelets do not run yet, and waits until its nodes are ready. */
  static async install(cluster: Cluster): Promise<Sluice> {
    const { control, kubectl } = cluster;
    const sluice = new Sluice(cluster);
    await kubectl.must("apply", "-f", `${root}/deploy/crds`, "-f", `${root}/deploy/rbac`);
    await kubectl.must("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
    await kubectl.apply(...pools(), nodeConfig({ uplink: { device: UPLINK, take: false } }));
    const identity = await control.certificates.client("reflector", REFLECTOR_USER);
    writeKubeconfig(join(control.folder, "reflector.kubeconfig"), control.certificates.authority, identity);
    await sluice.reflector.start();
    await Promise.all(cluster.nodes.map((node) => sluice.addNode(node)));
    await cluster.ready();
    return sluice;
  }

  /** Cluster DNS, once it answers: it finds the API server, and is found, by service addresses. */
  async startDns(): Promise<void> {
    const { kubectl } = this.cluster;
    await kubectl.apply(...coreDns());
    await kubectl.must("rollout", "status", "--namespace=kube-system", "deployment/coredns", "--timeout=90s");
  }

  /** Says what the uplink's addresses are, which the kernel does not have while the uplink is the dataplane's own. */
  async #annotate(node: ClusterNode): Promise<void> {
    const { kubectl } = this.cluster;
    const addresses = FAMILIES.map((family) => `${node.addresses[family]}/${WIRE_PREFIX[family]}`);
    await eventually(`${node.name} is registered`, READY_MS, async () =>
      (await kubectl.run("get", "node", node.name)).status === 0 ? true : undefined,
    );
    await kubectl.must(
      ...["annotate", "node", node.name, `sluice.dev/uplink-addresses=${addresses.join(",")}`],
      `sluice.dev/uplink-gateways=${FAMILIES.map((family) => GATEWAY[family]).join(",")}`,
    );
  }

  /** Sluice and kubelet on a node. */
  async addNode(node: ClusterNode): Promise<SluiceNode> {
    const added = new SluiceNode(node);
    this.nodes.set(node.name, added);
    await added.install();
    await node.kubelet.start();
    await this.#annotate(node);
    await added.start();
    await added.leaveUplink();
    return added;
  }
}

/** Sluice's processes on one node, started as its DaemonSet would start them: on the node's network. */
export class SluiceNode {
  readonly agent: Daemon;
  readonly dataplane: Daemon;

  constructor(readonly node: ClusterNode) {
    this.agent = node.daemon({
      name: "agent",
      argv: [...COMMAND, "agent", "--node", node.name, "--etcd", SLUICE_ETCD],
      ready: async () => (await node.run(["curl", "-sf", AGENT_READY])).status === 0,
      readyMs: READY_MS,
    });
    this.dataplane = node.daemon({
      name: "dataplane",
      argv: [...COMMAND, "dataplane", "--node", node.name],
      ready: async () => (await node.run(this.command("status"))).status === 0,
      readyMs: READY_MS,
    });
  }

  /** The command line of `sluice <args>` against this node's dataplane. */
  command(...args: string[]): string[] {
    return [...COMMAND, ...args, "--socket", `/run/sluice/${this.node.name}.sock`];
  }

  /** `sluice <args> -o json`, parsed. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.node.must(this.command(...args, "-o", "json"))) as T;
  }

  /** Puts the CNI where containerd looks for it. */
  async install(): Promise<void> {
    await this.node.must(["cp", CNI_BINARY, "/opt/cni/bin/"]);
    const configuration = readFileSync(`${root}/deploy/cni/${CNI_CONFIGURATION}`, "utf8");
    await this.node.writeFile(`/etc/cni/net.d/${CNI_CONFIGURATION}`, configuration);
  }

  /**
   * Leaves the uplink to the dataplane: the node's own processes reach others by the port that it has for them. The kernel
   * would answer what comes in there even without an address on it: what has its way back by another interface it drops.
   */
  async leaveUplink(): Promise<void> {
    await eventually(`${this.node.name}'s own port`, READY_MS, async () => {
      const { stdout } = await this.node.run(["ip", "-o", "address", "show", "dev", HOST_DEVICE]);
      return FAMILIES.every((family) => stdout.includes(this.node.addresses[family])) ? true : undefined;
    });
    await this.node.must(["ip", "address", "flush", "dev", UPLINK]);
    const settings = [`net.ipv4.conf.${UPLINK}.rp_filter=1`, `net.ipv6.conf.${UPLINK}.disable_ipv6=1`];
    await this.node.must(["sysctl", "-q", "-w", ...settings]);
  }

  async start(): Promise<void> {
    this.agent.launch();
    this.dataplane.launch();
    await Promise.all([this.agent.ready(), this.dataplane.ready()]);
  }
}

export function nodeConfig(spec: Record<string, unknown>): KubernetesObject {
  return {
    apiVersion: "sluice.dev/v1alpha1",
    kind: "NodeConfig",
    metadata: { name: "default" },
    spec: { memory: { hugepages: "never" }, maxFlows: 65536, ...spec },
  };
}

function pools(): KubernetesObject[] {
  return Object.entries(POD_CIDRS).map(([family, cidr]) => ({
    apiVersion: "sluice.dev/v1alpha1",
    kind: "IPPool",
    metadata: { name: `pods-${family}` },
    spec: { cidr },
  }));
}
