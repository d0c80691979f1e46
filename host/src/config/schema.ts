import { z } from "zod";
import {
  address,
  flag,
  integer,
  interfaceAddress,
  interfaceName,
  list,
  mac,
  mapping,
  name,
  nonEmpty,
  oneOf,
  prefix,
} from "./values.js";

// The node file, in zod: the one source of its checks, of its types and of its JSON schema. Relations between its parts
// are in checks.ts.

export const HOOKS = ["prerouting", "forward", "postrouting", "input", "output"] as const;
export type Hook = (typeof HOOKS)[number];

export const PORT_KINDS = [
  "tap",
  "veth",
  "af-packet",
  "af-xdp",
  "memif",
  "pcap",
  "null",
  "ring",
  "inject",
  "dpdk",
  "vxlan",
] as const;
export type PortKind = (typeof PORT_KINDS)[number];

export const FAILURE_STRATEGIES = ["FailClosed", "FailOpen", "Reload"] as const;

const table = integer(0, 65535, "a routing table's number").default(0);

const portBase = {
  mac: mac.optional(),
  mtu: integer(576, 9600, "bytes, from the L3 header").optional(),
  addresses: list(interfaceAddress, "addresses").default([]),
  proxy: flag.default(false),
  host: flag.default(false),
  table,
};

function port<Kind extends PortKind, Shape extends z.ZodRawShape>(kind: Kind, shape: Shape) {
  return mapping({ name, kind: z.literal(kind), ...portBase, ...shape });
}

/** What the interface in the namespace gets. */
const peer = {
  peerMac: mac.optional(),
  peerAddresses: list(interfaceAddress, "addresses").default([]),
  peerDefaultRoute: flag.default(false),
  peerRoutes: list(prefix, "prefixes").default([]),
};

export const portSchema = z.discriminatedUnion(
  "kind",
  [
    port("tap", { device: interfaceName.optional(), netns: nonEmpty.optional(), ...peer }),
    port("veth", { device: interfaceName.optional(), netns: nonEmpty, ...peer }),
    port("af-packet", { device: interfaceName, take: flag.optional() }),
    port("af-xdp", { device: interfaceName, take: flag.optional() }),
    port("memif", { socket: nonEmpty, memifId: integer(0, 0xffffffff).default(0), memifServer: flag.default(true) }),
    port("pcap", { pcapRx: nonEmpty.optional(), pcapTx: nonEmpty.optional() }),
    port("null", { devargs: nonEmpty.optional() }),
    port("ring", { devargs: nonEmpty.optional() }),
    port("inject", {}),
    port("dpdk", { devargs: nonEmpty }),
    port("vxlan", { vni: integer(1, 0xffffff), local: address, udpPort: integer(1, 65535).default(4789) }),
  ],
  { error: `a port: a mapping with name, kind (${PORT_KINDS.join(", ")}) and what the kind needs` },
);

const nextHopSchema = mapping({
  port: name,
  gateway: address.optional(),
  remote: address.optional(),
  mac: mac.optional(),
  weight: integer(1, 256).default(1),
});

export const routeSchema = mapping({
  prefix,
  table,
  blackhole: flag.default(false),
  local: flag.default(false),
  nextHops: list(nextHopSchema, "next hops").default([]),
});

export const neighbourSchema = mapping({ port: name, address, mac });

/** Names and defaults: native/src/conntrack/timeouts.h. */
export const TIMEOUT_NAMES = [
  "tcp_syn_sent",
  "tcp_syn_recv",
  "tcp_established",
  "tcp_fin_wait",
  "tcp_close_wait",
  "tcp_last_ack",
  "tcp_time_wait",
  "tcp_close",
  "tcp_syn_sent2",
  "tcp_unacknowledged",
  "udp",
  "udp_stream",
  "icmp",
  "icmpv6",
  "sctp_closed",
  "sctp_cookie_wait",
  "sctp_cookie_echoed",
  "sctp_established",
  "sctp_shutdown_sent",
  "sctp_shutdown_recd",
  "sctp_shutdown_ack_sent",
  "sctp_heartbeat_sent",
  "generic",
] as const;

const conntrackSchema = mapping({
  maxFlows: integer(1024, 1 << 24).default(262144),
  persist: flag.default(true),
  file: nonEmpty.optional(),
  timeouts: mapping(
    Object.fromEntries(
      TIMEOUT_NAMES.map((timeout) => [timeout, integer(1, 7 * 86400, "seconds").optional()]),
    ) as Record<(typeof TIMEOUT_NAMES)[number], z.ZodOptional<z.ZodNumber>>,
  ).prefault({}),
});

/** What the file and the dataplane's own record of a plugin have in common. */
const pluginBase = {
  name,
  failure: oneOf(FAILURE_STRATEGIES).optional(),
  budgetUs: integer(10, 1_000_000, "microseconds of one call").default(10_000),
  scope: list(name, "port names").default([]),
  before: list(name, "plugin names").default([]),
  after: list(name, "plugin names").default([]),
  priority: integer(-1000, 1000, "lower runs first").default(0),
  resetFlowState: flag.default(false),
};

export const pluginFileSchema = mapping({
  ...pluginBase,
  source: nonEmpty.optional(),
  module: nonEmpty.optional(),
  config: z.json({ error: "a value that JSON can express" }).optional(),
  configFile: nonEmpty.optional(),
});

const DIGEST = "a sha-256 digest in hex";
export const pluginSpecSchema = mapping({
  ...pluginBase,
  digest: z.string({ error: DIGEST }).regex(/^[0-9a-f]{64}$/, { error: DIGEST }),
  origin: nonEmpty,
  // Specs are of JSON texts anyway: to walk through a large cluster's services takes half a second.
  config: z.custom<z.core.util.JSONType>().optional(),
});

const pluginNames = list(name, "plugin names").optional();

export const pipelineSchema = mapping({
  prerouting: pluginNames,
  forward: pluginNames,
  postrouting: pluginNames,
  input: pluginNames,
  output: pluginNames,
});

const nodeBase = {
  name,
  workers: integer(1, 64).default(1),
  workerCores: list(integer(0, 1023), "CPU numbers, one a worker").optional(),
  busyPoll: flag.default(false),
  memory: mapping({
    size: integer(64, 1 << 20, "MiB").default(256),
    hugepages: oneOf(["auto", "never", "require"]).default("auto"),
    buffers: integer(1024, 1 << 22, "2 KiB packet buffers").optional(),
    jumbos: integer(64, 1 << 16, "64 KiB buffers").optional(),
  }).prefault({}),
  stateDir: nonEmpty.optional(),
  cacheDir: nonEmpty.optional(),
  logLevel: oneOf(["trace", "debug", "info", "warn", "error"]).default("info"),
  ports: list(portSchema, "ports").default([]),
  routes: list(routeSchema, "routes").default([]),
  neighbours: list(neighbourSchema, "neighbours").default([]),
  conntrack: conntrackSchema.prefault({}),
  pipeline: pipelineSchema.prefault({}),
};

export const nodeFileSchema = mapping({ ...nodeBase, plugins: list(pluginFileSchema, "plugins").default([]) });

/** The node file once its plugins are resolved to modules by digest: what goes over gRPC and into the store. */
export const nodeSpecSchema = mapping({ ...nodeBase, plugins: list(pluginSpecSchema, "plugins").default([]) });

export type NodeFile = z.output<typeof nodeFileSchema>;
export type NodeSpec = z.output<typeof nodeSpecSchema>;
export type PluginFile = z.output<typeof pluginFileSchema>;
export type PluginSpec = z.output<typeof pluginSpecSchema>;
export type Port = z.output<typeof portSchema>;
/** A port with an interface of its own in a namespace. */
export type PeerPort = Extract<Port, { kind: "tap" | "veth" }>;
export const hasPeer = (port: Port): port is PeerPort => port.kind === "tap" || port.kind === "veth";
export type NextHop = z.output<typeof nextHopSchema>;
export type Route = z.output<typeof routeSchema>;
export type Neighbour = z.output<typeof neighbourSchema>;

/** Of the node file as it is written (before defaults), for editors. */
export function nodeFileJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(nodeFileSchema, { io: "input" }), title: "Sluice node file" };
}
