import { isIPv6 } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi, KubeObject } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import { type ContainerAddress, execute } from "../kube/exec.js";
import {
  type Addresses,
  type Caller,
  type Check,
  judge,
  type Outcome,
  openChecks,
  policyChecks,
  type World,
} from "./checks.js";
import {
  namespaceObject,
  podObject,
  policyObjects,
  ROLES,
  type Role,
  rolesOf,
  SERVICE,
  serviceObject,
  TEST_LABEL,
  type TestPlan,
} from "./objects.js";
import { probeResultSchema } from "./probe.js";

export interface TestOptions extends TestPlan {
  readonly api: KubeApi;
  /** Containers on the network of the nodes that have `sluice`, by node. */
  readonly nodeContainers: ReadonlyMap<string, ContainerAddress>;
  readonly outside: readonly string[];
  /** Leaves the namespace as it is. */
  readonly keep: boolean;
  /** Told what is done now. */
  readonly progress: (what: string) => void;
  readonly interrupted: AbortSignal;
}

export interface TestReport {
  readonly namespace: string;
  readonly outcomes: readonly Outcome[];
}

/** A namespace of a test that is older than this was left behind by one that was killed. */
const LEFT_BEHIND_MS = 3_600_000;
const POLL_MS = 300;
/** For the namespace's service account, without which no pod is admitted. */
const ADMITTED_MS = 15_000;
/** For a policy to reach all nodes. */
const POLICY_MS = 20_000;
const GONE_MS = 90_000;

interface Pod extends KubeObject {
  readonly status?: {
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly state?: { readonly waiting?: { reason?: string; message?: string } };
    }[];
  };
}

interface Service extends KubeObject {
  readonly spec: {
    readonly clusterIPs?: readonly string[];
    readonly ports: readonly { readonly name: string; readonly nodePort: number }[];
  };
}

interface Node extends KubeObject {
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

/**
 * Makes pods in a namespace of their own, lets them and the nodes call each other, and removes all of it, also when it
 * fails or is interrupted.
 * @throws SluiceError where the test can't be made; what does not reach what is told in the report
 */
export async function testConnectivity(options: TestOptions): Promise<TestReport> {
  const { api, progress } = options;
  await removeLeftBehind(api);
  const { metadata } = await api.create<KubeObject>("/api/v1/namespaces", namespaceObject());
  const test = new Test(options, metadata.name);
  try {
    return { namespace: metadata.name, outcomes: await test.run() };
  } finally {
    if (options.keep) progress(`namespace ${metadata.name} is left as it is`);
    else {
      progress(`removing namespace ${metadata.name}`);
      await removeNamespace(api, metadata.name);
    }
  }
}

class Test {
  readonly #options: TestOptions;
  readonly #namespace: string;

  constructor(options: TestOptions, namespace: string) {
    this.#options = options;
    this.#namespace = namespace;
  }

  async run(): Promise<Outcome[]> {
    const { progress, api } = this.#options;
    const roles = rolesOf(this.#options);
    progress(`creating ${roles.length} pods and a service in namespace ${this.#namespace}`);
    await Promise.all(roles.map((role) => this.#admitted(podObject(role, this.#options))));
    await api.create(`${this.#path}/services`, serviceObject());
    const pods = new Map<Role, Pod>();
    for (const role of roles) pods.set(role, await this.#ready(role)); // in this order, as what is waited for is told
    const world = await this.#world(pods);
    const open = openChecks(world);
    progress(`making ${open.length} calls`);
    const outcomes = await this.#call(open);
    progress("applying network policies");
    const policies = `/apis/networking.k8s.io/v1/namespaces/${this.#namespace}/networkpolicies`;
    await Promise.all(policyObjects().map((policy) => api.create(policies, policy)));
    return [...outcomes, ...(await this.#callUntilAsExpected(policyChecks(world), POLICY_MS))];
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#namespace}`;
  }

  async #admitted(pod: object): Promise<void> {
    const deadline = Date.now() + ADMITTED_MS;
    for (;;) {
      try {
        await this.#options.api.create(`${this.#path}/pods`, pod);
        return;
      } catch (error) {
        const isEarly = hasKubeCode(error, "kube-denied") && /serviceaccount/i.test(messageOf(error));
        if (!isEarly || Date.now() > deadline) throw error;
        await this.#pause(POLL_MS);
      }
    }
  }

  /** Until it is interrupted; why it is not ready is told when that changes. */
  async #ready(role: Role): Promise<Pod> {
    let told = "";
    for (;;) {
      const pod = await this.#options.api.get<Pod>(`${this.#path}/pods/${role}`);
      if (pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) return pod;
      const why = waitingFor(role, pod);
      if (why !== told) this.#options.progress(why);
      told = why;
      await this.#pause(POLL_MS);
    }
  }

  async #world(pods: ReadonlyMap<Role, Pod>): Promise<World> {
    const { api, nodes, outside } = this.#options;
    const service = await api.get<Service>(`${this.#path}/services/${SERVICE}`);
    const names = nodes.filter((name) => name !== undefined);
    const found = await Promise.all(names.map((name) => api.get<Node>(`/api/v1/nodes/${name}`)));
    const portOf = (name: string) => service.spec.ports.find((port) => port.name === name)?.nodePort ?? 0;
    const families = [...pods.values()].map(({ status }) => byFamily((status?.podIPs ?? []).map(({ ip }) => ip)));
    const internal = ({ status }: Node) =>
      (status?.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address);
    return {
      namespace: this.#namespace,
      pods: new Map(
        [...pods].map(([role], at) => {
          const node = role === "far" ? (nodes[1] ?? nodes[0]) : nodes[0];
          return [role, { node, addresses: families[at] ?? {} }];
        }),
      ),
      service: byFamily(service.spec.clusterIPs ?? []),
      nodePorts: { tcp: portOf("http"), udp: portOf("udp") },
      nodes: new Map(found.map((node) => [node.metadata.name, byFamily(internal(node))])),
      outside,
    };
  }

  /** All calls of one caller at once, callers beside each other. */
  async #call(checks: readonly Check[]): Promise<Outcome[]> {
    const callers = new Map<string, { from: Caller; checks: Check[] }>();
    for (const check of checks) {
      const key = JSON.stringify(check.from);
      const caller = callers.get(key) ?? { from: check.from, checks: [] };
      caller.checks.push(check);
      callers.set(key, caller);
    }
    const outcomes = await Promise.all([...callers.values()].map((caller) => this.#callFrom(caller)));
    const all = new Map(outcomes.flat().map((outcome) => [outcome.check, outcome]));
    return checks.flatMap((check) => all.get(check) ?? []);
  }

  /** A caller whose container can't be reached has made no call. */
  async #callFrom({ from, checks }: { from: Caller; checks: readonly Check[] }): Promise<Outcome[]> {
    const { api, nodeContainers, interrupted } = this.#options;
    const container =
      "pod" in from ? { namespace: this.#namespace, pod: from.pod, container: "probe" } : nodeContainers.get(from.node);
    const probes = checks.map(({ probe }, index) => ({ id: String(index), ...probe }));
    try {
      if (container === undefined) throw SluiceError.of("unknown-node", JSON.stringify(from), "no pod of Sluice there");
      const command = ["sluice", "connectivity", "probe", JSON.stringify(probes), "-o", "json"];
      const results = z.array(probeResultSchema).parse(JSON.parse(await execute(api, container, command, interrupted)));
      return checks.map((check, index) =>
        judge(
          check,
          results.find(({ id }) => id === String(index)),
        ),
      );
    } catch (error) {
      interrupted.throwIfAborted();
      if (!(error instanceof SluiceError)) throw error;
      return checks.map((check) => ({ check, ok: false, error: error.message, ms: 0 }));
    }
  }

  async #callUntilAsExpected(checks: readonly Check[], patienceMs: number): Promise<Outcome[]> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const outcomes = await this.#call(checks);
      if (outcomes.every(({ ok }) => ok) || Date.now() > deadline) return outcomes;
      await this.#pause(POLL_MS);
    }
  }

  async #pause(ms: number): Promise<void> {
    const { interrupted } = this.#options;
    await pause(ms, undefined, { signal: interrupted }).catch(() => interrupted.throwIfAborted());
  }
}

function waitingFor(role: Role, { status }: Pod): string {
  const { reason, message } = status?.containerStatuses?.[0]?.state?.waiting ?? {};
  const condition = status?.conditions?.find(({ status: value, message: said }) => value === "False" && said);
  const why = [reason, message ?? condition?.message].filter(Boolean).join(": ");
  return `waiting for pod ${role}${why === "" ? "" : `: ${why}`}`;
}

function byFamily(addresses: readonly string[]): Addresses {
  const v4 = addresses.find((address) => !isIPv6(address) && address !== "None");
  const v6 = addresses.find((address) => isIPv6(address));
  return { ...(v4 === undefined ? {} : { v4 }), ...(v6 === undefined ? {} : { v6 }) };
}

async function removeLeftBehind(api: KubeApi): Promise<void> {
  const all = await api.list<KubeObject>("/api/v1/namespaces", { labelSelector: TEST_LABEL });
  const before = Date.now() - LEFT_BEHIND_MS;
  for (const { metadata } of all) {
    if (Date.parse(metadata.creationTimestamp ?? "") < before) await removeNamespace(api, metadata.name);
  }
}

/**
 * The pods first, and those waited for: what is left of a namespace without any is Kubernetes' own work, with which it begins
 * after five seconds. @throws SluiceError "left-behind" when they are not gone in time
 */
async function removeNamespace(api: KubeApi, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${name}`;
  const pods = ROLES.map((role) => `${path}/pods/${role}`);
  await Promise.all([path, ...pods].map((each) => ifThere(() => api.delete(each))));
  for (const deadline = Date.now() + GONE_MS; Date.now() < deadline; await pause(POLL_MS)) {
    const found = await Promise.all(pods.map((pod) => ifThere(() => api.get(pod))));
    if (!found.some(Boolean)) return;
  }
  const why = `its pods are not gone yet; kubectl get pods --namespace ${name} -o yaml says why`;
  throw SluiceError.of("left-behind", name, why);
}

/** @returns whether it was there */
async function ifThere(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (hasKubeCode(error, "kube-not-found")) return false;
    throw error;
  }
}
