import { PackedSlice } from "../../src/cluster/packed-slice.js";
import { PodTable } from "../../src/cluster/pod-table.js";
import type {
  EndpointSliceRecord,
  NamespaceRecord,
  NetworkPolicyRecord,
  PodRecord,
  ServiceRecord,
} from "../../src/cluster/records.js";

// Records as the reflector writes them, with what a row is about given and the rest plain.

export const service = (change: Partial<ServiceRecord> = {}): ServiceRecord => ({
  namespace: "shop",
  name: "web",
  uid: "1",
  type: "ClusterIP",
  clusterIPs: ["10.96.0.10", "fd00:96::10"],
  externalIPs: [],
  loadBalancerIPs: [],
  ports: [{ protocol: "TCP", port: 80 }],
  internalTrafficPolicy: "Cluster",
  externalTrafficPolicy: "Cluster",
  annotations: {},
  ...change,
});

export type Endpoint = EndpointSliceRecord["endpoints"][number];

export const endpoint = (address: string, change: Partial<Endpoint> = {}): Endpoint => ({
  addresses: [address],
  ready: true,
  serving: true,
  terminating: false,
  node: "node-a",
  ...change,
});

export const slice = (endpoints: Endpoint[], change: Partial<EndpointSliceRecord> = {}): EndpointSliceRecord => ({
  namespace: "shop",
  name: "web-1",
  service: "web",
  addressType: "IPv4",
  ports: [{ protocol: "TCP", port: 8080 }],
  endpoints,
  ...change,
});

export const packed = (endpoints: Endpoint[], change: Partial<EndpointSliceRecord> = {}): PackedSlice =>
  new PackedSlice(slice(endpoints, change));

export const pod = (name: string, ip: string, change: Partial<PodRecord> = {}): PodRecord => ({
  namespace: "shop",
  name,
  uid: name,
  node: "node-a",
  phase: "Running",
  ips: [ip],
  labels: { app: name },
  annotations: {},
  ports: [],
  ...change,
});

export const namespace = (name: string, labels: Record<string, string> = {}): NamespaceRecord => ({ name, labels });

export const policy = (change: Partial<NetworkPolicyRecord> = {}): NetworkPolicyRecord => ({
  namespace: "shop",
  name: "rules",
  podSelector: { matchLabels: { app: "web" } },
  policyTypes: ["Ingress"],
  ingress: [],
  egress: [],
  ...change,
});

/** As the table of pods has it. */
export const podKey = ({ namespace, name }: PodRecord): string => `${namespace}/${name}`;

/** A node's table of all pods of the cluster. */
export function podsOf(node: string, ...pods: PodRecord[]): PodTable {
  const table = new PodTable(node);
  table.keepOthers();
  for (const each of pods) table.set(podKey(each), each);
  return table;
}
