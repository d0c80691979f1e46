/** A cluster that is only written down: objects as the API server stores them, of the sizes that real ones have. */
export interface ClusterSize {
  readonly nodes: number;
  readonly pods: number;
  readonly services: number;
}

export const LARGE: ClusterSize = { nodes: 5000, pods: 150_000, services: 10_000 };

export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** An object of the API's, and where the API server stores it in its etcd. */
export interface Stored {
  readonly key: string;
  readonly object: ApiObject;
}

const NAMESPACES = 200;
const CREATED = "2026-01-01T00:00:00Z";

const namespaceName = (index: number) => `team-${index % NAMESPACES}`;
const nodeName = (index: number) => `node-${String(index).padStart(5, "0")}`;
const serviceName = (index: number) => `service-${String(index).padStart(5, "0")}`;
const hex = (value: number) => value.toString(16);
const uid = (kind: number, index: number) =>
  `${hex(kind).padStart(8, "0")}-0000-4000-8000-${hex(index).padStart(12, "0")}`;

/** Of a node's block. */
const BLOCK = 64;
/** Their addresses. */
export const POOLS = [
  { name: "v4", cidr: "10.128.0.0/9" },
  { name: "v6", cidr: "fd00:1::/64" },
];

const address4 = (value: number) => `10.${128 + (value >> 16)}.${(value >> 8) & 255}.${value & 255}`;
const address6 = (value: number) =>
  value < 0x10000 ? `fd00:1::${hex(value)}` : `fd00:1::${hex(value >> 16)}:${hex(value & 0xffff)}`;

/** A node's blocks, by pool. */
export function blocksOf(node: number): Record<string, string> {
  return {
    v4: `${address4(node * BLOCK)}/26`,
    v6: `${node === 0 ? "fd00:1::" : address6(node * BLOCK)}/122`,
  };
}

/** In its node's block, the first one left out. */
const podValue = (index: number, nodes: number) => (index % nodes) * BLOCK + Math.floor(index / nodes) + 1;

const managed = (manager: string, fields: object) => [
  { manager, operation: "Update", apiVersion: "v1", time: CREATED, fieldsType: "FieldsV1", fieldsV1: fields },
];

/** Pods are of the services in turn, and on the nodes in turn. */
export function* clusterObjects(size: ClusterSize): Generator<Stored> {
  for (let i = 0; i < Math.min(NAMESPACES, size.services); i++) yield namespaceObject(i);
  for (let i = 0; i < size.nodes; i++) yield node(i);
  for (let i = 0; i < size.services; i++) {
    yield service(i);
    yield slice(i, size, "IPv4");
    yield slice(i, size, "IPv6");
  }
  for (let i = 0; i < Math.min(NAMESPACES, size.services); i++) yield policy(i);
  for (let i = 0; i < size.pods; i++) yield pod(i, size);
}

function namespaceObject(index: number): Stored {
  const name = namespaceName(index);
  const metadata = {
    name,
    uid: uid(1, index),
    creationTimestamp: CREATED,
    labels: { "kubernetes.io/metadata.name": name, tier: `tier-${index % 3}` },
  };
  return {
    key: `/registry/namespaces/${name}`,
    object: {
      apiVersion: "v1",
      kind: "Namespace",
      metadata,
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    },
  };
}

function node(index: number): Stored {
  const name = nodeName(index);
  const labels = {
    "beta.kubernetes.io/arch": "amd64",
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "topology.kubernetes.io/region": "region-1",
    "topology.kubernetes.io/zone": `zone-${index % 3}`,
  };
  const conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map((type) => ({
    type,
    status: type === "Ready" ? "True" : "False",
    reason: "Kubelet",
    message: "as the kubelet reports it",
    lastHeartbeatTime: CREATED,
    lastTransitionTime: CREATED,
  }));
  const images = Array.from({ length: 20 }, (_, i) => ({
    names: [`registry.example/library/image-${i}@sha256:${"0".repeat(64)}`, `registry.example/library/image-${i}:1.0`],
    sizeBytes: 100_000_000,
  }));
  return {
    key: `/registry/minions/${name}`,
    object: {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name, uid: uid(2, index), creationTimestamp: CREATED, labels },
      spec: {},
      status: {
        addresses: [
          { type: "InternalIP", address: `172.20.${index >> 8}.${index & 255}` },
          { type: "InternalIP", address: `fd00:2::${hex(index + 1)}` },
          { type: "Hostname", address: name },
        ],
        conditions,
        images,
      },
    },
  };
}

/** Of both families; the first are left to the API server's own. */
function serviceAddresses(index: number): [string, string] {
  const value = index + 16;
  return [`10.96.${value >> 8}.${value & 255}`, `fd00:96::${hex(value)}`];
}

/** What the API server keeps of services' addresses, beside the services: without it, it repairs them all when it starts. */
export function* addressObjects({ services }: ClusterSize): Generator<Stored> {
  for (let i = 0; i < services; i++) {
    for (const [family, address] of serviceAddresses(i).entries()) {
      const labels = {
        "ipaddress.kubernetes.io/ip-family": family === 0 ? "IPv4" : "IPv6",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
      };
      const parentRef = { group: "", resource: "services", namespace: namespaceName(i), name: serviceName(i) };
      yield {
        key: `/registry/ipaddresses/${address}`,
        object: {
          apiVersion: "networking.k8s.io/v1",
          kind: "IPAddress",
          metadata: { name: address, uid: uid(9 + family, i), creationTimestamp: CREATED, labels },
          spec: { parentRef },
        },
      };
    }
  }
}

function service(index: number): Stored {
  const [name, namespace] = [serviceName(index), namespaceName(index)];
  const clusterIPs = serviceAddresses(index);
  return {
    key: `/registry/services/specs/${namespace}/${name}`,
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, uid: uid(3, index), creationTimestamp: CREATED, labels: { app: name } },
      spec: {
        type: "ClusterIP",
        clusterIP: clusterIPs[0],
        clusterIPs,
        ipFamilies: ["IPv4", "IPv6"],
        ipFamilyPolicy: "PreferDualStack",
        selector: { app: name },
        ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: "http" }],
        sessionAffinity: "None",
        internalTrafficPolicy: "Cluster",
      },
      status: { loadBalancer: {} },
    },
  };
}

function slice(index: number, { pods, services, nodes }: ClusterSize, addressType: "IPv4" | "IPv6"): Stored {
  const [service, namespace] = [serviceName(index), namespaceName(index)];
  const name = `${service}-${addressType.toLowerCase()}`;
  const addressOf = addressType === "IPv4" ? address4 : address6;
  const endpoints = [];
  for (let pod = index; pod < pods; pod += services) {
    endpoints.push({
      addresses: [addressOf(podValue(pod, nodes))],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: "Pod", namespace, name: podName(pod, services), uid: uid(5, pod) },
      nodeName: nodeName(pod % nodes),
      zone: `zone-${(pod % nodes) % 3}`,
    });
  }
  return {
    key: `/registry/endpointslices/${namespace}/${name}`,
    object: {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name,
        namespace,
        uid: uid(addressType === "IPv4" ? 4 : 6, index),
        creationTimestamp: CREATED,
        labels: {
          "kubernetes.io/service-name": service,
          "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
      },
      addressType,
      ports: [{ name: "http", protocol: "TCP", port: 8080 }],
      endpoints,
    },
  };
}

function policy(index: number): Stored {
  const [name, namespace] = ["from-its-tier", namespaceName(index)];
  return {
    key: `/registry/networkpolicies/${namespace}/${name}`,
    object: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name, namespace, uid: uid(7, index), creationTimestamp: CREATED },
      spec: {
        podSelector: {},
        policyTypes: ["Ingress"],
        ingress: [
          {
            from: [{ namespaceSelector: { matchLabels: { tier: `tier-${index % 3}` } } }],
            ports: [{ protocol: "TCP", port: 8080 }],
          },
        ],
      },
    },
  };
}

const podName = (index: number, services: number) =>
  `${serviceName(index % services)}-5d8f9c7b6-${index.toString(36).padStart(5, "0")}`;

/** One of the pods, on its node, with its addresses. */
export function pod(index: number, { nodes, services }: ClusterSize): Stored {
  const app = serviceName(index % services);
  const [name, namespace] = [podName(index, services), namespaceName(index % services)];
  const ips = [address4, address6].map((address) => address(podValue(index, nodes)));
  const fields = {
    "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
    "f:spec": { "f:containers": { 'k:{"name":"main"}': { ".": {}, "f:image": {}, "f:ports": {}, "f:resources": {} } } },
  };
  return {
    key: `/registry/pods/${namespace}/${name}`,
    object: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace,
        uid: uid(5, index),
        creationTimestamp: CREATED,
        labels: { app, "pod-template-hash": "5d8f9c7b6", version: `v${index % 4}` },
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${app}-5d8f9c7b6`, uid: uid(8, index), controller: true },
        ],
        managedFields: managed("kube-controller-manager", fields),
      },
      spec: {
        nodeName: nodeName(index % nodes),
        restartPolicy: "Always",
        dnsPolicy: "ClusterFirst",
        serviceAccountName: "default",
        containers: [
          {
            name: "main",
            image: `registry.example/library/${app}:1.0`,
            ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
            env: Array.from({ length: 6 }, (_, i) => ({ name: `VARIABLE_${i}`, value: `a value of some length ${i}` })),
            resources: { limits: { cpu: "1", memory: "256Mi" }, requests: { cpu: "100m", memory: "128Mi" } },
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
            imagePullPolicy: "IfNotPresent",
          },
        ],
        tolerations: [
          { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
        ],
      },
      status: {
        phase: "Running",
        podIP: ips[0],
        podIPs: ips.map((ip) => ({ ip })),
        hostIP: `172.20.${(index % nodes) >> 8}.${(index % nodes) & 255}`,
        startTime: CREATED,
        conditions: ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
          type,
          status: "True",
          lastTransitionTime: CREATED,
        })),
        containerStatuses: [
          {
            name: "main",
            ready: true,
            started: true,
            restartCount: 0,
            image: `registry.example/library/${app}:1.0`,
            imageID: `registry.example/library/${app}@sha256:${"0".repeat(64)}`,
            containerID: `containerd://${"0".repeat(64)}`,
            state: { running: { startedAt: CREATED } },
          },
        ],
      },
    },
  };
}
