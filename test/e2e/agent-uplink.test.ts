import { afterAll, beforeAll, expect, test } from "vitest";
import { blockKey, COMPLETE_KEY, mirrorKey } from "../../host/src/cluster/keys.js";
import { nodeConfigSpec } from "../../host/src/resources/node-config.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { startEtcdStore } from "../support/etcd-store.js";
import { ownName } from "../support/leftovers.js";
import { connect, Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { ping } from "../support/traffic.js";
import { uplinkGuards } from "../support/uplink-guards.js";

// A node whose only interface is the dataplane's by its NodeConfig: the default.

const NODE = "172.31.8.1";
const MOVED = "172.31.8.2";
const OUTSIDE = "172.31.8.9";
const BEYOND = "203.0.113.7";

const cleanup = new Cleanup();
let outside: Namespace;
let node: ClusterNode;
let pod: Namespace;
/** Of the pod. */
let address = "";
let put: (key: string, record: object) => Promise<void>;

beforeAll(async () => {
  const { etcd, store } = await startEtcdStore(cleanup);
  put = async (key, record) => {
    await store.put(key, JSON.stringify(record));
  };
  await put(COMPLETE_KEY, {});
  await putNode(NODE);
  await put(mirrorKey("ippools", "v4"), { name: "v4", uid: "v4", generation: 1, spec: { cidr: "10.62.0.0/16" } });
  await put(blockKey("v4", "10.62.1.0/26"), { pool: "v4", block: "10.62.1.0/26", node: "taken" });
  const namespace = await Namespace.create(cleanup, ownName("au1"));
  outside = await Namespace.create(cleanup, ownName("au2"));
  await connect(namespace, "nic", outside, "nic");
  await namespace.ip("addr", "add", `${NODE}/24`, "dev", "nic");
  await namespace.ip("route", "add", "default", "via", OUTSIDE);
  await outside.ip("addr", "add", `${OUTSIDE}/24`, "dev", "nic");
  await outside.ip("addr", "add", `${BEYOND}/32`, "dev", "lo");
  const folder = temporaryFolder(cleanup);
  node = new ClusterNode({ name: "taken", namespace, folder, etcd: etcd.endpoint }, cleanup);
  await node.start();
  pod = await Namespace.create(cleanup, ownName("ap9"));
  const attachment = { containerId: "c1", ifname: "eth0" };
  const added = await node.cni("add", { attachment, netns: pod.path, pod: null, portMappings: [] });
  address = added.interfaces[0]?.addresses[0]?.address.split("/")[0] ?? "";
});
afterAll(() => cleanup.close());

const putNode = (own: string) =>
  put(mirrorKey("nodes", "taken"), { name: "taken", uid: "u", labels: {}, annotations: {}, addresses: [own] });

const isDrivenByXdp = () =>
  eventually("AF_XDP", 20_000, async () => {
    const { native } = await node.status();
    return native.ports.some(({ name, kind }) => name === "uplink" && kind === "af-xdp") ? true : undefined;
  });
const standsTap = async () =>
  expect(await node.namespace.ip("-d", "-o", "link", "show", "nic")).toContain("tun type tap");

/** What it is once the node has it again. While it changes hands there is none of its name for a moment. */
async function givenBack(): Promise<string> {
  return eventually("the interface to be back", 20_000, async () =>
    (await node.namespace.ip("-d", "-o", "link", "show")).split("\n").find((link) => / nic[@:].* veth /.test(link)),
  );
}

async function reaches(from: Namespace, target: string): Promise<void> {
  await eventually(`${target} to answer`, 20_000, async () =>
    (await ping(from, target)).lost === 0 ? true : undefined,
  );
}

test("the node and its pods reach the outside by it, pods with the node's address, and it is given back", async () => {
  await standsTap();
  await reaches(node.namespace, OUTSIDE);
  await reaches(outside, NODE);
  // The outside has no route to pods: what answers here came from the node's address.
  await reaches(pod, OUTSIDE);
  await reaches(pod, BEYOND);
  await reaches(node.namespace, address);
  await reaches(pod, NODE);

  await node.stopAgent("SIGKILL");
  await node.startAgent();
  await node.ready();
  await standsTap();
  await node.stopDataplane("SIGKILL");
  await givenBack();
  await reaches(node.namespace, OUTSIDE);
  node.startDataplane();
  await node.ready();
  await reaches(pod, BEYOND);
});

test("one guard is left of five starts with other settings, and gives it back", async () => {
  const { pid } = await node.status();
  for (let start = 1; start <= 5; start++) {
    const maxFlows = 65536 * start;
    const spec = nodeConfigSpec.parse({ maxFlows });
    await put(mirrorKey("nodeconfigs", "default"), { name: "default", uid: "u", generation: start, spec });
    await eventually("the next start", 40_000, async () => {
      const max = await node.status().then(
        ({ native }) => native.flows.max,
        () => undefined, // it is starting
      );
      return max === maxFlows ? true : undefined;
    });
    await standsTap();
  }
  expect((await node.status()).pid).toBe(pid);
  expect(await uplinkGuards(node.namespace)).toHaveLength(1);
  await reaches(pod, BEYOND);
  await node.stopDataplane("SIGKILL");
  await givenBack();
  await eventually("the guard's end", 20_000, async () =>
    (await uplinkGuards(node.namespace)).length === 0 ? true : undefined,
  );
  node.startDataplane();
  await node.ready();
  await reaches(pod, BEYOND);
});

test("AF_XDP drives it as soon as the NodeConfig says so, and it is given back without a program on it", async () => {
  const spec = nodeConfigSpec.parse({ uplink: { driver: "af-xdp" } });
  await put(mirrorKey("nodeconfigs", "default"), { name: "default", uid: "u", generation: 6, spec });
  await isDrivenByXdp();
  await standsTap();
  for (const target of [OUTSIDE, BEYOND]) await reaches(pod, target);
  await reaches(outside, NODE);

  await node.stopDataplane("SIGKILL");
  await givenBack();
  await reaches(node.namespace, OUTSIDE);
  expect(await node.namespace.ip("link", "show", "nic")).not.toMatch(/xdp|PROMISC/);
  node.startDataplane();
  await node.ready();
  await reaches(pod, BEYOND);
  await isDrivenByXdp(); // a state that was a moment old is not on the disk when the dataplane is killed
});

test("other addresses on it are used before the Node has them, so that the node can tell of them", async () => {
  await node.namespace.ip("addr", "del", `${NODE}/24`, "dev", "nic");
  await node.namespace.ip("addr", "add", `${MOVED}/24`, "dev", "nic");
  await node.namespace.ip("route", "add", "default", "via", OUTSIDE);
  await reaches(node.namespace, BEYOND);
  await reaches(outside, MOVED);
  await putNode(MOVED);
  await reaches(pod, BEYOND);
});
