import type { StatusResponse } from "../../dataplane/protocol.js";
import { messageOf, type Problem, SluiceError } from "../../errors.js";
import type { KubeApi, KubeObject } from "../../kube/api.js";
import { hasKubeCode } from "../../kube/errors.js";
import { GROUP, VERSION } from "../../resources/crd.js";
import type { Condition, PluginStatus } from "../../resources/status.js";
import { onNode } from "../connection.js";
import type { ClusterAccess } from "./cluster.js";
import type { Node } from "./names.js";
import type { SluicePods } from "./sluice-pods.js";

export const SLUICE_API = `/apis/${GROUP}/${VERSION}`;

/** An object of Sluice's own kinds. */
export interface SluiceObject<Status = { conditions?: Condition[] | undefined }> extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Status & { readonly conditions?: Condition[] | undefined };
}

export type PluginObject = SluiceObject<PluginStatus>;

/** What a cluster says of Sluice on it; all by an ordinary user's rights. */
export interface ClusterFacts {
  readonly nodes: readonly Node[];
  readonly pods: SluicePods;
  readonly plugins: readonly PluginObject[];
  readonly pipelines: readonly SluiceObject[];
  readonly nodeConfigs: readonly SluiceObject[];
  readonly ipPools: readonly SluiceObject[];
  /** What each node's dataplane says, or why it does not. */
  readonly dataplanes: ReadonlyMap<string, StatusResponse | readonly Problem[]>;
}

export async function clusterFacts(cluster: ClusterAccess, timeoutMs: number): Promise<ClusterFacts> {
  const { api } = cluster;
  const pods = await cluster.freshPods();
  const [nodes, plugins, pipelines, nodeConfigs, ipPools, dataplanes] = await Promise.all([
    api.list<Node>("/api/v1/nodes"),
    sluiceObjects<PluginObject>(api, "plugins"),
    sluiceObjects(api, "pipelines"),
    sluiceObjects(api, "nodeconfigs"),
    sluiceObjects(api, "ippools"),
    dataplaneStatuses(cluster, [...pods.nodes.keys()], timeoutMs),
  ]);
  return { pods, nodes, plugins, pipelines, nodeConfigs, ipPools, dataplanes };
}

/** Of a kind whose definition the cluster lacks there are none. */
export async function sluiceObjects<T = SluiceObject>(api: KubeApi, plural: string): Promise<T[]> {
  try {
    return await api.list<T>(`${SLUICE_API}/${plural}`);
  } catch (error) {
    if (hasKubeCode(error, "kube-not-found")) return [];
    throw error;
  }
}

/** At most this many nodes are asked at a time. */
const AT_ONCE = 16;

async function dataplaneStatuses(
  cluster: ClusterAccess,
  names: readonly string[],
  timeoutMs: number,
): Promise<Map<string, StatusResponse | readonly Problem[]>> {
  return onNodes(names, (name) => onNode(cluster, name, (client) => client.call("status", {}, timeoutMs)));
}

/** What work gives for each node, or the problems that it had there. */
export async function onNodes<Value>(
  names: readonly string[],
  work: (name: string) => Promise<Value>,
): Promise<Map<string, Value | readonly Problem[]>> {
  const found = new Map<string, Value | readonly Problem[]>();
  const left = [...names];
  const take = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      found.set(name, await work(name).catch(problemsOf));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return new Map(names.map((name) => [name, found.get(name) as Value | readonly Problem[]]));
}

export const isProblems = (value: unknown): value is readonly Problem[] => Array.isArray(value);

function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof SluiceError) return error.problems;
  return [{ code: "internal", path: "", message: messageOf(error) }];
}
