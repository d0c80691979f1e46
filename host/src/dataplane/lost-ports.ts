import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasPeer, type NodeSpec, type Port } from "../config/schema.js";

/** Where `ip netns` keeps its names. */
const NETNS_FOLDER = "/run/netns";

/** A plain name is one of `ip netns`. */
export function netnsPath(netns: string): string {
  return netns.includes("/") ? netns : join(NETNS_FOLDER, netns);
}

/** The node without ports whose network namespace is gone, and without what leads to them. */
export function withoutLostPorts(spec: NodeSpec): NodeSpec {
  const lost = (port: Port) => hasPeer(port) && port.netns !== undefined && !existsSync(netnsPath(port.netns));
  return withoutPorts(spec, new Set(spec.ports.filter(lost).map(({ name }) => name)));
}

export function withoutPorts(spec: NodeSpec, names: ReadonlySet<string>): NodeSpec {
  if (names.size === 0) return spec;
  const routes = spec.routes.flatMap((route) => {
    const nextHops = route.nextHops.filter(({ port }) => !names.has(port));
    return nextHops.length === 0 && route.nextHops.length > 0 ? [] : [{ ...route, nextHops }];
  });
  return {
    ...spec,
    ports: spec.ports.filter(({ name }) => !names.has(name)),
    routes,
    neighbours: spec.neighbours.filter(({ port }) => !names.has(port)),
    // A stage of lost ports only would become one of all packets.
    plugins: spec.plugins
      .filter(({ scope }) => scope.length === 0 || scope.some((port) => !names.has(port)))
      .map((plugin) => ({ ...plugin, scope: plugin.scope.filter((port) => !names.has(port)) })),
  };
}
