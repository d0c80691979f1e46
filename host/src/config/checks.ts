import { perObject } from "../per-object.js";
import { familyOf, formatAddress, isLinkLocal, parseAddress, parsePrefix } from "./addresses.js";
import { checkPlugins } from "./check-plugins.js";
import { checkRoutes } from "./check-routes.js";
import { type PlacedProblem, placed, show } from "./explain.js";
import { type CheckedNode, duplicateNames, duplicates } from "./relations.js";
import { hasPeer, type Port } from "./schema.js";

/** Relations between the parts of a node that is valid part by part. */
export function checkNode(node: CheckedNode): PlacedProblem[] {
  return [...checkWorkers(node), ...checkPorts(node), ...checkRoutes(node), ...checkPlugins(node)];
}

function checkWorkers(node: CheckedNode): PlacedProblem[] {
  const cores = node.workerCores;
  if (cores === undefined) return [];
  if (cores.length !== node.workers) {
    return [
      placed(["workerCores"], `found ${cores.length} CPUs; allowed: one for each of the ${node.workers} workers`),
    ];
  }
  return duplicates(cores, String).map(({ index, value, first }) =>
    placed(
      ["workerCores", index],
      `CPU ${value} is also that of worker ${first}; allowed: a CPU of its own for each worker`,
    ),
  );
}

function checkPorts(node: CheckedNode): PlacedProblem[] {
  const ports = node.ports;
  const hosts = ports.flatMap((port, index) => (port.host ? [index] : []));
  return [
    ...duplicateNames(ports, "ports"),
    ...hosts
      .slice(1)
      .map((index) =>
        placed(
          ["ports", index, "host"],
          `port "${ports[hosts[0] ?? 0]?.name}" is the host stack's already; allowed: one such port`,
        ),
      ),
    ...checkOwnAddresses(ports),
    ...ports.flatMap(checkPort),
    ...ports.flatMap((port, index) => checkTaken(port, index, ports)),
    ...duplicates(ports, deviceOf).map(({ index, value, first }) =>
      placed(
        ["ports", index],
        `uses the same ${deviceOf(value)} as port "${ports[first]?.name}"; allowed: one port each`,
      ),
    ),
    ...checkTunnels(ports),
  ];
}

function checkPort(port: Port, index: number): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  const peers = hasPeer(port) ? port.peerAddresses : [];
  const carriesIpv6 = [...port.addresses, ...peers].some((address) => familyOf(address) === 6);
  if (port.mtu !== undefined && port.mtu < 1280 && carriesIpv6) {
    problems.push(
      placed(
        ["ports", index, "mtu"],
        `found ${port.mtu}; allowed: 1280 or more on a port with IPv6 (RFC 8200 section 5)`,
      ),
    );
  }
  if (hasPeer(port) && port.device === undefined && port.name.length > 15) {
    problems.push(
      placed(
        ["ports", index, "name"],
        `found ${show(port.name)}; allowed: up to 15 characters, as it names the interface too; or set device`,
      ),
    );
  }
  if (hasPeer(port) && port.peerDefaultRoute && port.addresses.length === 0) {
    problems.push(
      placed(
        ["ports", index, "peerDefaultRoute"],
        "the default route needs a gateway; allowed: true with addresses on the port",
      ),
    );
  }
  if (port.kind === "pcap" && port.pcapRx === undefined && port.pcapTx === undefined) {
    problems.push(placed(["ports", index], "a pcap port without files; allowed: pcapRx, pcapTx or both"));
  }
  return problems;
}

/** What the interface was to the node must go on in its place. */
function checkTaken(port: Port, index: number, ports: readonly Port[]): PlacedProblem[] {
  if (!isTaken(port) || ports.some((other) => standsFor(other, port.device))) return [];
  const allowed = `true with a port of kind tap, host: true and device: ${port.device}, without netns, which stands for it`;
  return [placed(["ports", index, "take"], `the node would lose ${port.device}; allowed: ${allowed}`)];
}

/** Whether the dataplane takes the port's interface from the node. */
export function isTaken(port: Port): port is Extract<Port, { kind: "af-packet" | "af-xdp" }> {
  return (port.kind === "af-packet" || port.kind === "af-xdp") && port.take === true;
}

/** Whether a port is the host stack's TAP in place of a taken interface. */
export function standsFor(port: Port, device: string): boolean {
  return port.kind === "tap" && port.host && port.netns === undefined && (port.device ?? port.name) === device;
}

/** Link-local ones may be on every port: they are the gateway of each pod. The host stack's are the node's own. */
const ownAddresses = perObject((port: Port) => {
  const lists = {
    addresses: port.addresses,
    peerAddresses: hasPeer(port) && !port.host ? port.peerAddresses : [],
  };
  return Object.entries(lists).flatMap(([key, list]) =>
    list.flatMap((text, position) => {
      const address = parsePrefix(text);
      return address === undefined || isLinkLocal(address) ? [] : [{ key, position, text: formatAddress(address) }];
    }),
  );
});

function checkOwnAddresses(ports: readonly Port[]): PlacedProblem[] {
  const seen = new Map<string, string>();
  const problems: PlacedProblem[] = [];
  for (const [index, port] of ports.entries()) {
    for (const { key, position, text } of ownAddresses(port)) {
      const id = `${port.table} ${text}`;
      const other = seen.get(id);
      if (other !== undefined) {
        const where = other === port.name ? "twice on this port" : `also on port "${other}"`;
        problems.push(
          placed(["ports", index, key, position], `${text} is ${where}; allowed: one place for an address`),
        );
      }
      seen.set(id, port.name);
    }
  }
  return problems;
}

const canonicalAddresses = perObject(({ addresses }: Port) =>
  addresses.flatMap((text) => parsePrefix(text) ?? []).map(formatAddress),
);

function checkTunnels(ports: readonly Port[]): PlacedProblem[] {
  const tunnels = ports.flatMap((port, index) => (port.kind === "vxlan" ? [{ port, index }] : []));
  const own = ports.flatMap((port) => (port.kind === "vxlan" ? [] : canonicalAddresses(port)));
  const problems = duplicates(tunnels, ({ port }) => `${port.vni} ${port.udpPort}`).map(({ value, first }) =>
    placed(
      ["ports", value.index, "vni"],
      `VNI ${value.port.vni} is also that of port "${tunnels[first]?.port.name}"; allowed: one tunnel a VNI`,
    ),
  );
  for (const { port, index } of tunnels) {
    const local = parseAddress(port.local);
    if (local === undefined || own.includes(formatAddress(local))) continue;
    problems.push(
      placed(
        ["ports", index, "local"],
        `${port.local} is on no port of this node; allowed: one of ${own.join(", ") || "their addresses (there are none)"}`,
      ),
    );
  }
  return problems;
}

/** What only one port can have open, in words. */
function deviceOf(port: Port): string | undefined {
  switch (port.kind) {
    case "tap":
    case "veth":
      return `interface ${port.device ?? port.name} in namespace ${port.netns ?? "of the dataplane"}`;
    case "af-packet":
    case "af-xdp":
      return port.take === true
        ? `taken interface ${port.device}`
        : `interface ${port.device} in namespace of the dataplane`;
    case "memif":
      return `memif ${port.memifId} on socket ${port.socket}`;
    case "dpdk":
      return `device ${port.devargs}`;
    default:
      return undefined;
  }
}
