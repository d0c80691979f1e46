import { describe, expect, test } from "vitest";
import type { KubeObject } from "../src/kube/api.js";
import { KINDS } from "../src/reflector/kinds.js";

const META = {
  namespace: "shop",
  name: "web",
  uid: "u1",
  resourceVersion: "7",
  creationTimestamp: "2026-01-01T00:00:00Z",
};

function recordOf(kind: string, object: object): object | undefined {
  const found = KINDS.find(({ name }) => name === kind);
  if (found === undefined) throw new Error(`${kind} is not mirrored`);
  return found.record({ metadata: META, ...object } as KubeObject);
}

interface Row {
  kind: string;
  what: string;
  object: object;
  record: object | undefined;
}

const POD = {
  namespace: "shop",
  name: "web",
  uid: "u1",
  phase: "Running",
  ips: [],
  labels: {},
  annotations: {},
  ports: [],
};
const SERVICE = {
  namespace: "shop",
  name: "web",
  uid: "u1",
  type: "ClusterIP",
  clusterIPs: ["10.96.0.10"],
  externalIPs: [],
  loadBalancerIPs: [],
  ports: [],
  internalTrafficPolicy: "Cluster",
  externalTrafficPolicy: "Cluster",
  annotations: {},
};
const SLICE = { namespace: "shop", name: "web", service: "web", addressType: "IPv4", ports: [], endpoints: [] };
const OF_WEB = { metadata: { ...META, labels: { "kubernetes.io/service-name": "web" } } };
const POLICY = { namespace: "shop", name: "web", podSelector: {}, policyTypes: ["Ingress"], ingress: [], egress: [] };

const ROWS: Row[] = [
  {
    kind: "Pod",
    what: "that runs: addresses of both families, named ports of all containers, its own annotations only",
    object: {
      metadata: {
        ...META,
        labels: { app: "web" },
        annotations: { "sluice.dev/interface": "memif", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
      },
      spec: {
        nodeName: "a",
        initContainers: [{ name: "mesh", ports: [{ name: "admin", containerPort: 15000 }] }],
        containers: [
          {
            name: "c",
            ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }, { containerPort: 9 }],
          },
          { name: "d", ports: [{ name: "dns", containerPort: 53, protocol: "UDP" }] },
        ],
      },
      status: { phase: "Running", podIP: "10.1.0.5", podIPs: [{ ip: "10.1.0.5" }, { ip: "fd00::5" }] },
    },
    record: {
      ...POD,
      node: "a",
      ips: ["10.1.0.5", "fd00::5"],
      labels: { app: "web" },
      annotations: { "sluice.dev/interface": "memif" },
      ports: [
        { name: "admin", port: 15000, protocol: "TCP" },
        { name: "http", port: 8080, protocol: "TCP" },
        { name: "dns", port: 53, protocol: "UDP" },
      ],
    },
  },
  {
    kind: "Pod",
    what: "that is not scheduled",
    object: { spec: { containers: [{ name: "c" }] }, status: { phase: "Pending" } },
    record: { ...POD, phase: "Pending" },
  },
  {
    kind: "Pod",
    what: "of the node's network, without any status yet",
    object: { spec: { nodeName: "a", hostNetwork: true, containers: [] } },
    record: { ...POD, phase: "Pending", node: "a", hostNetwork: true },
  },
  {
    kind: "Namespace",
    what: "with labels",
    object: { metadata: { name: "shop", uid: "u", labels: { team: "a" } } },
    record: { name: "shop", labels: { team: "a" } },
  },
  {
    kind: "Node",
    what: "with internal addresses only",
    object: {
      metadata: { name: "a", uid: "u", labels: { zone: "z" }, annotations: { "sluice.dev/x": "1", other: "2" } },
      status: {
        addresses: [
          { type: "InternalIP", address: "192.0.2.1" },
          { type: "ExternalIP", address: "198.51.100.1" },
          { type: "InternalIP", address: "2001:db8::1" },
          { type: "Hostname", address: "a" },
        ],
      },
    },
    record: {
      name: "a",
      uid: "u",
      labels: { zone: "z" },
      annotations: { "sluice.dev/x": "1" },
      addresses: ["192.0.2.1", "2001:db8::1"],
    },
  },
  {
    kind: "Service",
    what: "of two families and ports",
    object: {
      spec: {
        type: "ClusterIP",
        clusterIP: "10.96.0.10",
        clusterIPs: ["10.96.0.10", "fd00:96::a"],
        ports: [
          { name: "http", port: 80, targetPort: "http", protocol: "TCP" },
          { name: "dns", port: 53, targetPort: 53, protocol: "UDP" },
        ],
        internalTrafficPolicy: "Local",
      },
    },
    record: {
      ...SERVICE,
      clusterIPs: ["10.96.0.10", "fd00:96::a"],
      ports: [
        { name: "http", protocol: "TCP", port: 80 },
        { name: "dns", protocol: "UDP", port: 53 },
      ],
      internalTrafficPolicy: "Local",
    },
  },
  {
    kind: "Service",
    what: "without cluster address: headless",
    object: { spec: { clusterIP: "None", clusterIPs: ["None"], ports: [{ port: 80 }] } },
    record: { ...SERVICE, clusterIPs: [], ports: [{ protocol: "TCP", port: 80 }] },
  },
  {
    kind: "Service",
    what: "with addresses that are none: they are left out, the others are served",
    object: { spec: { clusterIPs: ["10.96.0.10", "fe80::1%eth0"], externalIPs: ["203.0.113.05", "203.0.113.5"] } },
    record: { ...SERVICE, externalIPs: ["203.0.113.5"] },
  },
  {
    kind: "Service",
    what: "stored by an old API server, without the list of addresses",
    object: { spec: { clusterIP: "10.96.0.10" } },
    record: SERVICE,
  },
  {
    kind: "Service",
    what: "of a load balancer: node ports, affinity, local traffic, health check; a host name is no address",
    object: {
      spec: {
        type: "LoadBalancer",
        clusterIPs: ["10.96.0.10"],
        externalIPs: ["203.0.113.5"],
        ports: [{ port: 443, nodePort: 30443, protocol: "TCP" }],
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
        externalTrafficPolicy: "Local",
        healthCheckNodePort: 31000,
      },
      status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }, { hostname: "lb.example" }] } },
    },
    record: {
      ...SERVICE,
      type: "LoadBalancer",
      externalIPs: ["203.0.113.5"],
      loadBalancerIPs: ["203.0.113.9"],
      ports: [{ protocol: "TCP", port: 443, nodePort: 30443 }],
      affinitySeconds: 60,
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 31000,
    },
  },
  {
    kind: "Service",
    what: "with the affinity's time left out: three hours",
    object: { spec: { clusterIPs: ["10.96.0.10"], sessionAffinity: "ClientIP" } },
    record: { ...SERVICE, affinitySeconds: 10800 },
  },
  {
    kind: "ServiceCIDR",
    what: "of both families; what is no prefix is left out",
    object: { metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/16", "fd00:96::/112", "all"] } },
    record: { name: "kubernetes", cidrs: ["10.96.0.0/16", "fd00:96::/112"] },
  },
  {
    kind: "EndpointSlice",
    what: "with conditions and where they are not known",
    object: {
      ...OF_WEB,
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }, { name: "" }],
      endpoints: [
        {
          addresses: ["10.1.0.5"],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: "a",
          zone: "z",
        },
        { addresses: ["10.1.0.6"], conditions: { ready: false, serving: true, terminating: true } },
        { addresses: ["10.1.0.7"] },
        { addresses: ["10.1.0.8"], conditions: { ready: false } },
      ],
    },
    record: {
      ...SLICE,
      ports: [{ name: "http", protocol: "TCP", port: 8080 }, { protocol: "TCP" }],
      endpoints: [
        { addresses: ["10.1.0.5"], ready: true, serving: true, terminating: false, node: "a", zone: "z" },
        { addresses: ["10.1.0.6"], ready: false, serving: true, terminating: true },
        { addresses: ["10.1.0.7"], ready: true, serving: true, terminating: false },
        { addresses: ["10.1.0.8"], ready: false, serving: false, terminating: false },
      ],
    },
  },
  {
    kind: "EndpointSlice",
    what: "whose lists are null, as Go writes empty ones",
    object: { ...OF_WEB, addressType: "IPv4", ports: null, endpoints: null },
    record: SLICE,
  },
  {
    kind: "EndpointSlice",
    what: "of host names: not mirrored",
    object: { ...OF_WEB, addressType: "FQDN", endpoints: [{ addresses: ["web.example"] }] },
    record: undefined,
  },
  {
    kind: "EndpointSlice",
    what: "of no service: not mirrored",
    object: { addressType: "IPv4", endpoints: [] },
    record: undefined,
  },
  {
    kind: "NetworkPolicy",
    what: "that lets nobody in",
    object: { spec: { podSelector: {}, policyTypes: ["Ingress"] } },
    record: POLICY,
  },
  {
    kind: "NetworkPolicy",
    what: "with a rule that lets everybody in: empty lists are as absent ones",
    object: { spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: [], ports: [] }, {}] } },
    record: { ...POLICY, ingress: [{}, {}] },
  },
  {
    kind: "NetworkPolicy",
    what: "with all kinds of peers and ports",
    object: {
      spec: {
        podSelector: { matchLabels: { app: "web" }, matchExpressions: [{ key: "v", operator: "In", values: ["1"] }] },
        policyTypes: ["Ingress", "Egress"],
        ingress: [
          {
            from: [
              { podSelector: { matchLabels: { app: "a" } } },
              { namespaceSelector: {}, podSelector: {} },
              { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } },
            ],
            ports: [{ port: "http" }, { protocol: "UDP", port: 53, endPort: 60 }, { protocol: "SCTP" }],
          },
        ],
        egress: [{ to: [{ ipBlock: { cidr: "::/0" } }] }],
      },
    },
    record: {
      ...POLICY,
      podSelector: { matchLabels: { app: "web" }, matchExpressions: [{ key: "v", operator: "In", values: ["1"] }] },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { app: "a" } } },
            { namespaceSelector: {}, podSelector: {} },
            { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } },
          ],
          ports: [{ protocol: "TCP", port: "http" }, { protocol: "UDP", port: 53, endPort: 60 }, { protocol: "SCTP" }],
        },
      ],
      egress: [{ to: [{ ipBlock: { cidr: "::/0" } }] }],
    },
  },
  {
    kind: "NetworkPolicy",
    what: "without types and with an egress rule: both",
    object: { spec: { podSelector: {}, egress: [{}] } },
    record: { ...POLICY, policyTypes: ["Ingress", "Egress"], egress: [{}] },
  },
  {
    kind: "IPPool",
    what: "with its defaults",
    object: { metadata: { name: "v4", uid: "u", generation: 3 }, spec: { cidr: "10.1.0.0/16" } },
    record: { name: "v4", uid: "u", generation: 3, spec: { cidr: "10.1.0.0/16", disabled: false } },
  },
];

describe("an object of the API becomes a record", () => {
  test.each(ROWS)("$kind $what", ({ kind, object, record }) => {
    const made = recordOf(kind, object);
    expect(made).toEqual(record);
    if (made !== undefined) expect(JSON.parse(JSON.stringify(made))).toEqual(record);
  });
});

const REFUSED: { kind: string; what: string; object: object; problem: string }[] = [
  {
    kind: "Pod",
    what: "of a phase that this version does not know",
    object: { status: { phase: "Hibernating" } },
    problem: 'malformed-object /phase: found "Hibernating"',
  },
  {
    kind: "Pod",
    what: "with a port that is no number",
    object: { spec: { containers: [{ ports: [{ name: "a", containerPort: "http" }] }] } },
    problem: "malformed-object /ports/0/port",
  },
  {
    kind: "Pod",
    what: "with a list that is none",
    object: { status: { podIPs: { ip: "10.0.0.1" } } },
    problem: "malformed-object",
  },
  {
    kind: "Service",
    what: "of another protocol",
    object: { spec: { ports: [{ port: 80, protocol: "QUIC" }] } },
    problem: 'malformed-object /ports/0/protocol: found "QUIC"',
  },
  {
    kind: "NetworkPolicy",
    what: "with an operator of a newer version",
    object: { spec: { podSelector: { matchExpressions: [{ key: "a", operator: "Gt", values: ["1"] }] } } },
    problem: "malformed-object /podSelector/matchExpressions/0/operator",
  },
  {
    kind: "IPPool",
    what: "with host bits",
    object: { spec: { cidr: "10.1.0.1/16" } },
    problem: 'invalid-spec /spec/cidr: found "10.1.0.1/16"; allowed: 10.1.0.0/16',
  },
  {
    kind: "IPPool",
    what: "of blocks larger than itself",
    object: { spec: { cidr: "10.1.0.0/24", blockSize: 20 } },
    problem: "invalid-spec /spec/blockSize: found 20; allowed: a whole number from 24",
  },
  {
    kind: "IPPool",
    what: "of blocks longer than an IPv4 address",
    object: { spec: { cidr: "10.1.0.0/24", blockSize: 64 } },
    problem: "invalid-spec /spec/blockSize",
  },
  {
    kind: "NodeConfig",
    what: "with fewer CPUs than workers",
    object: { spec: { workers: 2, workerCores: [1] } },
    problem: "invalid-spec /spec/workerCores: found [1]; allowed: as many CPUs as workers, 2",
  },
  {
    kind: "NodeConfig",
    what: "with driver dpdk and no device arguments",
    object: { spec: { uplink: { driver: "dpdk" } } },
    problem: "invalid-spec /spec/uplink/devargs",
  },
];

describe("an object that this version can't use is refused with its place", () => {
  test.each(REFUSED)("$kind $what", ({ kind, object, problem }) => {
    expect(() => recordOf(kind, object)).toThrow(problem);
  });
});
