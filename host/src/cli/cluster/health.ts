import type { StatusResponse } from "../../dataplane/protocol.js";
import { formatProblem } from "../../errors.js";
import type { Condition } from "../../resources/status.js";
import { sum } from "../counts.js";
import { type ClusterFacts, isProblems, type PluginObject, type SluiceObject } from "./facts.js";
import type { Node } from "./names.js";
import { AGENT, type ContainerState, DATAPLANE, type Pod } from "./sluice-pods.js";

/** What keeps the cluster from being well. */
export interface ClusterProblem {
  /** "node node1", "plugin guard", ... */
  readonly where: string;
  readonly what: string;
  readonly remedy: string;
}

export interface NodeHealth {
  readonly name: string;
  /** Of Kubernetes. */
  readonly ready: boolean;
  /** "ready", or why not. */
  readonly agent: string;
  readonly dataplane: string;
  readonly restarts: number;
  /** Absent: the dataplane does not answer. */
  readonly version?: string;
  readonly uptimeMs?: number;
  readonly ports?: number;
  readonly stages?: number;
  readonly flows?: number;
  readonly drops?: number;
}

export interface PartHealth {
  readonly name: string;
  readonly node: string;
  readonly state: string;
  readonly restarts: number;
}

export interface PluginHealth {
  readonly name: string;
  readonly ready: string;
  readonly reason: string;
  readonly nodes: number;
  readonly readyNodes: number;
  readonly digest: string;
}

export interface ClusterHealth {
  readonly healthy: boolean;
  readonly nodes: readonly NodeHealth[];
  readonly reflectors: readonly PartHealth[];
  readonly etcds: readonly PartHealth[];
  readonly plugins: readonly PluginHealth[];
  readonly pools: readonly { name: string; cidr: string; blocks: number; capacity: string }[];
  readonly problems: readonly ClusterProblem[];
}

/** What the facts come to. */
export function clusterHealth(facts: ClusterFacts): ClusterHealth {
  const { pods, plugins, ipPools } = facts;
  const problems = [
    ...facts.nodes.flatMap((node) => nodeProblems(node, facts)),
    ...partProblems("reflector", pods.reflectors),
    // An etcd that was there before is no pod of Sluice's.
    ...(pods.etcds.length === 0 ? [] : partProblems("etcd", pods.etcds)),
    ...objectProblems("plugin", plugins),
    ...objectProblems("pipeline", facts.pipelines),
    ...objectProblems("nodeconfig", facts.nodeConfigs),
    ...objectProblems("ippool", ipPools),
  ];
  return {
    healthy: problems.length === 0,
    nodes: facts.nodes.map((node) => nodeHealth(node, facts)),
    reflectors: pods.reflectors.map(partHealth),
    etcds: pods.etcds.map(partHealth),
    plugins: plugins.map(pluginHealth),
    pools: ipPools.map(poolHealth),
    problems,
  };
}

function nodeHealth({ metadata: { name }, ...node }: Node, { pods, dataplanes }: ClusterFacts): NodeHealth {
  const pod = pods.nodes.get(name);
  const ready = isReady(node.status?.conditions);
  if (pod === undefined) return { name, ready, agent: "none", dataplane: "none", restarts: 0 };
  const answer = dataplanes.get(name);
  const agent = stateOf(pod, AGENT);
  const restarts = restartsOf(pod);
  if (answer === undefined || isProblems(answer)) {
    const state = stateOf(pod, DATAPLANE);
    return { name, ready, agent, dataplane: state === "ready" ? "no answer" : state, restarts };
  }
  return { name, ready, agent, dataplane: stateOf(pod, DATAPLANE), restarts, ...figuresOf(answer) };
}

function figuresOf({ version, native }: StatusResponse) {
  const own = sum(native.drops);
  const stages = native.stages.reduce((all, { drops }) => all + sum(drops), 0);
  return {
    version,
    uptimeMs: native.uptimeMs,
    ports: native.ports.length,
    stages: native.stages.length,
    flows: native.flows.active,
    drops: own + stages,
  };
}

function nodeProblems(node: Node, facts: ClusterFacts): ClusterProblem[] {
  const { name } = node.metadata;
  const where = `node ${name}`;
  const problems: ClusterProblem[] = [];
  if (!isReady(node.status?.conditions)) {
    const what = node.status?.conditions?.find(({ type }) => type === "Ready")?.message ?? "kubelet reports nothing";
    problems.push({ where, what: `not Ready: ${what}`, remedy: `kubectl describe node ${name}` });
  }
  const pod = facts.pods.nodes.get(name);
  if (pod === undefined) {
    const remedy = "the DaemonSet's node selector or tolerations leave it out, or its pod can't be scheduled";
    return [...problems, { where, what: "runs no pod of Sluice", remedy }];
  }
  problems.push(...containerProblems(where, pod));
  const answer = facts.dataplanes.get(name);
  if (isProblems(answer)) {
    const remedy = logsOf(pod, DATAPLANE);
    problems.push(...answer.map((problem) => ({ where, what: formatProblem(problem), remedy })));
  } else if (answer !== undefined) problems.push(...dataplaneProblems(where, answer));
  return problems;
}

function dataplaneProblems(where: string, { name, native }: StatusResponse): ClusterProblem[] {
  const down = native.ports.filter(({ up }) => !up);
  const failing = native.stages.filter(({ state }) => state !== "active");
  return [
    ...down.map((port) => ({
      where,
      what: `port ${port.name} (${port.kind}) is down`,
      remedy: `sluice status --name ${name}; ip link show on the node`,
    })),
    ...failing.map((stage) => ({
      where,
      what: `stage ${stage.name} ${stage.state}: ${stage.lastFailure || "no reason given"}`,
      remedy: `sluice plugin show ${stage.name} --name ${name} -v`,
    })),
  ];
}

function partProblems(part: string, pods: readonly Pod[]): ClusterProblem[] {
  if (pods.length === 0) {
    return [
      {
        where: part,
        what: "has no pod",
        remedy: "kubectl get deployment,statefulset -A -l app.kubernetes.io/name=sluice",
      },
    ];
  }
  return pods.flatMap((pod) => containerProblems(`${part} ${pod.metadata.name}`, pod));
}

function containerProblems(where: string, pod: Pod): ClusterProblem[] {
  const states = pod.status?.containerStatuses ?? [];
  if (states.length === 0) {
    const why = pod.status?.conditions?.find(({ status, message }) => status === "False" && message)?.message;
    const what = `pod ${pod.metadata.name} is ${pod.status?.phase ?? "unknown"}${why === undefined ? "" : `: ${why}`}`;
    return [{ where, what, remedy: describeOf(pod) }];
  }
  return states
    .filter(({ ready }) => !ready)
    .map((state) => ({
      where,
      what: `container ${state.name} is not ready${waitingText(state)}`,
      remedy: state.state?.waiting === undefined ? logsOf(pod, state.name) : describeOf(pod),
    }));
}

const waitingText = ({ state }: ContainerState) => {
  const { reason, message } = state?.waiting ?? {};
  return reason === undefined ? "" : `: ${[reason, message].filter(Boolean).join(": ")}`;
};
const describeOf = ({ metadata }: Pod) => `kubectl -n ${metadata.namespace} describe pod ${metadata.name}`;
const logsOf = ({ metadata }: Pod, container: string) =>
  `kubectl -n ${metadata.namespace} logs ${metadata.name} -c ${container}`;

/** Only what is False: what is Unknown or absent is on its way. */
function objectProblems(kind: string, objects: readonly SluiceObject[]): ClusterProblem[] {
  return objects.flatMap(({ metadata: { name }, status }) => {
    const bad = (status?.conditions ?? []).filter((condition) => condition.status === "False");
    // The first says why the others are not True either.
    return bad.slice(0, 1).map(({ type, reason, message }) => ({
      where: `${kind} ${name}`,
      what: `${type} is False (${reason}): ${message}`,
      remedy: `kubectl describe ${kind} ${name}`,
    }));
  });
}

function partHealth(pod: Pod): PartHealth {
  const states = pod.status?.containerStatuses ?? [];
  const bad = states.find(({ ready }) => !ready);
  const state = bad === undefined && states.length > 0 ? "ready" : containerState(bad, pod);
  return { name: pod.metadata.name, node: pod.spec.nodeName ?? "", state, restarts: restartsOf(pod) };
}

function stateOf(pod: Pod, container: string): string {
  const state = pod.status?.containerStatuses?.find(({ name }) => name === container);
  return state?.ready === true ? "ready" : containerState(state, pod);
}

const containerState = (state: ContainerState | undefined, pod: Pod): string =>
  state?.state?.waiting?.reason ?? (state === undefined ? (pod.status?.phase ?? "unknown") : "not ready");

const restartsOf = (pod: Pod): number =>
  (pod.status?.containerStatuses ?? []).reduce((all, { restartCount }) => all + restartCount, 0);

const isReady = (conditions: readonly { type: string; status: string }[] | undefined): boolean =>
  conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

export function pluginHealth({ metadata: { name }, status }: PluginObject): PluginHealth {
  const ready = conditionOf(status?.conditions, "Ready");
  const reason = (status?.conditions ?? []).find((condition) => condition.status === "False")?.reason;
  return {
    name,
    ready: ready?.status ?? "Unknown",
    reason: reason ?? ready?.reason ?? "",
    nodes: status?.nodes ?? 0,
    readyNodes: status?.readyNodes ?? 0,
    digest: status?.digest ?? "",
  };
}

function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

function poolHealth({ metadata: { name }, spec, status }: SluiceObject): ClusterHealth["pools"][number] {
  const { blocks = 0, capacity = "" } = (status ?? {}) as { blocks?: number; capacity?: string };
  return { name, cidr: String(spec?.cidr ?? ""), blocks, capacity };
}
