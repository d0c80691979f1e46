import { createHash } from "node:crypto";
import {
  contains,
  type Family,
  familyOf,
  formatAddress,
  formatPrefix,
  networkOf,
  ofFamily,
  parseAddress,
  parsePrefix,
} from "../config/addresses.js";
import type { NodeSpec, PluginSpec, Port, Route } from "../config/schema.js";
import { emptyNode, type StartSettings } from "../dataplane/start-file.js";
import { type Attachment, attachmentId, type PodInterface } from "../ipam/attachment.js";
import { latest } from "../latest.js";
import type { NodeConfigSpec } from "../resources/node-config.js";
import type { Uplink } from "./uplink.js";

/** Another node: what is behind it, and how it is reached. */
export interface OtherNode {
  readonly name: string;
  /** InternalIP addresses. */
  readonly addresses: readonly string[];
  /** In CIDR form. */
  readonly blocks: readonly string[];
}

export interface DesiredInput {
  /** What the dataplane runs with. */
  readonly settings: StartSettings;
  readonly stateDir?: string;
  readonly config: NodeConfigSpec;
  /** Absent: the node reaches nobody but its own pods. */
  readonly uplink?: Uplink;
  /** The node's InternalIP addresses. */
  readonly addresses: readonly string[];
  readonly attachments: readonly Attachment[];
  readonly others: readonly OtherNode[];
  readonly ownBlocks: readonly string[];
  /** All pods' addresses of the cluster, and services', which the node's own processes reach through the dataplane. */
  readonly clusterCidrs: readonly string[];
  readonly plugins: readonly PluginSpec[];
  readonly pipeline: NodeSpec["pipeline"];
}

/** Pods' gateways; each pod has the same. */
export const GATEWAYS = { 4: "169.254.1.1", 6: "fe80::1" } as const;
export const UPLINK = "uplink";
export const OVERLAY = "overlay";
export const HOST = "host";
/** The host stack's interface, where the uplink is not taken. */
export const HOST_DEVICE = "sluice0";

const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const;
const TUNNEL_UDP_PORT = 4789;

/**
 * What a node should be. The function that it gives keeps what did not change the same object from call to call, so that differences are
 * seen at once; its result depends on its input only.
 */
export function desiredNodes(): (input: DesiredInput) => NodeSpec {
  const toOthers = latest(routesToOthers);
  const portsOfNode = latest(nodePorts);
  const ownRoutesOf = latest(ownRoutes);
  const base = latest(emptyNode);
  return (input) => {
    const { settings, stateDir, config, uplink, addresses, others, ownBlocks, clusterCidrs, plugins, pipeline } = input;
    const mtu = podMtu(input);
    const pods = input.attachments.map((attachment) => podParts(attachment, mtu));
    return {
      ...base(settings),
      ...(stateDir && { stateDir }),
      ports: [...portsOfNode(config, uplink, addresses, clusterCidrs), ...pods.flatMap((pod) => pod.ports)],
      routes: [
        ...toOthers(config, uplink, addresses, others),
        ...ownRoutesOf(ownBlocks, uplink),
        ...pods.flatMap((pod) => pod.routes),
      ],
      plugins: [...plugins],
      pipeline,
    };
  };
}

/** Of pods' interfaces: what the uplink and the transport leave. */
export function podMtu({ config, uplink, addresses }: Pick<DesiredInput, "config" | "uplink" | "addresses">): number {
  if (config.mtu !== undefined) return config.mtu;
  const mtu = uplink?.mtu ?? 1500;
  return config.transport === "vxlan" ? mtu - VXLAN_OVERHEAD[tunnelFamily(addresses)] : mtu;
}

/** Names the port after the pod, for people; the rest keeps it apart from others of that name. */
export function portName(attachment: Attachment, name: string): string {
  const { pod } = attachment;
  const person = pod.name
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 48);
  const id = digestOf("port", attachment, name).slice(0, 10);
  return person === "" ? id : `${person}.${id}`;
}

/** Made of the attachment, so that ADD can tell it before the interface is there. */
export function podMac(attachment: Attachment, name: string): string {
  const hex = digestOf("mac", attachment, name);
  return ["02", ...[0, 2, 4, 6, 8].map((at) => hex.slice(at, at + 2))].join(":");
}

function digestOf(what: string, attachment: Attachment, name: string): string {
  return createHash("sha256")
    .update(`${what} ${attachmentId(attachment)} ${name}`)
    .digest("hex");
}

/** What the dataplane has for a container. */
interface PodParts {
  readonly mtu: number;
  readonly ports: readonly Port[];
  readonly routes: readonly Route[];
}

const partsOfPods = new WeakMap<Attachment, PodParts>();

function podParts(attachment: Attachment, mtu: number): PodParts {
  const known = partsOfPods.get(attachment);
  if (known?.mtu === mtu) return known;
  const parts = {
    mtu,
    ports: attachment.interfaces.map((each) => podPort(attachment, each, mtu)),
    routes: attachment.interfaces.flatMap(({ name, addresses }) =>
      addresses.map((address) => routeBy(hostPrefix(address), { port: portName(attachment, name) })),
    ),
  };
  partsOfPods.set(attachment, parts);
  return parts;
}

function podPort(attachment: Attachment, { name, kind, addresses }: PodInterface, mtu: number): Port {
  const gateways = addresses.map((address) => hostPrefix(GATEWAYS[familyOf(address)]));
  const port = portName(attachment, name);
  const common = { name: port, mtu, addresses: gateways, proxy: true, host: false, table: 0 };
  if (kind === "memif") return { ...common, kind, socket: memifSocket(port), memifId: 0, memifServer: true };
  return {
    ...common,
    kind,
    device: name,
    netns: attachment.netns,
    peerMac: podMac(attachment, name),
    peerAddresses: addresses.map(hostPrefix),
    peerDefaultRoute: name === attachment.ifname,
    peerRoutes: [],
  };
}

/** On the node; a pod with such an interface mounts the folder. */
export const MEMIF_FOLDER = "/run/sluice/memif";

export function memifSocket(port: string): string {
  return `${MEMIF_FOLDER}/${port}.sock`;
}

function nodePorts(
  config: NodeConfigSpec,
  uplink: Uplink | undefined,
  addresses: readonly string[],
  clusterCidrs: readonly string[],
): Port[] {
  const made: Port[] = [];
  const own = { proxy: false, host: false, table: 0 };
  if (uplink !== undefined) {
    const common = { ...own, name: UPLINK, addresses: [...uplink.addresses], mtu: uplink.mtu };
    made.push(
      config.uplink.driver === "dpdk"
        ? { ...common, kind: "dpdk", devargs: config.uplink.devargs ?? uplink.device }
        : { ...common, kind: config.uplink.driver, device: uplink.device, ...(isTaken(config) && { take: true }) },
    );
    const local = tunnelEnd(uplink, addresses);
    if (config.transport === "vxlan" && local !== undefined) {
      const mtu = uplink.mtu - VXLAN_OVERHEAD[familyOf(local)];
      made.push({
        ...own,
        name: OVERLAY,
        kind: "vxlan",
        addresses: [],
        mtu,
        vni: config.vni,
        local,
        udpPort: TUNNEL_UDP_PORT,
      });
    }
  }
  const takes = uplink !== undefined && isTaken(config);
  const families = [...new Set([...addresses, ...clusterCidrs].map(familyOf))].sort();
  made.push({
    ...own,
    name: HOST,
    kind: "tap",
    device: takes ? uplink.device : HOST_DEVICE,
    host: true,
    proxy: true,
    mtu: uplink?.mtu ?? 1500,
    addresses: families.map((family) => hostPrefix(GATEWAYS[family])),
    peerAddresses: takes ? [...uplink.addresses] : addresses.map(hostPrefix),
    peerDefaultRoute: false,
    peerRoutes: [...new Set([...clusterCidrs, ...linkRoutes(uplink, config)])],
  });
  return made;
}

/** Only a kernel's interface can be: a DPDK device is none. */
function isTaken({ uplink }: NodeConfigSpec): boolean {
  return uplink.take && uplink.driver !== "dpdk";
}

/** Where the uplink is the dataplane's own, the node's processes reach its networks through the dataplane too. */
function linkRoutes(uplink: Uplink | undefined, config: NodeConfigSpec): string[] {
  if (uplink === undefined || isTaken(config)) return [];
  const networks = uplink.addresses.flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix === undefined ? [] : [formatPrefix(networkOf(prefix))];
  });
  return [...networks, ...uplink.gateways.map((gateway) => everything(familyOf(gateway)))];
}

function routesToOthers(
  config: NodeConfigSpec,
  uplink: Uplink | undefined,
  addresses: readonly string[],
  others: readonly OtherNode[],
): Route[] {
  if (uplink === undefined) return [];
  const local = tunnelEnd(uplink, addresses);
  return others.flatMap((node) => {
    const remote = local === undefined ? undefined : ofFamily(node.addresses, familyOf(local));
    return node.blocks.flatMap((block) => {
      if (config.transport === "vxlan") {
        return remote === undefined ? [] : [routeBy(block, { port: OVERLAY, remote })];
      }
      const gateway = ofFamily(node.addresses, familyOf(block));
      // A route by a gateway that is on no link of the node would be refused, and all else with it.
      return gateway === undefined || !isOnLink(gateway, uplink) ? [] : [routeBy(block, { port: UPLINK, gateway })];
    });
  });
}

function isOnLink(address: string, uplink: Uplink): boolean {
  const parsed = parseAddress(address);
  return uplink.addresses.some((text) => {
    const prefix = parsePrefix(text);
    return parsed !== undefined && prefix !== undefined && contains(prefix, parsed);
  });
}

/** Addresses of the node's blocks that no pod has lead nowhere, rather than out by the default route. */
function ownRoutes(ownBlocks: readonly string[], uplink: Uplink | undefined): Route[] {
  const defaults = (uplink?.gateways ?? []).map((gateway) =>
    routeBy(everything(familyOf(gateway)), { port: UPLINK, gateway }),
  );
  const blackholes = ownBlocks.map((prefix) => ({ prefix, table: 0, blackhole: true, local: false, nextHops: [] }));
  return [...defaults, ...blackholes];
}

function routeBy(prefix: string, hop: { port: string; gateway?: string; remote?: string }): Route {
  return { prefix, table: 0, blackhole: false, local: false, nextHops: [{ ...hop, weight: 1 }] };
}

/** Where tunnels go from: the Node's address, or what the uplink has in its place while the Node still says what it was. */
function tunnelEnd(uplink: Uplink, addresses: readonly string[]): string | undefined {
  const told = parseAddress(tunnelAddress(addresses) ?? "");
  if (told === undefined) return undefined;
  const found = uplink.addresses.flatMap((text) => parsePrefix(text) ?? []).map(formatAddress);
  const address = formatAddress(told);
  return found.includes(address) ? address : ofFamily(found, told.family);
}

/** The one that others reach the node's tunnels by: IPv4 where the node has it. */
export function tunnelAddress(addresses: readonly string[]): string | undefined {
  return ofFamily(addresses, 4) ?? addresses[0];
}

function tunnelFamily(addresses: readonly string[]): Family {
  const address = tunnelAddress(addresses);
  return address === undefined ? 4 : familyOf(address);
}

export function hostPrefix(address: string): string {
  const parsed = parseAddress(address);
  return parsed === undefined ? address : `${formatAddress(parsed)}/${parsed.bytes.length * 8}`;
}

function everything(family: Family): string {
  return family === 4 ? "0.0.0.0/0" : "::/0";
}
