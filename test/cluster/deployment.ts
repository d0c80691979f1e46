import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/dataplane.js";
import { blocksOf } from "../support/docs.js";
import { CommandError, type Output } from "../support/process.js";
import { API_PORT, CONTROL, POD_CIDRS } from "./address-plan.js";
import type { Cluster } from "./cluster.js";
import { coreDns } from "./dns.js";
import { type ClusterNode, CTR } from "./node.js";
import { HELM, IMAGES, KUBERNETES, SLUICE_IMAGE } from "./programs.js";
import { UPLINK } from "./wire.js";

export const NAMESPACE = "kube-system";
export const REPOSITORY = "sluice.dev/sluice";
const PAGE = "docs/deployment.md";
const OURS = "app.kubernetes.io/name=sluice";
const PARTS = ["statefulset/sluice-etcd", "deployment/sluice-reflector", "daemonset/sluice"];
const ROLLED_OUT = "--timeout=120s";
const STEP_MS = 240_000;

/** Of the node's DaemonSet pod. */
export type SluiceContainer = "uplink-guard" | "node-install" | "dataplane" | "agent";

/** Of the chart, for the cluster that the tests make. Its nodes' memory is the machine's. */
const VALUES = {
  apiServer: { host: CONTROL.v4 },
  image: { repository: REPOSITORY, tag: "", pullPolicy: "Never" },
  ipPools: Object.entries(POD_CIDRS).map(([family, cidr]) => ({ name: `pods-${family}`, cidr })),
  nodeConfig: { memory: { hugepages: "never" }, maxFlows: 65536 },
  etcd: { image: "sluice.test/etcd:1", pullPolicy: "Never" },
};

/** Sluice as its users install it: the image on each node, and the commands of docs/deployment.md. */
export class Deployment {
  /** Where the commands are run: deploy/, a file with values, kubectl and helm are there. */
  readonly #folder: string;

  /** On a cluster whose kubelets do not run yet. */
  constructor(readonly cluster: Cluster) {
    this.#folder = join(cluster.plan.folder, "user");
    mkdirSync(join(this.#folder, "bin"), { recursive: true });
    symlinkSync(KUBERNETES, join(this.#folder, "bin/kubectl"));
    symlinkSync(HELM, join(this.#folder, "bin/helm"));
    symlinkSync(`${root}/host/bin/kubectl-sluice.js`, join(this.#folder, "bin/kubectl-sluice"));
    symlinkSync(`${root}/deploy`, join(this.#folder, "deploy"));
  }

  /** Installs Sluice, and waits until all nodes are ready. */
  async install(): Promise<void> {
    await Promise.all(this.cluster.nodes.map((node) => this.startNode(node)));
    await this.#follow("Install", VALUES);
    await this.rolledOut();
    await this.cluster.ready();
  }

  /** Of a new node: its images and kubelet. */
  async startNode(node: ClusterNode): Promise<void> {
    await node.importImage(`${IMAGES}/etcd.tar`);
    await node.importImage(SLUICE_IMAGE);
    await node.kubelet.start();
  }

  /** Without Helm: the manifests as they are, and their images by the names that they have there. */
  async installManifests(): Promise<void> {
    const { nodes, kubectl } = this.cluster;
    for (const node of nodes)
      await node.must([...CTR, "images", "tag", VALUES.etcd.image, "registry.k8s.io/etcd:3.6.8-0"]);
    const address = [`--from-literal=host=${CONTROL.v4}`, `--from-literal=port=${API_PORT}`];
    await kubectl.must("create", "configmap", "sluice-api-server", `--namespace=${NAMESPACE}`, ...address);
    await kubectl.script("kubectl apply -f deploy/manifests", this.#folder);
    await this.rolledOut();
  }

  async removeManifests(): Promise<void> {
    const { kubectl } = this.cluster;
    await kubectl.script("kubectl delete -f deploy/manifests", this.#folder);
    await kubectl.must("delete", "configmap", "sluice-api-server", `--namespace=${NAMESPACE}`);
    await kubectl.must("wait", "--for=delete", "pod", `--selector=${OURS}`, `--namespace=${NAMESPACE}`, ROLLED_OUT);
  }

  /** With an etcd that exists. `secret`: of kube-system, with a client's certificate. */
  async installWith(etcd: { endpoints: string[]; secret: string }): Promise<void> {
    await this.#follow("Install", { ...VALUES, etcd: { external: etcd } });
    await this.rolledOut(["deployment/sluice-reflector", "daemonset/sluice"]);
  }

  /** With an etcd that has a member on each node. */
  async installWithMembers(): Promise<void> {
    const members = this.cluster.nodes.map(({ name, addresses }) => ({ node: name, address: addresses.v4 }));
    await this.#follow("Install", { ...VALUES, etcd: { ...VALUES.etcd, members } });
    await this.rolledOut([...this.#memberSets(), "deployment/sluice-reflector", "daemonset/sluice"]);
  }

  /** Of an etcd of members, once the data of all is gone: starts it anew. */
  async recoverMembers(): Promise<void> {
    await this.#follow("Start etcd's members anew", {});
    await this.rolledOut(this.#memberSets());
  }

  /** Cluster DNS, once it answers. */
  async startDns(): Promise<void> {
    const { kubectl } = this.cluster;
    await kubectl.apply(...coreDns());
    await kubectl.must("rollout", "status", `--namespace=${NAMESPACE}`, "deployment/coredns", ROLLED_OUT);
  }

  /** The same with an image of another tag. */
  async upgrade(tag: string): Promise<void> {
    await this.#follow("Upgrade", { ...VALUES, image: { ...VALUES.image, tag } });
    await this.rolledOut();
  }

  /** Waits until all of Sluice's pods are of the last version, and ready. */
  async rolledOut(objects: readonly string[] = PARTS): Promise<void> {
    const { kubectl } = this.cluster;
    for (const object of objects)
      await kubectl.must("rollout", "status", `--namespace=${NAMESPACE}`, object, ROLLED_OUT);
  }

  async uninstall(): Promise<void> {
    await this.#follow("Uninstall", VALUES);
  }

  /** `sluice <args>` in the dataplane's container of a node, by the API server. */
  async sluice(node: ClusterNode, ...args: string[]): Promise<Output> {
    const into = ["exec", `--namespace=${NAMESPACE}`, await this.pod(node), "--container=dataplane", "--"];
    return this.cluster.kubectl.run(...into, "sluice", ...args);
  }

  /** The command of somebody who has a kubeconfig, kubectl and kubectl-sluice. */
  userCommand(...argv: string[]): string[] {
    const { namespace, kubectl } = this.cluster.control;
    const path = `PATH=${this.#folder}/bin:${process.env.PATH}`;
    return namespace.command(["env", `KUBECONFIG=${kubectl.kubeconfig}`, path, ...argv]);
  }

  /** The name of the DaemonSet's pod on a node. */
  async pod(node: ClusterNode): Promise<string> {
    const selector = `${OURS},app.kubernetes.io/component=nodes`;
    const pods = await this.cluster.kubectl.must(
      ...["get", "pods", `--namespace=${NAMESPACE}`, `--selector=${selector}`, "--output=name"],
      `--field-selector=spec.nodeName=${node.name}`,
    );
    return pods.trim().replace("pod/", "");
  }

  /** How often kubelet has started the container again, and whether it runs. */
  async restarts(node: ClusterNode, container: SluiceContainer): Promise<{ count: number; ready: boolean }> {
    interface Status {
      name: string;
      restartCount: number;
      ready: boolean;
    }
    const { status } = await this.cluster.kubectl.json<{
      status: { containerStatuses?: Status[]; initContainerStatuses?: Status[] };
    }>("get", "pod", `--namespace=${NAMESPACE}`, await this.pod(node));
    const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    const found = all.find(({ name }) => name === container);
    return { count: found?.restartCount ?? 0, ready: found?.ready ?? false };
  }

  /** Kills a container of the node's pod as a crash would; its node's kubelet starts it again. */
  async kill(node: ClusterNode, container: SluiceContainer | "etcd"): Promise<void> {
    const filter = `labels."io.kubernetes.container.name"==${container}`;
    const ids = (await node.must([...CTR, "containers", "list", "--quiet", filter])).split("\n");
    const tasks = (await node.must([...CTR, "tasks", "list"])).split("\n").filter((line) => line.includes("RUNNING"));
    const id = tasks.map((line) => line.split(/\s+/)[0] ?? "").find((task) => ids.includes(task));
    if (id === undefined) throw new Error(`no ${container} runs on ${node.name}`);
    await node.must([...CTR, "tasks", "kill", "--signal=SIGKILL", id]);
  }

  /** For the reader of a failed test: what kubelet says of Sluice's pods, and the ends of their logs. */
  async diagnosis(): Promise<string> {
    const { kubectl, nodes } = this.cluster;
    const told = await kubectl.run("describe", "pods", `--namespace=${NAMESPACE}`, `--selector=${OURS}`);
    const tails = 'for file in /var/log/pods/*/*/*.log; do echo "== $file"; tail -n 15 "$file"; done';
    const logs = await Promise.all(
      nodes.map(async (node) => `${node.name}\n${(await node.run(["sh", "-c", tails])).stdout}`),
    );
    return [told.stdout, ...logs, await this.cluster.diagnosis()].join("\n\n");
  }

  #memberSets(): string[] {
    return this.cluster.nodes.map((_, index) => `statefulset/sluice-etcd-${index}`);
  }

  /** Runs the commands of the page's chapter, as the administrator who has chosen these values. */
  async #follow(chapter: string, values: object): Promise<void> {
    const block = blocksOf(PAGE).find(({ text }) => text.startsWith(`# ${chapter}\n`));
    if (block === undefined) throw new Error(`${PAGE} has no block of commands that begins with "# ${chapter}"`);
    writeFileSync(join(this.#folder, "values.yaml"), JSON.stringify(values));
    const { namespace, kubectl } = this.cluster.control;
    const home = Object.fromEntries(["CACHE", "CONFIG", "DATA"].map((kind) => [`HELM_${kind}_HOME`, this.#folder]));
    const output = await namespace.run(["bash", "-e", "-c", block.text], {
      cwd: this.#folder,
      env: { ...home, KUBECONFIG: kubectl.kubeconfig, PATH: `${this.#folder}/bin:${process.env.PATH}` },
      timeoutMs: STEP_MS,
    });
    if (output.status !== 0) throw new CommandError([block.text], output);
  }
}

/** Whether a node's own interface is a TAP that stands for it, or the interface itself. */
export async function uplinkKind(node: ClusterNode): Promise<"tap" | "own"> {
  const link = await node.must(["ip", "-d", "-o", "link", "show", "dev", UPLINK]);
  return link.includes("tun type tap") ? "tap" : "own";
}
