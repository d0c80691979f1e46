import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Cleanup } from "../support/cleanup.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { CONTROL } from "./address-plan.js";
import { Certificates } from "./certificates.js";
import { ControlPlane } from "./control-plane.js";
import type { Daemon } from "./daemon.js";
import type { Kubectl } from "./kubectl.js";
import { ClusterNode, type NodePlan, nodeName } from "./node.js";
import { Wire } from "./wire.js";

const NODE_READY_MS = 90_000;

export interface ClusterPlan {
  /** Made on first use; holds logs, certificates, kubeconfigs. Removed by the clean-up. */
  folder: string;
  /** Makes the name of a namespace or cgroup. */
  nameOf: (name: string) => string;
  nodes: number;
}

/** A real Kubernetes on this machine: a control plane and nodes, each in namespaces of its own. */
export class Cluster {
  private constructor(
    private readonly cleanup: Cleanup,
    readonly plan: ClusterPlan,
    readonly wire: Wire,
    readonly control: ControlPlane,
    readonly nodes: ClusterNode[],
  ) {}

  /** Control plane and nodes whose kubelets do not run yet. */
  static async create(cleanup: Cleanup, plan: ClusterPlan): Promise<Cluster> {
    const { folder, nameOf } = plan;
    mkdirSync(folder, { recursive: true });
    cleanup.defer(folder, () => rmSync(folder, { recursive: true, force: true }));
    const wire = await Wire.create(cleanup, nameOf);
    const namespace = await Namespace.create(cleanup, nameOf("control"));
    await wire.plug(namespace, "control", CONTROL);
    await wire.routeOutside(namespace);
    const certificates = await Certificates.create(folder);
    const machine = (number: number) => createNode(cleanup, plan, { number, certificates, wire });
    const [control, ...nodes] = await together([
      ControlPlane.start(namespace, join(folder, "control"), certificates),
      ...Array.from({ length: plan.nodes }, (_, index) => machine(index + 1)),
    ]);
    return new Cluster(cleanup, plan, wire, control, nodes);
  }

  get kubectl(): Kubectl {
    return this.control.kubectl;
  }

  get daemons(): Daemon[] {
    return [...this.control.daemons, ...this.nodes.flatMap((node) => node.daemons)];
  }

  /** A further node, whose kubelet is not started yet. */
  async addNode(): Promise<ClusterNode> {
    const { cleanup, plan, wire, control } = this;
    const number = this.nodes.length + 1;
    const node = await createNode(cleanup, plan, { number, wire, certificates: control.certificates });
    this.nodes.push(node);
    return node;
  }

  node(name: string): ClusterNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  async startKubelets(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    await Promise.all(nodes.map((node) => node.kubelet.start()));
  }

  /** Waits until the API server says that `nodes` are ready, which takes a CNI. */
  async ready(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    for (const node of nodes)
      await eventually(`${node.name} is Ready`, NODE_READY_MS, async () => {
        const condition = `jsonpath={.status.conditions[?(@.type=="Ready")].status}`;
        const { stdout } = await this.kubectl.run("get", "node", node.name, "--ignore-not-found", "-o", condition);
        return stdout === "True" ? true : undefined;
      });
  }

  /** For the reader of a failed test: nodes, pods, events, and the ends of the logs. */
  async diagnosis(): Promise<string> {
    const { stdout } = await this.kubectl.run("get", "nodes,pods,nodeconfigs,ippools", "-A", "-o", "wide");
    const events = await this.kubectl.run("get", "events", "-A", "--sort-by=.lastTimestamp");
    const lastEvents = events.stdout.trimEnd().split("\n").slice(-20).join("\n");
    const logs = this.daemons.map(
      (daemon) => `== ${daemon.logFile}, ${daemon.running ? "runs" : "has ended"}\n${daemon.logTail()}`,
    );
    return [stdout, lastEvents, ...logs].join("\n\n");
  }
}

function createNode(
  cleanup: Cleanup,
  { nameOf, folder }: ClusterPlan,
  plan: Pick<NodePlan, "number" | "certificates" | "wire">,
): Promise<ClusterNode> {
  const name = nodeName(plan.number);
  return ClusterNode.create(cleanup, { ...plan, machineName: nameOf(name), folder: join(folder, name) });
}

/** All of it, or the first error once nothing is under way any more: what they make can be cleaned up then. */
async function together<First, Other>(work: [Promise<First>, ...Promise<Other>[]]): Promise<[First, ...Other[]]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
