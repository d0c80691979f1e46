import { formatProblem, messageOf, SluiceError } from "../../errors.js";
import type { KubeApi, KubeObject } from "../../kube/api.js";
import { VERSION } from "../../version.js";
import { onNode } from "../connection.js";
import { clusterStatusText } from "../views/cluster-status.js";
import type { ClusterAccess } from "./cluster.js";
import { clusterFacts, isProblems, onNodes, SLUICE_API } from "./facts.js";
import { clusterHealth } from "./health.js";
import type { Pod, SluicePods } from "./sluice-pods.js";

export interface DumpOptions {
  /** Flows of each node, and lines of each log. */
  readonly flows: number;
  readonly logLines: number;
  /** Milliseconds, of each node. */
  readonly timeout: number;
}

export interface DumpFile {
  readonly path: string;
  readonly text: string;
}

const LOG_BYTES = 10 * 1024 * 1024;
const SELECTED = { labelSelector: "app.kubernetes.io/name=sluice" };

/** Kinds of objects that are taken. No Secrets, and nothing that only holds users' own data. */
const KINDS: readonly { file: string; path: string; query?: Record<string, string> }[] = [
  { file: "nodes", path: "/api/v1/nodes" },
  { file: "namespaces", path: "/api/v1/namespaces" },
  { file: "pods", path: "/api/v1/pods" },
  { file: "services", path: "/api/v1/services" },
  { file: "endpointslices", path: "/apis/discovery.k8s.io/v1/endpointslices" },
  { file: "networkpolicies", path: "/apis/networking.k8s.io/v1/networkpolicies" },
  { file: "events", path: "/api/v1/events" },
  { file: "daemonsets", path: "/apis/apps/v1/daemonsets", query: SELECTED },
  { file: "deployments", path: "/apis/apps/v1/deployments", query: SELECTED },
  { file: "statefulsets", path: "/apis/apps/v1/statefulsets", query: SELECTED },
  ...["plugins", "pipelines", "nodeconfigs", "ippools"].map((kind) => ({ file: kind, path: `${SLUICE_API}/${kind}` })),
];

/** All that is known of Sluice on a cluster, a file at a time; what can't be had is told in errors.txt. */
export async function* sysdump(cluster: ClusterAccess, options: DumpOptions): AsyncGenerator<DumpFile> {
  const errors: string[] = [];
  const pods = await cluster.freshPods();
  yield* summary(cluster, options, errors);
  yield* objects(cluster.api, errors);
  yield* logs(cluster.api, pods, options, errors);
  yield* nodes(cluster, pods, options, errors);
  yield { path: "errors.txt", text: errors.length === 0 ? "everything was had\n" : `${errors.join("\n")}\n` };
}

async function* summary(cluster: ClusterAccess, { timeout }: DumpOptions, errors: string[]): AsyncGenerator<DumpFile> {
  const version = await tried("version", errors, () => cluster.api.get<object>("/version"));
  yield {
    path: "version.json",
    text: json({ sluice: VERSION, node: process.versions.node, kubernetes: version ?? null }),
  };
  const health = await tried("status", errors, async () => clusterHealth(await clusterFacts(cluster, timeout)));
  if (health === undefined) return;
  yield { path: "status.txt", text: `${clusterStatusText(health)}\n` };
  yield { path: "status.json", text: json(health) };
}

async function* objects(api: KubeApi, errors: string[]): AsyncGenerator<DumpFile> {
  for (const { file, path, query } of KINDS) {
    const found = await tried(file, errors, () => api.list<KubeObject>(path, query));
    if (found !== undefined) yield { path: `objects/${file}.json`, text: json(found.map(told)) };
  }
}

/** An object without what repeats it, and without values that its containers are given. */
function told(object: KubeObject): unknown {
  return JSON.parse(JSON.stringify(object), (key, value: unknown) => {
    if (key === "managedFields" || key === "kubectl.kubernetes.io/last-applied-configuration") return undefined;
    return key === "env" && Array.isArray(value) ? value.map(withoutValue) : value;
  });
}

const withoutValue = (variable: { value?: unknown }) =>
  variable.value === undefined ? variable : { ...variable, value: "left out" };

async function* logs(
  api: KubeApi,
  pods: SluicePods,
  { logLines }: DumpOptions,
  errors: string[],
): AsyncGenerator<DumpFile> {
  for (const pod of pods.all) {
    for (const { name, restarts } of containersOf(pod)) {
      for (const previous of restarts > 0 ? [false, true] : [false]) {
        const file = `logs/${pod.metadata.name}_${name}${previous ? "_previous" : ""}.log`;
        const path = `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}/log`;
        const query = { container: name, previous, timestamps: true, tailLines: logLines, limitBytes: LOG_BYTES };
        const text = await tried(file, errors, () => api.text(path, query));
        if (text !== undefined) yield { path: file, text };
      }
    }
  }
}

function containersOf({ spec, status }: Pod): { name: string; restarts: number }[] {
  const states = status?.containerStatuses ?? [];
  return [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => ({
    name,
    restarts: states.find((state) => state.name === name)?.restartCount ?? 0,
  }));
}

async function* nodes(
  cluster: ClusterAccess,
  pods: SluicePods,
  { flows: max, timeout }: DumpOptions,
  errors: string[],
): AsyncGenerator<DumpFile> {
  const answers = await onNodes([...pods.nodes.keys()], (node) =>
    onNode(cluster, node, async (client) => ({
      status: await client.call("status", {}, timeout),
      plugins: (await client.call("listPlugins", {}, timeout)).plugins,
      drops: (await client.call("drops", {}, timeout)).drops,
      // Without what plugins keep in them, which is theirs.
      flows: (await client.call("flows", { max }, timeout)).flows.map(({ slots: _, ...flow }) => flow),
    })),
  );
  for (const [node, answer] of answers) {
    if (isProblems(answer)) errors.push(...answer.map((problem) => `node ${node}: ${formatProblem(problem)}`));
    else {
      for (const [what, value] of Object.entries(answer)) {
        yield { path: `nodes/${node}/${what}.json`, text: json(value) };
      }
    }
  }
}

async function tried<Value>(what: string, errors: string[], work: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    errors.push(`${what}: ${messageOf(error)}`);
    return undefined;
  }
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 1)}\n`;
