import type {
  V1EndpointSlice,
  V1NetworkPolicy,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
  V1Node,
  V1Pod,
  V1Service,
  V1ServiceCIDR,
  V1ServicePort,
} from "@kubernetes/client-node";
import type {
  EndpointSliceRecord,
  NamespaceRecord,
  NetworkPolicyRecord,
  NodeRecord,
  PodRecord,
  PolicyPeer,
  PolicyPort,
  Selector,
  ServiceCidrRecord,
  ServiceRecord,
} from "../cluster/records.js";
import { parseAddress, parsePrefix } from "../config/addresses.js";
import type { KubeObject } from "../kube/api.js";
import { present } from "../present.js";
import { GRANTED } from "./granted.js";

// Objects of the API, as they come in JSON, to records. Pure. What the API server fills in by default may be absent of objects
// that an older version stored; what a record can't hold is found by the record's schema afterwards.

/** As it came: nothing is certain but the metadata. */
type Loose<T> = KubeObject & Partial<Omit<T, "metadata">>;

/** Annotations for agents: all of these but what the reflector keeps for itself. */
const OWN = "sluice.dev/";

export function podOf({ metadata, spec, status }: Loose<V1Pod>): PodRecord {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const ports = containers.flatMap((container) => container.ports ?? []);
  return {
    ...namespaced(metadata),
    uid: metadata.uid,
    ...present({ node: spec?.nodeName }),
    phase: (status?.phase ?? "Pending") as PodRecord["phase"],
    ...(spec?.hostNetwork === true ? { hostNetwork: true } : {}),
    ips: addressesIn((status?.podIPs ?? []).map(({ ip }) => ip)),
    labels: metadata.labels ?? {},
    annotations: ownAnnotations(metadata),
    ports: ports.flatMap(({ name, containerPort, protocol }) =>
      name === undefined ? [] : [{ name, port: containerPort, protocol: protocolOf(protocol) }],
    ),
  };
}

export function namespaceOf({ metadata }: KubeObject): NamespaceRecord {
  return { name: metadata.name, labels: metadata.labels ?? {} };
}

export function nodeOf({ metadata, status }: Loose<V1Node>): NodeRecord {
  return {
    name: metadata.name,
    uid: metadata.uid,
    labels: metadata.labels ?? {},
    annotations: ownAnnotations(metadata),
    addresses: addressesIn(
      (status?.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address),
    ),
  };
}

export function serviceOf({ metadata, spec, status }: Loose<V1Service>): ServiceRecord {
  const clusterIPs = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  const affinity =
    spec?.sessionAffinity === "ClientIP" ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800) : undefined;
  return {
    ...namespaced(metadata),
    uid: metadata.uid,
    type: (spec?.type ?? "ClusterIP") as ServiceRecord["type"],
    clusterIPs: addressesIn(clusterIPs), // a headless service has "None"
    externalIPs: addressesIn(spec?.externalIPs ?? []),
    loadBalancerIPs: addressesIn((status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip)),
    ports: (spec?.ports ?? []).map(servicePortOf),
    ...present({ affinitySeconds: affinity }),
    internalTrafficPolicy: (spec?.internalTrafficPolicy ?? "Cluster") as ServiceRecord["internalTrafficPolicy"],
    externalTrafficPolicy: (spec?.externalTrafficPolicy ?? "Cluster") as ServiceRecord["externalTrafficPolicy"],
    ...present({ healthCheckNodePort: spec?.healthCheckNodePort || undefined }),
    annotations: ownAnnotations(metadata),
  };
}

function servicePortOf({ name, protocol, port, nodePort }: V1ServicePort): ServiceRecord["ports"][number] {
  return {
    ...present({ name: name || undefined }),
    protocol: protocolOf(protocol),
    port,
    ...present({ nodePort: nodePort || undefined }),
  };
}

export function serviceCidrOf({ metadata, spec }: Loose<V1ServiceCIDR>): ServiceCidrRecord {
  return { name: metadata.name, cidrs: (spec?.cidrs ?? []).filter((cidr) => parsePrefix(cidr) !== undefined) };
}

export function endpointSliceOf(object: Loose<V1EndpointSlice>): EndpointSliceRecord {
  const { metadata, addressType, ports, endpoints } = object;
  return {
    ...namespaced(metadata),
    service: metadata.labels?.["kubernetes.io/service-name"] ?? "",
    addressType: addressType as EndpointSliceRecord["addressType"],
    ports: (ports ?? []).map(({ name, protocol, port }) => ({
      ...present({ name: name || undefined }),
      protocol: protocolOf(protocol),
      ...present({ port: port ?? undefined }),
    })),
    endpoints: (endpoints ?? []).map(({ addresses, conditions, nodeName, zone }) => ({
      addresses: addressesIn(addresses),
      // Of unknown readiness: ready (the API's own rule); serving as it is ready.
      ready: conditions?.ready ?? true,
      serving: conditions?.serving ?? conditions?.ready ?? true,
      terminating: conditions?.terminating ?? false,
      ...present({ node: nodeName, zone }),
    })),
  };
}

/** The client's type has the key "_from". */
interface IngressRule {
  from?: V1NetworkPolicyPeer[];
  ports?: V1NetworkPolicyPort[];
}

export function networkPolicyOf({ metadata, spec }: Loose<V1NetworkPolicy>): NetworkPolicyRecord {
  const policyTypes = spec?.policyTypes ?? (spec?.egress === undefined ? ["Ingress"] : ["Ingress", "Egress"]);
  return {
    ...namespaced(metadata),
    podSelector: (spec?.podSelector ?? {}) as Selector,
    policyTypes: policyTypes as NetworkPolicyRecord["policyTypes"],
    ingress: ((spec?.ingress ?? []) as IngressRule[]).map(({ from, ports }) => ({
      ...present({ from: filled(from as PolicyPeer[] | undefined) }),
      ...present({ ports: filled(ports)?.map(policyPortOf) }),
    })),
    egress: (spec?.egress ?? []).map(({ to, ports }) => ({
      ...present({ to: filled(to as PolicyPeer[] | undefined) }),
      ...present({ ports: filled(ports)?.map(policyPortOf) }),
    })),
  };
}

function policyPortOf({ protocol, port, endPort }: V1NetworkPolicyPort): PolicyPort {
  return { protocol: protocolOf(protocol), ...present({ port: port as string | number | undefined, endPort }) };
}

/** An empty list of peers or ports means all of them, as an absent one does. */
function filled<T>(list: T[] | undefined): T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function namespaced({ name, namespace }: KubeObject["metadata"]): { namespace: string; name: string } {
  return { namespace: namespace ?? "", name };
}

function ownAnnotations({ annotations }: KubeObject["metadata"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([key]) => key.startsWith(OWN) && key !== GRANTED),
  );
}

/** Agents take every one of a record's addresses for an address. */
function addressesIn(texts: readonly (string | undefined)[]): string[] {
  return texts.filter((text) => text !== undefined && parseAddress(text) !== undefined) as string[];
}

function protocolOf(protocol: string | undefined): "TCP" | "UDP" | "SCTP" {
  return (protocol ?? "TCP") as "TCP";
}
