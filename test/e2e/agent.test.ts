import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AddResponse } from "../../host/src/agent/cni/protocol.js";
import { blockKey, COMPLETE_KEY, mirrorKey } from "../../host/src/cluster/keys.js";
import { EtcdStore } from "../../host/src/store/etcd-store.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { EtcdServer } from "../support/etcd.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { joinNodes, temporaryFolder } from "../support/topology.js";
import { ping } from "../support/traffic.js";

// Agents and dataplanes of two nodes with a real etcd, whose records this test writes in the reflector's place.

const cleanup = new Cleanup();
let etcd: EtcdServer;
let store: EtcdStore;
const nodes: ClusterNode[] = [];

const address = (node: number) => `172.31.9.${node}`;

async function put(key: string, record: object): Promise<void> {
  await store.put(key, JSON.stringify(record));
}

function nodeRecord(number: number): object {
  const name = `node${number}`;
  const annotations = { "sluice.dev/uplink-addresses": `${address(number)}/24` };
  return { name, uid: `uid-${name}`, labels: {}, annotations, addresses: [address(number)] };
}

const POOLS = [
  { name: "v4", cidr: "10.61.0.0/16" },
  { name: "v6", cidr: "fd61::/48" },
];

async function writeCluster(): Promise<void> {
  const spec = { nodeSelector: {}, priority: 0, uplink: { device: "uplink", driver: "af-packet", take: false } };
  const rest = { workers: 1, busyPoll: false, memory: { size: 192, hugepages: "never" }, transport: "vxlan", vni: 77 };
  const config = { ...spec, ...rest, masquerade: true, maxFlows: 16384 };
  await put(mirrorKey("nodeconfigs", "default"), { name: "default", uid: "u", generation: 1, spec: config });
  for (const { name, cidr } of POOLS) {
    await put(mirrorKey("ippools", name), { name, uid: name, generation: 1, spec: { cidr, disabled: false } });
  }
  for (const number of [1, 2]) {
    const node = `node${number}`;
    await put(mirrorKey("nodes", node), nodeRecord(number));
    for (const [pool, block] of [
      ["v4", `10.61.${number}.0/26`],
      ["v6", `fd61::${number}00/122`],
    ] as const) {
      await put(blockKey(pool, block), { pool, block, node });
    }
  }
  await put(COMPLETE_KEY, {});
}

interface Pod {
  readonly namespace: Namespace;
  readonly result: AddResponse;
  readonly containerId: string;
}

let pods = 0;

/** A pod as kubelet and the CNI binary would make it. */
async function addPod(node: ClusterNode): Promise<Pod> {
  const number = ++pods;
  const namespace = await Namespace.create(cleanup, ownName(`ap${number}`));
  const containerId = `container${number}`;
  const result = await node.cni("add", {
    attachment: { containerId, ifname: "eth0" },
    netns: namespace.path,
    pod: null,
    portMappings: [],
  });
  return { namespace, result, containerId };
}

const addressOf = ({ result }: Pod, family: 4 | 6): string =>
  result.interfaces[0]?.addresses
    .map((each) => each.address.split("/")[0] ?? "")
    .find((text) => text.includes(":") === (family === 6)) ?? "";

beforeAll(async () => {
  etcd = await EtcdServer.start();
  cleanup.defer("etcd", () => etcd.stop());
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  cleanup.defer("etcd's client", () => store.close());
  await writeCluster();
  const folder = temporaryFolder(cleanup);
  for (const number of [1, 2]) {
    const namespace = await Namespace.create(cleanup, ownName(`an${number}`));
    nodes.push(
      new ClusterNode(
        { name: `node${number}`, namespace, folder: `${folder}/${number}`, etcd: etcd.endpoint },
        cleanup,
      ),
    );
  }
  const [one, two] = nodes as [ClusterNode, ClusterNode];
  await joinNodes(one.namespace, two.namespace);
  await Promise.all(nodes.map((node) => node.start()));
});
afterAll(() => cleanup.close());

describe("pods that the CNI added", () => {
  test("reach pods of the same and of another node, and the nodes, by IPv4 and IPv6", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    const [a, b, c] = [await addPod(one), await addPod(one), await addPod(two)];
    for (const family of [4, 6] as const) {
      for (const other of [b, c]) {
        const result = await ping(a.namespace, addressOf(other, family));
        expect(result, result.text).toMatchObject({ lost: 0 });
      }
    }
    const toNode = await ping(a.namespace, address(1));
    expect(toNode, toNode.text).toMatchObject({ lost: 0 });
    for (const pod of [a, c]) {
      const fromNode = await ping(one.namespace, addressOf(pod, 4));
      expect(fromNode, fromNode.text).toMatchObject({ lost: 0 });
    }
  });
});
