import { z } from "zod";
import { HOOKS } from "../config/schema.js";
import { ipPoolSpec } from "../resources/ip-pool.js";
import { nodeConfigSpec } from "../resources/node-config.js";
import { pipelineSpec } from "../resources/pipeline.js";
import { versionFields } from "../resources/plugin.js";
import { pastVersion } from "../resources/status.js";

// The values in Sluice's etcd: of Kubernetes objects, no more than what agents need. Schemas are loose: a key that a newer
// version added is ignored, so that versions can be mixed while a cluster is upgraded.

const labels = z.record(z.string(), z.string());
const protocol = z.enum(["TCP", "UDP", "SCTP"]);

export const podRecord = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  /** Absent until it is scheduled. */
  node: z.string().optional(),
  phase: z.enum(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
  hostNetwork: z.boolean().optional(),
  /** As the API reports them: IPv4 and IPv6, at most one each. */
  ips: z.array(z.string()),
  labels,
  /** Those of sluice.dev only. */
  annotations: labels,
  /** Named container ports, which services and policies may name. */
  ports: z.array(z.object({ name: z.string(), port: z.int(), protocol })),
});

export const namespaceRecord = z.object({ name: z.string(), labels });

export const nodeRecord = z.object({
  name: z.string(),
  uid: z.string(),
  labels,
  /** Those of sluice.dev only. */
  annotations: labels,
  /** InternalIP addresses. */
  addresses: z.array(z.string()),
});

const servicePort = z.object({
  name: z.string().optional(),
  protocol,
  port: z.int(),
  nodePort: z.int().optional(),
});

export const serviceRecord = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  type: z.enum(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
  /** None of a headless service. */
  clusterIPs: z.array(z.string()),
  externalIPs: z.array(z.string()),
  /** Addresses of its load balancer's status. */
  loadBalancerIPs: z.array(z.string()),
  ports: z.array(servicePort),
  /** Seconds that a client stays with its backend; absent: no affinity. */
  affinitySeconds: z.int().min(1).max(86400).optional(),
  internalTrafficPolicy: z.enum(["Cluster", "Local"]),
  externalTrafficPolicy: z.enum(["Cluster", "Local"]),
  healthCheckNodePort: z.int().optional(),
  annotations: labels,
});

export const endpointSliceRecord = z.object({
  namespace: z.string(),
  name: z.string(),
  /** The service's name. */
  service: z.string(),
  addressType: z.enum(["IPv4", "IPv6"]),
  /** A port without a number stands for all. */
  ports: z.array(z.object({ name: z.string().optional(), protocol, port: z.int().optional() })),
  endpoints: z.array(
    z.object({
      addresses: z.array(z.string()),
      ready: z.boolean(),
      serving: z.boolean(),
      terminating: z.boolean(),
      node: z.string().optional(),
      zone: z.string().optional(),
    }),
  ),
});

const selector = z.object({
  matchLabels: labels.optional(),
  matchExpressions: z
    .array(
      z.object({
        key: z.string(),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

const policyPeer = z.object({
  podSelector: selector.optional(),
  namespaceSelector: selector.optional(),
  ipBlock: z.object({ cidr: z.string(), except: z.array(z.string()).optional() }).optional(),
});

const policyPort = z.object({
  protocol,
  /** A number, or the name of a container port; absent: all ports. */
  port: z.union([z.int(), z.string()]).optional(),
  endPort: z.int().optional(),
});

export const networkPolicyRecord = z.object({
  namespace: z.string(),
  name: z.string(),
  podSelector: selector,
  policyTypes: z.array(z.enum(["Ingress", "Egress"])),
  /** Without peers: everyone; without ports: all. */
  ingress: z.array(z.object({ from: z.array(policyPeer).optional(), ports: z.array(policyPort).optional() })),
  egress: z.array(z.object({ to: z.array(policyPeer).optional(), ports: z.array(policyPort).optional() })),
});

/** Prefixes that services have their addresses of. */
export const serviceCidrRecord = z.object({ name: z.string(), cidrs: z.array(z.string()) });

/** One that was accepted last: while an object is refused its last good record stays. */
export const nodeConfigRecord = z.object({
  name: z.string(),
  uid: z.string(),
  generation: z.int(),
  /** With all defaults filled in. */
  spec: nodeConfigSpec,
});

/** Likewise. */
export const ipPoolRecord = z.object({
  name: z.string(),
  uid: z.string(),
  generation: z.int(),
  spec: ipPoolSpec,
});

/** Likewise. */
export const pipelineRecord = z.object({
  name: z.string(),
  uid: z.string(),
  generation: z.int(),
  spec: pipelineSpec,
});

/** A version of a Plugin that was accepted: its module is in etcd, its configuration is as the module's manifest says. */
export const pluginVersion = z.object({
  /** A hash of all else and the Plugin's uid: versions of one generation differ where its configuration is elsewhere. */
  id: z.string(),
  /** Of the Plugin that it was made of. */
  generation: z.int(),
  /** sha-256 of its module, hex. */
  digest: z.string(),
  /** Where the module came from, for people. */
  origin: z.string(),
  /** sha-256 of what the module was made from, hex: who finds the same again makes none. */
  source: z.string(),
  /** That it runs in. */
  hooks: z.array(z.enum(HOOKS)),
  ...versionFields,
});

/** A Plugin as nodes are to run it. */
export const pluginRecord = z.object({
  name: z.string(),
  uid: z.string(),
  /** ISO 8601, UTC: of two that can't both be run the older one is. */
  createdAt: z.string(),
  /** What goes back goes back to it; absent while the first version comes to the nodes. */
  live: pluginVersion.optional(),
  /** Of the module that ran before `live`. */
  previousDigest: z.string().optional(),
  /**
   * Under way: runs on nodes instead. NodeByNode comes to them in the order of their names, and has come to those up to `through`, to none
   * where that is absent: one name, as all agents are sent each step.
   */
  next: z.object({ version: pluginVersion, through: z.string().optional() }).optional(),
});

/** What became of a Plugin's versions. */
export const rolloutRecord = z.object({
  name: z.string(),
  uid: z.string(),
  /** Oldest first. */
  history: z.array(pastVersion),
  /** When the version that is under way was first given to nodes; ISO 8601, UTC. */
  since: z.string().optional(),
  /** The last one that went back: it is not tried again. `source` and `digest`: as its version had them. */
  refused: z.object({ id: z.string(), source: z.string(), digest: z.string() }).optional(),
});

/** An id that its node no longer has stays as long as packets of it may be under way. */
export const idRecord = z.object({
  node: z.string(),
  /** Milliseconds since 1970; absent while the node has it. */
  releasedAt: z.int().optional(),
});

export const nodeIdRecord = z.object({ node: z.string(), id: z.int().min(1).max(65535) });

export const blockRecord = z.object({ pool: z.string(), block: z.string(), node: z.string() });

export const wantRecord = z.object({ node: z.string(), pool: z.string(), blocks: z.int().min(0) });

/** What became of a Plugin on a node. */
const pluginReport = z.object({
  name: z.string(),
  /** Of the version that runs. */
  generation: z.int().optional(),
  /** Its id. */
  version: z.string().optional(),
  /** It has run well for as long as its roll-out says. */
  settled: z.boolean().optional(),
  /** Id of the version that the node does not run, or no longer, as it failed. */
  refused: z.string().optional(),
  /** Why the node does not run the version that it should. */
  problem: z.string().optional(),
  /** The last failure of its stages. */
  failure: z
    .object({
      message: z.string(),
      source: z.string().optional(),
      packet: z.string().optional(),
      /** ISO 8601, UTC. */
      time: z.string(),
    })
    .optional(),
});

/** What the reflector makes the status of NodeConfig and events of. */
export const nodeReportRecord = z.object({
  node: z.string(),
  version: z.string(),
  conditions: z.array(
    z.object({
      type: z.string(),
      status: z.enum(["True", "False", "Unknown"]),
      reason: z.string(),
      message: z.string(),
    }),
  ),
  /** Generation of the NodeConfig that the conditions are about, and its name. */
  nodeConfig: z.object({ name: z.string(), generation: z.int() }).optional(),
  plugins: z.array(pluginReport).optional(),
  /** That the node runs with; `problem`: why it does not run with the one that holds for it. */
  pipeline: z.object({ name: z.string(), generation: z.int(), problem: z.string().optional() }).optional(),
});

export const endpointRecord = z.object({
  node: z.string(),
  namespace: z.string(),
  pod: z.string(),
  podUid: z.string(),
  containerId: z.string(),
  interface: z.string(),
  addresses: z.array(z.string()),
});

export type PodRecord = z.output<typeof podRecord>;
export type NamespaceRecord = z.output<typeof namespaceRecord>;
export type NodeRecord = z.output<typeof nodeRecord>;
export type ServiceRecord = z.output<typeof serviceRecord>;
export type EndpointSliceRecord = z.output<typeof endpointSliceRecord>;
export type Selector = z.output<typeof selector>;
export type PolicyPeer = z.output<typeof policyPeer>;
export type PolicyPort = z.output<typeof policyPort>;
export type NetworkPolicyRecord = z.output<typeof networkPolicyRecord>;
export type ServiceCidrRecord = z.output<typeof serviceCidrRecord>;
export type NodeConfigRecord = z.output<typeof nodeConfigRecord>;
export type IpPoolRecord = z.output<typeof ipPoolRecord>;
export type PipelineRecord = z.output<typeof pipelineRecord>;
export type PluginVersion = z.output<typeof pluginVersion>;
export type RolloutRecord = z.output<typeof rolloutRecord>;
export type PluginReport = z.output<typeof pluginReport>;
export type PluginRecord = z.output<typeof pluginRecord>;
export type IdRecord = z.output<typeof idRecord>;
export type NodeIdRecord = z.output<typeof nodeIdRecord>;
export type BlockRecord = z.output<typeof blockRecord>;
export type WantRecord = z.output<typeof wantRecord>;
export type NodeReportRecord = z.output<typeof nodeReportRecord>;
export type EndpointRecord = z.output<typeof endpointRecord>;
