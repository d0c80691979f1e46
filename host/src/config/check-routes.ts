import { commonEnds } from "../common-ends.js";
import { formatAddress, isLinkLocal, parseAddress, parsePrefix } from "./addresses.js";
import { type PlacedProblem, placed } from "./explain.js";
import { type CheckedNode, checkReference, distinctRoutes, duplicates, onLink, routeId } from "./relations.js";
import type { NextHop, Port, Route } from "./schema.js";

export function checkRoutes(node: CheckedNode): PlacedProblem[] {
  return [
    ...duplicates(distinctRoutes.has(node.routes) ? [] : node.routes, routeId).map(({ index, value, first }) =>
      placed(
        ["routes", index, "prefix"],
        `${value.prefix} is also the prefix of routes[${first}]; allowed: one route a prefix and table, with several next hops`,
      ),
    ),
    ...checkEachRoute(node),
    ...checkNeighbours(node),
  ];
}

/** The last node whose routes were right: most transactions have few others, and a node has thousands. */
let right: Pick<CheckedNode, "routes" | "ports" | "neighbours"> | undefined;

function checkEachRoute(node: CheckedNode): PlacedProblem[] {
  const isKnown = knownRoutes(node);
  const problems: PlacedProblem[] = [];
  for (const [index, route] of node.routes.entries()) {
    if (!isKnown(route, index)) problems.push(...checkRoute(route, index, node));
  }
  const { routes, ports, neighbours } = node;
  if (problems.length === 0) right = { routes, ports, neighbours };
  return problems;
}

/** Of a route: whether it was right before, and all that it was checked with is the same. */
function knownRoutes({ routes, ports, neighbours }: CheckedNode): (route: Route, index: number) => boolean {
  if (right?.neighbours !== neighbours) return () => false;
  const { first, last } = commonEnds<Route>(right.routes, routes);
  const now = new Set(ports);
  const others = new Set(right.ports.filter((port) => !now.has(port)).map(({ name }) => name));
  const isAsBefore = ({ nextHops }: Route) => others.size === 0 || !nextHops.some(({ port }) => others.has(port));
  return (route, index) => (index < first || index >= routes.length - last) && isAsBefore(route);
}

function checkRoute(route: Route, index: number, node: CheckedNode): PlacedProblem[] {
  const ways = [route.blackhole, route.local, route.nextHops.length > 0].filter(Boolean).length;
  if (ways !== 1) {
    const found = ways === 0 ? "a route that leads nowhere" : "a route that leads to several kinds of places";
    return [placed(["routes", index], `${found}; allowed: just one of nextHops, blackhole: true, local: true`)];
  }
  return route.nextHops.flatMap((hop, position) =>
    checkNextHop(hop, route, ["routes", index, "nextHops", position], node),
  );
}

function checkNextHop(hop: NextHop, route: Route, at: readonly PropertyKey[], node: CheckedNode): PlacedProblem[] {
  const port = node.ports.find(({ name }) => name === hop.port);
  if (port === undefined) {
    const names = node.ports.map(({ name }) => name);
    return checkReference(hop.port, names, "port", [...at, "port"]);
  }
  return port.kind === "vxlan" ? checkRemote(hop, port.local, at) : checkGateway(hop, route, port, at, node);
}

function checkRemote(hop: NextHop, local: string, at: readonly PropertyKey[]): PlacedProblem[] {
  if (hop.remote === undefined) {
    return [
      placed(
        [...at, "remote"],
        `missing; allowed: the address of the tunnel's other end, as port "${hop.port}" is a tunnel`,
      ),
    ];
  }
  if (parseAddress(hop.remote)?.family !== parseAddress(local)?.family) {
    return [
      placed(
        [...at, "remote"],
        `found ${hop.remote}; allowed: an address of the family of the tunnel's local address ${local}`,
      ),
    ];
  }
  return [];
}

function checkGateway(
  hop: NextHop,
  route: Route,
  port: Port,
  at: readonly PropertyKey[],
  node: CheckedNode,
): PlacedProblem[] {
  if (hop.remote !== undefined) {
    return [
      placed(
        [...at, "remote"],
        `port "${hop.port}" is of kind ${port.kind}; allowed: remote on ports of kind vxlan only`,
      ),
    ];
  }
  const gateway = hop.gateway === undefined ? undefined : parseAddress(hop.gateway);
  if (hop.gateway === undefined || gateway === undefined) return [];
  const family = parsePrefix(route.prefix)?.family;
  if (gateway.family !== family) {
    return [
      placed(
        [...at, "gateway"],
        `found ${hop.gateway}; allowed: an IPv${family} address, as the route's prefix is ${route.prefix}`,
      ),
    ];
  }
  const isNeighbour = node.neighbours.some(
    (neighbour) => neighbour.port === hop.port && neighbour.address === hop.gateway,
  );
  const reachable = hop.mac !== undefined || port.proxy || isNeighbour || onLink(hop.gateway, port);
  if (reachable || (gateway.family === 6 && isLinkLocal(gateway))) return [];
  const subnets = port.addresses.join(", ") || "none";
  return [
    placed(
      [...at, "gateway"],
      `${formatAddress(gateway)} is not reachable through port "${hop.port}" (its addresses: ${subnets}); allowed: an address in one of its subnets, or one with a mac here or in neighbours`,
    ),
  ];
}

function checkNeighbours(node: CheckedNode): PlacedProblem[] {
  const names = node.ports.map(({ name }) => name);
  return [
    ...duplicates(node.neighbours, ({ port, address }) => `${port} ${address}`).map(({ index, value, first }) =>
      placed(
        ["neighbours", index, "address"],
        `${value.address} on port "${value.port}" is also neighbours[${first}]; allowed: one MAC address each`,
      ),
    ),
    ...node.neighbours.flatMap(({ port }, index) => checkReference(port, names, "port", ["neighbours", index, "port"])),
  ];
}
