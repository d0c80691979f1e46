import { existsSync } from "node:fs";
import type { PortStatus } from "@sluice/native";
import type { Logger } from "pino";
import { hasPeer, type NodeSpec, type Port } from "../config/schema.js";
import { netnsPath } from "./paths.js";
import type { Shell } from "./shell.js";

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

/** Tells of ports that are lost while the node runs, and has them opened again as soon as they can be. */
export class PortKeeper {
  /** Reasons by port. */
  private lost = new Map<string, string>();
  private isAtWork = false;

  constructor(
    private readonly shell: Pick<Shell, "reopenPorts">,
    private readonly log: Logger,
  ) {}

  /** @param ports as they are now; called again and again */
  async look(ports: readonly PortStatus[]): Promise<void> {
    this.tell(ports);
    if (this.isAtWork || !ports.some(({ canReturn }) => canReturn)) return;
    this.isAtWork = true;
    try {
      await this.shell.reopenPorts();
    } catch (error) {
      this.log.error({ err: error }, "lost ports could not be opened again");
    } finally {
      this.isAtWork = false;
    }
  }

  private tell(ports: readonly PortStatus[]): void {
    const lost = new Map(ports.filter((port) => port.lost !== "").map(({ name, lost }) => [name, lost]));
    for (const [port, reason] of lost) {
      if (this.lost.get(port) !== reason) this.log.warn({ port, reason }, "lost a port");
    }
    for (const { name } of ports) {
      if (this.lost.has(name) && !lost.has(name)) this.log.info({ port: name }, "has the port again");
    }
    this.lost = lost;
  }
}
