import { isDeepStrictEqual } from "node:util";
import { ENDPOINTS_PREFIX, mirrorPrefix } from "../../../host/src/cluster/keys.js";
import type {
  EndpointRecord,
  EndpointSliceRecord,
  NetworkPolicyRecord,
  PodRecord,
  ServiceRecord,
} from "../../../host/src/cluster/records.js";
import type { NatConfig, PolicyConfig } from "../../../host/src/translate/plugin-configs.js";
import { CommandError, eventually } from "../../support/process.js";
import type { Cluster } from "../cluster.js";
import type { ClusterNode } from "../node.js";
import { dataplaneSpec } from "./dataplane-spec.js";
import { etcdRecords } from "./etcd.js";
import type { World } from "./world.js";

/** Peers of tests' policies are of this prefix, by which they are told in the dataplane's rules. */
const MARKED = "198.51.100.";

/** Of a node's pods, of services and of policies: sorted lines. */
interface Facts {
  /** Addresses. */
  pods: string[];
  /** Cluster address, port, protocol, and where they lead. */
  services: string[];
  /** Marked peers. */
  policies: string[];
}

/** What each one between the API and a node's packets knows. */
export interface Knowledge {
  api: Facts;
  /** What the reflector has made of it in etcd. */
  mirror: Facts;
  dataplane: Facts;
  /** Addresses that the agent has handed out: how many it says, and which it has written to etcd. */
  agent: { used: number; endpoints: string[] };
}

/** Whether all know what the API has. */
export function agree(known: Knowledge): boolean {
  return isDeepStrictEqual(known, expected(known));
}

/** What there should be: what the API has. */
export function expected({ api }: Knowledge): Knowledge {
  return { api, mirror: api, dataplane: api, agent: { used: api.pods.length, endpoints: api.pods } };
}

/**
 * What is known once `isSettled`; when that does not come about, what is known then. Those who are asked need not serve yet.
 * @throws CommandError when one of them never does
 */
export async function knowledgeOnce(
  world: World,
  node: ClusterNode,
  withinMs: number,
  isSettled: (known: Knowledge) => boolean,
): Promise<Knowledge> {
  try {
    return await eventually(`what is known of ${node.name}`, withinMs, async () => {
      const known = await knowledgeOf(world, node).catch(unlessAway);
      return known !== undefined && isSettled(known) ? known : undefined;
    });
  } catch {
    return knowledgeOf(world, node); // the comparison says more
  }
}

function unlessAway(error: unknown): undefined {
  if (!(error instanceof CommandError)) throw error;
}

async function knowledgeOf({ cluster }: World, node: ClusterNode): Promise<Knowledge> {
  const [api, mirror, dataplane, endpoints, metrics] = await Promise.all([
    apiFacts(cluster, node.name),
    mirrorFacts(cluster, node.name),
    dataplaneFacts(node),
    etcdRecords<EndpointRecord>(cluster, `${ENDPOINTS_PREFIX}${node.name}/`),
    node.must(["curl", "-sf", "http://127.0.0.1:9466/metrics"]),
  ]);
  const used = Number(/^sluice_agent_addresses\{state="used"\} (\d+)$/m.exec(metrics)?.[1]);
  return { api, mirror, dataplane, agent: { used, endpoints: endpoints.flatMap(({ addresses }) => addresses).sort() } };
}

type Service = Pick<ServiceRecord, "namespace" | "name" | "clusterIPs" | "ports">;
type Slice = Pick<EndpointSliceRecord, "namespace" | "service" | "ports"> & {
  endpoints: Pick<EndpointSliceRecord["endpoints"][number], "addresses" | "ready">[];
};
type Peers = Pick<NetworkPolicyRecord, "ingress">;

interface ApiObject {
  kind: "Pod" | "Service" | "EndpointSlice" | "NetworkPolicy";
  metadata: { namespace: string; labels?: Record<string, string> };
}
type ApiPod = { spec: { nodeName?: string; hostNetwork?: boolean }; status: { podIPs?: { ip: string }[] } };
type ApiService = { metadata: { name: string }; spec: Pick<ServiceRecord, "ports"> & { clusterIPs?: string[] } };
type ApiSlice = {
  ports: Slice["ports"] | null;
  endpoints?: { addresses: string[]; conditions: { ready?: boolean } }[] | null;
};

async function apiFacts({ kubectl }: Cluster, node: string): Promise<Facts> {
  const kinds = "pods,services,endpointslices,networkpolicies";
  const { items } = await kubectl.json<{ items: ApiObject[] }>("get", kinds, "--all-namespaces");
  const of = <T>(kind: ApiObject["kind"]) => items.filter((each) => each.kind === kind) as (ApiObject & T)[];
  const pods = of<ApiPod>("Pod").filter(({ spec }) => spec.nodeName === node && spec.hostNetwork !== true);
  const services = of<ApiService>("Service").map(({ metadata, spec }) => ({
    ...metadata,
    clusterIPs: (spec.clusterIPs ?? []).filter((address) => address !== "None"),
    ports: spec.ports,
  }));
  const slices = of<ApiSlice>("EndpointSlice").map(({ metadata, ports, endpoints }) => ({
    namespace: metadata.namespace,
    service: metadata.labels?.["kubernetes.io/service-name"] ?? "",
    ports: ports ?? [],
    endpoints: (endpoints ?? []).map(({ addresses, conditions }) => ({ addresses, ready: conditions.ready ?? true })),
  }));
  return {
    pods: pods.flatMap(({ status }) => (status.podIPs ?? []).map(({ ip }) => ip)).sort(),
    services: serviceLines(services, slices),
    policies: markedPeers(of<{ spec: Peers }>("NetworkPolicy").map(({ spec }) => spec)),
  };
}

async function mirrorFacts(cluster: Cluster, node: string): Promise<Facts> {
  const [pods, services, slices, policies] = await Promise.all([
    etcdRecords<PodRecord>(cluster, mirrorPrefix("pods")),
    etcdRecords<ServiceRecord>(cluster, mirrorPrefix("services")),
    etcdRecords<EndpointSliceRecord>(cluster, mirrorPrefix("endpointslices")),
    etcdRecords<NetworkPolicyRecord>(cluster, mirrorPrefix("networkpolicies")),
  ]);
  const own = pods.filter((pod) => pod.node === node && pod.hostNetwork !== true);
  return {
    pods: own.flatMap(({ ips }) => ips).sort(),
    services: serviceLines(services, slices),
    policies: markedPeers(policies),
  };
}

async function dataplaneFacts(node: ClusterNode): Promise<Facts> {
  const spec = await dataplaneSpec(node);
  const hosts = spec.routes.filter(({ prefix, blackhole }) => !blackhole && /^[\d.]+\/32$|\/128$/.test(prefix));
  const configOf = (name: string) => spec.plugins.find((plugin) => plugin.name === name)?.config;
  const nat = configOf("nat") as NatConfig | undefined;
  const policy = configOf("policy-ingress") as PolicyConfig | undefined;
  return {
    pods: hosts.map(({ prefix }) => prefix.replace(/\/\d+$/, "")).sort(),
    services: (nat?.services ?? [])
      .filter(({ shared }) => shared !== true)
      .map(({ vip, port, protocol, backends }) =>
        serviceLine(
          [vip, port, protocol],
          backends.map((backend) => `${backend.address} ${backend.port}`),
        ),
      )
      .sort(),
    policies: marked((policy?.rules ?? []).flatMap(({ source }) => source ?? [])),
  };
}

function serviceLines(services: readonly Service[], slices: readonly Slice[]): string[] {
  const lines = services.flatMap(({ namespace, name, clusterIPs, ports }) => {
    const own = slices.filter((slice) => slice.namespace === namespace && slice.service === name);
    return clusterIPs.flatMap((address) =>
      ports.map(({ name: portName, port, protocol }) => {
        const backends = own.flatMap((slice) => {
          const number = slice.ports.find((each) => (each.name ?? "") === (portName ?? ""))?.port;
          if (number === undefined) return [];
          const ready = slice.endpoints.filter((endpoint) => endpoint.ready).flatMap((endpoint) => endpoint.addresses);
          return ready
            .filter((each) => each.includes(":") === address.includes(":"))
            .map((each) => `${each} ${number}`);
        });
        return serviceLine([address, port, protocol.toLowerCase()], backends);
      }),
    );
  });
  return lines.sort();
}

const serviceLine = (service: (string | number)[], backends: string[]) =>
  `${service.join(" ")}: ${backends.sort().join(", ")}`;

function markedPeers(policies: readonly Peers[]): string[] {
  const peers = policies.flatMap(({ ingress = [] }) => ingress.flatMap(({ from = [] }) => from));
  return marked(peers.flatMap(({ ipBlock }) => ipBlock?.cidr ?? []));
}

const marked = (prefixes: readonly string[]) =>
  [...new Set(prefixes)].filter((prefix) => prefix.startsWith(MARKED)).sort();
