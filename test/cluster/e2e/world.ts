import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cleanup } from "../../support/cleanup.js";
import { ownName } from "../../support/leftovers.js";
import type { Background } from "../../support/process.js";
import { OUTSIDE } from "../address-plan.js";
import { Cluster } from "../cluster.js";
import { type Answer, answer, curl, Pod } from "../pods.js";
import { PROGRAMS } from "../programs.js";
import { Sluice } from "../sluice.js";
import { HTTP_PORT, UDP_PORT } from "../workloads.js";

/** What the outside host calls itself. */
export const OUTSIDE_NAME = "outside";

/** A cluster on Sluice with cluster DNS, three pods that serve and call, and a server outside. */
export class World {
  private constructor(
    readonly cluster: Cluster,
    readonly sluice: Sluice,
    /** Two of node1, one of node2. */
    readonly pods: { one: Pod; near: Pod; far: Pod },
  ) {}

  static async start(cleanup: Cleanup): Promise<World> {
    const folder = join(tmpdir(), ownName("cluster"));
    const cluster = await Cluster.create(cleanup, { folder, nameOf: ownName, nodes: 2 });
    try {
      return await World.#fill(cleanup, cluster);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n\n${await cluster.diagnosis()}`);
    }
  }

  static async #fill(cleanup: Cleanup, cluster: Cluster): Promise<World> {
    const sluice = await Sluice.install(cluster);
    await sluice.startDns();
    startOutsideServer(cleanup, cluster);
    const [one, near, far] = await Pod.create(
      cluster,
      { name: "one", node: "node1" },
      { name: "near", node: "node1" },
      { name: "far", node: "node2" },
    );
    return new World(cluster, sluice, { one, near, far } as World["pods"]);
  }

  /** The outside host calls a server; undefined when nobody answers. */
  async httpFromOutside(address: string, port: number): Promise<Answer | undefined> {
    const { wire } = this.cluster;
    const from = ["--interface", OUTSIDE[address.includes(":") ? "v6" : "v4"]];
    const [program = "", ...args] = curl(address, port);
    return answer(await wire.outside.run([program, ...from, ...args]));
  }

  /** A node's own process calls a server; undefined when nobody answers. */
  async httpFromNode(node: string, address: string, port: number): Promise<Answer | undefined> {
    return answer(await this.cluster.node(node).run(curl(address, port)));
  }
}

/** The same server that pods have, on the host beyond the nodes' gateway. */
function startOutsideServer(cleanup: Cleanup, { wire }: Cluster): Background {
  const ports = [`--http-port=${HTTP_PORT}`, `--udp-port=${UDP_PORT}`];
  const server = ["netexec", ...ports, `--udp-listen-addresses=${Object.values(OUTSIDE).join(",")}`];
  return wire.outside.start(cleanup, [
    "unshare",
    "--uts",
    "sh",
    "-c",
    `hostname ${OUTSIDE_NAME}; exec "$@"`,
    "sh",
    `${PROGRAMS}/agnhost`,
    ...server,
  ]);
}
