import type { NodeFile, RouteSpec } from "./node-file.js";

// Every node i (1 to 9) and pod j (1 to 9) of a topology has these numbers; both families everywhere.

/** 1500 less what a tunnel adds: 50 bytes of VXLAN over IPv4, 64 of IPv6 with a segment routing header of one SID. */
export const OVERLAY_MTU = 1436;
export const VNI = 42;

const two = (value: number) => value.toString(16).padStart(2, "0");

export const underlay4 = (node: number) => `172.31.0.${node}`;
export const underlay6 = (node: number) => `fd31::${node}`;
/** Every SID of a node's. */
export const sidPrefix = (node: number) => `fc00:${node}::/32`;
/** Decapsulate and route by the inner IPv4 or IPv6 destination. */
export const sidDt4 = (node: number) => `fc00:${node}::d4`;
export const sidDt6 = (node: number) => `fc00:${node}::d6`;
export const podPrefix4 = (node: number) => `10.1.${node}.0/24`;
export const podPrefix6 = (node: number) => `fd00:1:${node}::/64`;
export const pod4 = (node: number, pod: number) => `10.1.${node}.${10 + pod}`;
export const pod6 = (node: number, pod: number) => `fd00:1:${node}::${10 + pod}`;
export const gatewayMac = (node: number, pod: number) => `02:51:00:${two(node)}:${two(pod)}:01`;
export const podMac = (node: number, pod: number) => `02:51:00:${two(node)}:${two(pod)}:02`;
export const tunnelMac = (node: number) => `02:51:00:${two(node)}:fe:01`;

export const UPLINK = "uplink";
export const OVERLAY = "overlay";
export const podPort = (pod: number) => `pod${pod}`;

export interface NodeOptions {
  node: number;
  /** Network namespace paths of its pods, in the order of their numbers. */
  pods: string[];
  /** Numbers of the other nodes, reached by VXLAN. */
  peers: number[];
  /** Made on first use; holds state and module cache. */
  folder: string;
  /** Where the flow records live; on tmpfs. */
  flowFile: string;
}

/** A node with routed pods behind TAPs and the other nodes' pods behind a VXLAN tunnel; no plugins. */
export function nodeFile({ node, pods, peers, folder, flowFile }: NodeOptions): NodeFile {
  return {
    name: `node${node}`,
    workers: 1,
    memory: { size: 256 },
    conntrack: { maxFlows: 65536, file: flowFile },
    stateDir: `${folder}/state`,
    cacheDir: `${folder}/cache`,
    ports: [
      {
        name: UPLINK,
        kind: "af-packet",
        device: UPLINK,
        addresses: [`${underlay4(node)}/24`, `${underlay6(node)}/64`],
      },
      { name: OVERLAY, kind: "vxlan", vni: VNI, local: underlay4(node), mac: tunnelMac(node), mtu: OVERLAY_MTU },
      ...pods.map((netns, index) => podPortSpec(node, index + 1, netns)),
    ],
    routes: [...pods.flatMap((_, index) => podRoutes(node, index + 1)), ...peers.flatMap(overlayRoutes)],
    plugins: [],
  };
}

function podPortSpec(node: number, pod: number, netns: string): NodeFile["ports"][number] {
  return {
    name: podPort(pod),
    kind: "tap",
    device: "eth0",
    netns,
    mac: gatewayMac(node, pod),
    peerMac: podMac(node, pod),
    mtu: OVERLAY_MTU,
    addresses: ["169.254.1.1/32", "fe80::1/64"],
    peerAddresses: [`${pod4(node, pod)}/32`, `${pod6(node, pod)}/128`],
    peerDefaultRoute: true,
    proxy: true,
  };
}

export function podRoutes(node: number, pod: number): RouteSpec[] {
  const nextHops = [{ port: podPort(pod), mac: podMac(node, pod) }];
  return [
    { prefix: `${pod4(node, pod)}/32`, nextHops },
    { prefix: `${pod6(node, pod)}/128`, nextHops },
  ];
}

export function overlayRoutes(peer: number): RouteSpec[] {
  const nextHops = [{ port: OVERLAY, remote: underlay4(peer), mac: tunnelMac(peer) }];
  return [
    { prefix: podPrefix4(peer), nextHops },
    { prefix: podPrefix6(peer), nextHops },
  ];
}

/** The way to another node's SIDs. */
export function sidRoute(peer: number): RouteSpec {
  return { prefix: sidPrefix(peer), nextHops: [{ port: UPLINK, gateway: underlay6(peer) }] };
}
