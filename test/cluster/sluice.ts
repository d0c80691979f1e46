import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/dataplane.js";
import { POD_CIDRS, SLUICE_ETCD, SLUICE_ETCD_PORT } from "./address-plan.js";
import { writeKubeconfig } from "./certificates.js";
import type { Cluster } from "./cluster.js";
import type { Daemon } from "./daemon.js";
import { coreDns } from "./dns.js";
import type { KubernetesObject } from "./kubectl.js";
import type { ClusterNode } from "./node.js";

const COMMAND = [process.execPath, `${root}/host/bin/sluice.js`];
const REFLECTOR_USER = "system:serviceaccount:kube-system:sluice-reflector";
const REFLECTOR_PORT = 9465;
/** Sources that take too long and servers that stall are tests' business. */
const IMPATIENT = ["--compile-time", "4s", "--fetch-time", "5s"];
/** Of an agent that is ready: what a killed one leaves of its socket says nothing. */
const AGENT_READY = "http://127.0.0.1:9466/readyz";
const CNI_BINARY = `${root}/build/native/sluice-cni`;
export const CNI_CONFIGURATION = "10-sluice.conflist";
/** Where containerd looks for configurations. */
export const CNI_FOLDER = "/etc/cni/net.d";
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
      argv: [
        ...COMMAND,
        "reflector",
        "--etcd",
        etcd,
        "--kubeconfig",
        kubeconfig,
        "--identity",
        "control",
        ...IMPATIENT,
      ],
      ready: control.serves(`127.0.0.1:${REFLECTOR_PORT}/readyz`),
      readyMs: READY_MS,
    });
  }

  /** Installs Sluice on a cluster whose kubelets do not run yet, and waits until its nodes are ready. */
  static async install(cluster: Cluster): Promise<Sluice> {
    const { control, kubectl } = cluster;
    const sluice = new Sluice(cluster);
    await control.sluiceEtcd.start();
    await kubectl.must("apply", "-f", `${root}/deploy/crds`, "-f", `${root}/deploy/manifests/reflector-rbac.yaml`);
    await kubectl.must("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
    await kubectl.apply(...POOLS, nodeConfig());
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

  /** Sluice and kubelet on a node. */
  async addNode(node: ClusterNode): Promise<SluiceNode> {
    const added = new SluiceNode(node);
    this.nodes.set(node.name, added);
    await added.install();
    await node.kubelet.start();
    await added.start();
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
    await this.node.writeFile(`${CNI_FOLDER}/${CNI_CONFIGURATION}`, configuration);
  }

  async start(): Promise<void> {
    this.agent.launch();
    this.dataplane.launch();
    await Promise.all([this.agent.ready(), this.dataplane.ready()]);
  }
}

export function nodeConfig(spec: Record<string, unknown> = {}, name = "default"): KubernetesObject {
  return {
    apiVersion: "sluice.dev/v1alpha1",
    kind: "NodeConfig",
    metadata: { name },
    spec: { memory: { hugepages: "never" }, maxFlows: 65536, ...spec },
  };
}

export function ipPool(name: string, cidr: string, blockSize?: number): KubernetesObject {
  const spec = { cidr, ...(blockSize === undefined ? {} : { blockSize }) };
  return { apiVersion: "sluice.dev/v1alpha1", kind: "IPPool", metadata: { name }, spec };
}

const POOLS = Object.entries(POD_CIDRS).map(([family, cidr]) => ipPool(`pods-${family}`, cidr));
