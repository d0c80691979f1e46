import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFile, pod4, pod6, UPLINK } from "./address-plan.js";
import type { Cleanup } from "./cleanup.js";
import { Dataplane } from "./dataplane.js";
import { ownName } from "./leftovers.js";
import { connect, Namespace } from "./namespace.js";
import type { NodeFile } from "./node-file.js";

export interface Pod {
  namespace: Namespace;
  v4: string;
  v6: string;
}

export interface Node {
  number: number;
  namespace: Namespace;
  pods: Pod[];
  dataplane: Dataplane;
  /** What it was last started from or given; change a copy and apply it. */
  file: NodeFile;
}

/** A file for flow records on tmpfs, of this name; it and what is kept beside it are removed by the clean-up. */
export function flowFile(cleanup: Cleanup, name: string): string {
  const file = `/dev/shm/${name}.flows`;
  cleanup.defer(file, () => {
    for (const each of [file, `${file}.slots`]) rmSync(each, { force: true });
  });
  return file;
}

/** A folder of this run's own under the system's temporary one; removed by the clean-up. */
export function temporaryFolder(cleanup: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), `${ownName("")}`));
  cleanup.defer(folder, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface NodePlan {
  folder: string;
  number: number;
  /** How many. */
  pods: number;
  /** Numbers of the nodes that it reaches by VXLAN. */
  peers: number[];
  /** Makes a namespace's name; names of this process by default. */
  nameOf?: (name: string) => string;
}

/** A node's namespace with empty pod namespaces; its dataplane is not started yet. */
export async function prepareNode(
  cleanup: Cleanup,
  { folder, number, pods, peers, nameOf = ownName }: NodePlan,
): Promise<Node> {
  const flows = flowFile(cleanup, nameOf(`node${number}`));
  const namespace = await Namespace.create(cleanup, nameOf(`node${number}`));
  const podsOfNode: Pod[] = [];
  for (let pod = 1; pod <= pods; pod++) {
    const podNamespace = await Namespace.create(cleanup, nameOf(`pod${number}${pod}`));
    podsOfNode.push({ namespace: podNamespace, v4: pod4(number, pod), v6: pod6(number, pod) });
  }
  const nodeFolder = join(folder, `node${number}`);
  const paths = podsOfNode.map((pod) => pod.namespace.path);
  return {
    number,
    namespace,
    pods: podsOfNode,
    dataplane: new Dataplane(namespace, nodeFolder, cleanup),
    file: nodeFile({ node: number, pods: paths, peers, folder: nodeFolder, flowFile: flows }),
  };
}

/** The link between two nodes; the dataplanes own its addresses, the kernel keeps out. */
export async function joinNodes(a: Namespace, b: Namespace, mtu = 1500): Promise<void> {
  await connect(a, UPLINK, b, UPLINK, mtu);
  for (const namespace of [a, b]) await namespace.sysctl({ [`net.ipv6.conf.${UPLINK}.disable_ipv6`]: 1 });
}

/** Two nodes of two pods each, joined by VXLAN, running. `adjust` sees each node's file before it is started. */
export async function twoNodes(
  cleanup: Cleanup,
  adjust: (file: NodeFile) => void = () => undefined,
): Promise<[Node, Node]> {
  const folder = temporaryFolder(cleanup);
  const one = await prepareNode(cleanup, { folder, number: 1, pods: 2, peers: [2] });
  const two = await prepareNode(cleanup, { folder, number: 2, pods: 2, peers: [1] });
  await joinNodes(one.namespace, two.namespace);
  for (const node of [one, two]) adjust(node.file);
  await Promise.all([one, two].map((node) => node.dataplane.start(node.file)));
  return [one, two];
}

/** One running node with `pods` pods and no way out. */
export async function oneNode(
  cleanup: Cleanup,
  pods: number,
  adjust: (file: NodeFile) => void = () => undefined,
): Promise<Node> {
  const node = await prepareNode(cleanup, { folder: temporaryFolder(cleanup), number: 1, pods, peers: [] });
  node.file.ports = node.file.ports.filter((port) => port.kind === "tap");
  adjust(node.file);
  await node.dataplane.start(node.file);
  return node;
}
