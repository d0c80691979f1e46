import { join } from "node:path";
import type { HookName, Manifest } from "@sluice/native";
import { formatAddress, parseAddress, parsePrefix } from "../config/addresses.js";
import { standsFor } from "../config/checks.js";
import {
  HOOKS,
  type Neighbour,
  type NextHop,
  type NodeSpec,
  type PluginSpec,
  type Port,
  type PortKind,
  type Route,
} from "../config/schema.js";
import { SluiceError } from "../errors.js";
import { perItem } from "../per-object.js";
import { orderStages } from "../pipeline/order.js";
import { present } from "../present.js";
import { configText } from "./config-text.js";
import { netnsPath } from "./paths.js";
import { takenDevices, uplinkNetns } from "./uplinks.js";

// The desired state as the addon reads it: the camelCase mirror of native/src/control/desired_state.h. Ports, routes,
// neighbours and plugins keep the order and the keys of the node file, so that the addon's pointers fit the file.

export interface PortState {
  name: string;
  kind: PortKind;
  device?: string;
  netns?: string;
  devargs?: string;
  pcapRx?: string;
  pcapTx?: string;
  memifId?: number;
  memifServer?: boolean;
  mac?: string;
  peerMac?: string;
  mtu: number;
  addresses: string[];
  peerAddresses?: string[];
  peerKept?: boolean;
  peerDefaultRoute?: boolean;
  peerRoutes?: string[];
  proxy: boolean;
  host: boolean;
  vni?: number;
  local?: string;
  udpPort?: number;
  table: number;
}

export interface NextHopState {
  port: string;
  gateway?: string;
  remote?: string;
  mac?: string;
  weight: number;
}

export interface PluginState {
  name: string;
  digest: string;
  /** JSON text for the module's configure; absent: it is not called. */
  config?: string;
  failure: Manifest["failure"];
  budgetUs: number;
  scope: string[];
  resetFlowState: boolean;
}

export interface RouteState {
  table: number;
  prefix: string;
  blackhole: boolean;
  local: boolean;
  nextHops: NextHopState[];
}

export interface DesiredState {
  ports: PortState[];
  routes: readonly RouteState[];
  neighbours: readonly Neighbour[];
  plugins: PluginState[];
  pipeline: Record<HookName, string[]>;
  conntrack: { maxFlows: number; file?: string; timeouts: Record<string, number> };
}

/** Manifests by digest. */
export type Manifests = ReadonlyMap<string, Manifest>;

/**
 * What has not changed in the node is the same object as before.
 * @throws SluiceError when the stages can't be ordered as asked, or a hook lists a plugin that has no such hook
 */
export function desiredState(spec: NodeSpec, manifests: Manifests): DesiredState {
  const taken = takenDevices(spec.ports);
  return {
    ports: spec.ports.map((port) => portState(port, spec, taken)),
    routes: routeStates(spec.routes),
    neighbours: spec.neighbours,
    plugins: spec.plugins.map((plugin, index) => pluginState(plugin, manifestOf(plugin, index, manifests))),
    pipeline: pipelineOf(spec, manifests),
    conntrack: conntrackState(spec),
  };
}

/** The flow records' file lies in memory (tmpfs), so that they outlive the process but not the machine. */
function conntrackState({ name, conntrack }: NodeSpec): DesiredState["conntrack"] {
  const file = conntrack.file ?? join("/dev/shm", `sluice-${name}.flows`);
  return {
    maxFlows: conntrack.maxFlows,
    ...(conntrack.persist ? { file } : {}),
    timeouts: present(conntrack.timeouts),
  };
}

const portStates = new WeakMap<Port, PortState>();

function portState(port: Port, { name: node, ports }: NodeSpec, taken: readonly string[]): PortState {
  const mtu = port.mtu ?? defaultMtu(port, ports);
  const peerKept = taken.some((device) => standsFor(port, device));
  const known = portStates.get(port);
  if (known !== undefined && known.mtu === mtu && (known.peerKept ?? false) === peerKept) return known;
  const state = makePortState(port, node, mtu, peerKept);
  portStates.set(port, state);
  return state;
}

function makePortState(port: Port, node: string, mtu: number, peerKept: boolean): PortState {
  const { name, kind, mac, addresses, proxy, host, table } = port;
  const common = { name, kind, ...present({ mac }), mtu, addresses, proxy, host, table };
  switch (port.kind) {
    case "tap":
    case "veth": {
      const { device = name, netns, peerMac, peerAddresses, peerDefaultRoute, peerRoutes } = port;
      const peer = { peerAddresses, peerDefaultRoute, peerRoutes, ...(peerKept && { peerKept }) };
      return { ...common, device, ...peer, ...present({ netns: netns && netnsPath(netns), peerMac }) };
    }
    case "af-packet":
    case "af-xdp":
      return { ...common, device: port.device, ...(port.take === true && { netns: uplinkNetns(node, port.device) }) };
    case "memif":
      return { ...common, devargs: port.socket, memifId: port.memifId, memifServer: port.memifServer };
    case "pcap":
      return { ...common, ...present({ pcapRx: port.pcapRx, pcapTx: port.pcapTx }) };
    case "null":
    case "ring":
    case "dpdk":
      return { ...common, ...present({ devargs: port.devargs }) };
    case "vxlan":
      return { ...common, vni: port.vni, local: port.local, udpPort: port.udpPort };
    default:
      return common;
  }
}

/** Bytes that VXLAN puts before the inner L3 header: inner Ethernet 14, VXLAN 8, UDP 8, outer IP 20 or 40. */
const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const;

function defaultMtu(port: Port, ports: readonly Port[]): number {
  if (port.kind !== "vxlan") return 1500;
  const local = parseAddress(port.local);
  const carries = (candidate: Port) => candidate.addresses.some((text) => sameAddress(text, port.local));
  const underlay = ports.find((candidate) => candidate.kind !== "vxlan" && carries(candidate));
  return (underlay?.mtu ?? 1500) - VXLAN_OVERHEAD[local?.family ?? 4];
}

function sameAddress(prefix: string, address: string): boolean {
  const [left, right] = [parsePrefix(prefix), parseAddress(address)];
  return left !== undefined && right !== undefined && formatAddress(left) === formatAddress(right);
}

const routeStates = perItem((route: Route): RouteState => ({ ...route, nextHops: route.nextHops.map(nextHopState) }));

function nextHopState({ port, weight, gateway, remote, mac }: NextHop): NextHopState {
  return { port, weight, ...present({ gateway, remote, mac }) };
}

const pluginStates = new WeakMap<PluginSpec, PluginState>();

function pluginState(plugin: PluginSpec, manifest: Manifest): PluginState {
  const { name, digest, budgetUs, scope, resetFlowState, config, failure = manifest.failure } = plugin;
  const state = pluginStates.get(plugin) ?? {
    ...{ name, digest, budgetUs, scope, resetFlowState, failure },
    ...present({ config: configText(config) }),
  };
  pluginStates.set(plugin, state);
  return state;
}

function pipelineOf(spec: NodeSpec, manifests: Manifests): Record<HookName, string[]> {
  const order = (hook: HookName) => {
    const ofHook = spec.plugins.filter((plugin, index) => manifestOf(plugin, index, manifests).hooks.includes(hook));
    const listed = spec.pipeline[hook];
    if (listed === undefined) return orderStages(hook, ofHook);
    refuseForeign(listed, hook, ofHook);
    return orderStages(
      hook,
      ofHook.filter(({ name }) => listed.includes(name)),
      listed,
    );
  };
  return Object.fromEntries(HOOKS.map((hook) => [hook, order(hook)])) as Record<HookName, string[]>;
}

function refuseForeign(listed: readonly string[], hook: HookName, ofHook: readonly PluginSpec[]): void {
  const names = ofHook.map(({ name }) => name);
  const problems = listed.flatMap((name, index) => {
    if (names.includes(name)) return [];
    const message = `plugin "${name}" has no ${hook} hook by its manifest; allowed: ${names.join(", ") || "no plugin of this file has one"}`;
    return [{ code: "invalid-config", path: `/pipeline/${hook}/${index}`, message }];
  });
  if (problems.length > 0) throw new SluiceError(problems);
}

function manifestOf(plugin: PluginSpec, index: number, manifests: Manifests): Manifest {
  const manifest = manifests.get(plugin.digest);
  if (manifest !== undefined) return manifest;
  throw SluiceError.of(
    "unknown-module",
    `/plugins/${index}/digest`,
    `no module ${plugin.digest} was sent or is loaded; send it along`,
  );
}
