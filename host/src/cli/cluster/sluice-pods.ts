import { SluiceError } from "../../errors.js";
import type { KubeApi, ObjectMeta } from "../../kube/api.js";
import type { ContainerAddress } from "../../kube/exec.js";

/** The label that all of Sluice's pods have. */
const SELECTOR = "app.kubernetes.io/name=sluice";

/** Containers that say which part of Sluice a pod is. */
export const DATAPLANE = "dataplane";
export const AGENT = "agent";
const REFLECTOR = "reflector";
const ETCD = "etcd";

export interface ContainerState {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly image?: string;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
}

export interface Pod {
  readonly metadata: ObjectMeta & { readonly deletionTimestamp?: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly containers: readonly { readonly name: string; readonly image?: string }[];
    readonly initContainers?: readonly { readonly name: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly containerStatuses?: readonly ContainerState[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** Sluice's own pods, by what they are. */
export interface SluicePods {
  /** Of each node that has one. */
  readonly nodes: ReadonlyMap<string, Pod>;
  readonly reflectors: readonly Pod[];
  readonly etcds: readonly Pod[];
  readonly all: readonly Pod[];
}

/** @param namespace where to look; absent: in all @throws SluiceError "not-installed" */
export async function sluicePods(api: KubeApi, namespace?: string): Promise<SluicePods> {
  const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
  const all = await api.list<Pod>(`/api/v1${scope}/pods`, { labelSelector: SELECTOR });
  const having = (container: string) =>
    all.filter(({ spec }) => spec.containers.some(({ name }) => name === container));
  const nodePods = having(DATAPLANE);
  if (all.length === 0) {
    const where = namespace === undefined ? "" : `namespace ${namespace}`;
    throw SluiceError.of("not-installed", where, `no pods with the label ${SELECTOR}: Sluice is not installed there`);
  }
  return { nodes: byNode(nodePods), reflectors: having(REFLECTOR), etcds: having(ETCD), all };
}

/** Of two pods of a node the one that is not on its way out. */
function byNode(pods: readonly Pod[]): Map<string, Pod> {
  const found = new Map<string, Pod>();
  for (const pod of pods) {
    const node = pod.spec.nodeName;
    if (node === undefined) continue;
    const isLeaving = pod.metadata.deletionTimestamp !== undefined;
    if (!isLeaving || !found.has(node)) found.set(node, pod);
  }
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b)));
}

export function containerOf({ metadata }: Pod, container: string): ContainerAddress {
  return { namespace: metadata.namespace ?? "default", pod: metadata.name, container };
}
