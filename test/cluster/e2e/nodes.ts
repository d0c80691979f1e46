import { describe, expect, test } from "vitest";
import { BLOCKS_PREFIX, NODE_IDS_PREFIX } from "../../../host/src/cluster/keys.js";
import type { BlockRecord, NodeIdRecord } from "../../../host/src/cluster/records.js";
import { eventually } from "../../support/process.js";
import { OUTSIDE } from "../address-plan.js";
import { uplinkKind } from "../deployment.js";
import type { ClusterNode } from "../node.js";
import { FAMILIES, Pod } from "../pods.js";
import { nodeConfig } from "../sluice.js";
import { reaches } from "../traffic.js";
import { dataplaneSpec } from "./dataplane-spec.js";
import { etcdRecords } from "./etcd.js";
import { OUTSIDE_NAME, type World } from "./world.js";

const FOLLOWED_MS = 20_000;
const ADDRESSES = { v4: "172.31.0.33", v6: "fd31::33" };

/** A node that joins, leaves and comes back, and changes its addresses. */
export function nodes(world: () => World): void {
  describe("a node", () => {
    let node: ClusterNode;
    let pod: Pod;

    /** Its pod and another node's reach each other, in both families. */
    const isFollowed = () =>
      eventually(`${node.name} is reached`, FOLLOWED_MS, async () => {
        const { one } = world().pods;
        const reached = await Promise.all([reaches(world(), one, pod), reaches(world(), pod, one)]);
        return reached.every(Boolean) ? true : undefined;
      });

    test("that joins has an id and blocks of its own, and is reached", async () => {
      const { cluster, sluice } = world();
      node = await cluster.addNode();
      await sluice.addNode(node);
      [pod] = (await Pod.create(cluster, { name: "joined", node: node.name })) as [Pod];
      await isFollowed();
      const all = await Promise.all(cluster.nodes.map(({ name }) => granted(world(), name)));
      const ids = all.flatMap((each) => each.ids);
      const blocks = all.flatMap((each) => each.blocks);
      expect(ids).toHaveLength(cluster.nodes.length);
      expect(new Set([...ids, ...blocks]).size).toBe(ids.length + blocks.length);
      for (const each of all) expect(each.blocks.length).toBeGreaterThanOrEqual(2);
    }, 120_000);

    test("whose NodeConfig says so has its interface taken by AF_XDP", async () => {
      const { cluster, sluice } = world();
      const forNode = { nodeSelector: { "kubernetes.io/hostname": node.name }, priority: 1 };
      await cluster.kubectl.apply(nodeConfig({ ...forNode, uplink: { driver: "af-xdp" } }, "xdp"));
      await eventually("AF_XDP", FOLLOWED_MS, async () => {
        const { native } = (await sluice.nodes.get(node.name)?.json<Status>("status")) ?? {};
        return native?.ports.some(({ kind, up }) => kind === "af-xdp" && up) ? true : undefined;
      });
      await isFollowed();
      expect(await pod.http(OUTSIDE.v4)).toEqual({ server: OUTSIDE_NAME, client: node.addresses.v4 });
      expect(await uplinkKind(node)).toBe("tap");
    });

    test("that is deleted and registers again has the id and the blocks that it had", async () => {
      const { cluster } = world();
      const before = await granted(world(), node.name);
      await cluster.kubectl.must("delete", "node", node.name);
      await eventually("others have no way to it", FOLLOWED_MS, async () =>
        (await routesTo(cluster.node("node1"), before.blocks)) === 0 ? true : undefined,
      );
      await node.kubelet.restart();
      await cluster.ready([node]);
      await isFollowed();
      expect(await granted(world(), node.name)).toEqual(before);
    });

    test("that gets other addresses is reached by them, and its pods have them outside", async () => {
      await node.readdress(ADDRESSES);
      await eventually("the Node's addresses", FOLLOWED_MS, async () => {
        const addresses = 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}';
        const found = await world().cluster.kubectl.must("get", "node", node.name, "-o", addresses);
        return found === Object.values(ADDRESSES).join(" ") ? true : undefined;
      });
      await isFollowed();
      for (const family of FAMILIES) {
        expect(await world().pods.one.ping(ADDRESSES[family])).toBe(3);
        await eventually("its pod has its address outside", FOLLOWED_MS, async () =>
          (await pod.http(OUTSIDE[family]))?.client === ADDRESSES[family] ? true : undefined,
        );
      }
    });
  });
}

interface Status {
  native: { ports: { kind: string; up: boolean }[] };
}

/** How many of `prefixes` the node's dataplane has a route to. */
async function routesTo(node: ClusterNode, prefixes: readonly string[]): Promise<number> {
  const { routes } = await dataplaneSpec(node);
  return routes.filter(({ prefix }) => prefixes.includes(prefix)).length;
}

/** What the reflector has given a node. */
async function granted({ cluster }: World, name: string): Promise<{ ids: number[]; blocks: string[] }> {
  const [ids, blocks] = await Promise.all([
    etcdRecords<NodeIdRecord>(cluster, NODE_IDS_PREFIX),
    etcdRecords<BlockRecord>(cluster, BLOCKS_PREFIX),
  ]);
  return {
    ids: ids.filter(({ node }) => node === name).map(({ id }) => id),
    blocks: blocks.filter(({ node }) => node === name).map(({ block }) => block),
  };
}
