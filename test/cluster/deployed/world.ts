import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cleanup } from "../../support/cleanup.js";
import { ownName } from "../../support/leftovers.js";
import { Cluster } from "../cluster.js";
import { Deployment } from "../deployment.js";
import { Pod } from "../pods.js";
import { networkOf } from "./network.js";

/** A cluster that Sluice was installed on from deploy/, with cluster DNS and three pods that serve and call. */
export class World {
  private constructor(
    readonly cluster: Cluster,
    readonly deployment: Deployment,
    /** The nodes' own network before Sluice was there, by their names. */
    readonly networkBefore: ReadonlyMap<string, string[]>,
    /** Two of node1, one of node2. */
    readonly pods: { one: Pod; near: Pod; far: Pod },
  ) {}

  static async start(cleanup: Cleanup): Promise<World> {
    const folder = join(tmpdir(), ownName("deployed"));
    const cluster = await Cluster.create(cleanup, { folder, nameOf: ownName, nodes: 2 });
    const deployment = new Deployment(cluster);
    try {
      const before = new Map<string, string[]>();
      for (const node of cluster.nodes) before.set(node.name, await networkOf(node));
      await deployment.install();
      await deployment.startDns();
      const [one, near, far] = await Pod.create(
        cluster,
        { name: "one", node: "node1" },
        { name: "near", node: "node1" },
        { name: "far", node: "node2" },
      );
      return new World(cluster, deployment, before, { one, near, far } as World["pods"]);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n\n${await deployment.diagnosis()}`);
    }
  }
}
