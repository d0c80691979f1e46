import { afterAll, beforeAll, expect, test } from "vitest";
import { blockKey, COMPLETE_KEY, mirrorKey } from "../../host/src/cluster/keys.js";
import { EtcdStore } from "../../host/src/store/etcd-store.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { EtcdServer } from "../support/etcd.js";
import { ownName } from "../support/leftovers.js";
import { connect, Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { ping } from "../support/traffic.js";

// A node whose only interface is the dataplane's by its NodeConfig: the default.

const NODE = "172.31.8.1";
const OUTSIDE = "172.31.8.9";

const cleanup = new Cleanup();
let outside: Namespace;
let node: ClusterNode;

beforeAll(async () => {
  const etcd = await EtcdServer.start();
  cleanup.defer("etcd", () => etcd.stop());
  const store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  cleanup.defer("etcd's client", () => store.close());
  const put = (key: string, record: object) => store.put(key, JSON.stringify(record));
  await put(COMPLETE_KEY, {});
  await put(mirrorKey("nodes", "taken"), { name: "taken", uid: "u", labels: {}, annotations: {}, addresses: [NODE] });
  await put(mirrorKey("ippools", "v4"), { name: "v4", uid: "v4", generation: 1, spec: { cidr: "10.62.0.0/16" } });
  await put(blockKey("v4", "10.62.1.0/26"), { pool: "v4", block: "10.62.1.0/26", node: "taken" });
  const namespace = await Namespace.create(cleanup, ownName("au1"));
  outside = await Namespace.create(cleanup, ownName("au2"));
  await connect(namespace, "nic", outside, "nic");
  await namespace.ip("addr", "add", `${NODE}/24`, "dev", "nic");
  await namespace.ip("route", "add", "default", "via", OUTSIDE);
  await outside.ip("addr", "add", `${OUTSIDE}/24`, "dev", "nic");
  await outside.ip("addr", "add", "203.0.113.7/32", "dev", "lo");
  const folder = temporaryFolder(cleanup);
  node = new ClusterNode({ name: "taken", namespace, folder, etcd: etcd.endpoint }, cleanup);
  await node.start();
});
afterAll(() => cleanup.close());

async function reaches(from: Namespace, target: string): Promise<void> {
  await eventually(`${target} to answer`, 20_000, async () =>
    (await ping(from, target)).lost === 0 ? true : undefined,
  );
}

test("the node and its pods reach the outside by it, pods with the node's address, and it is given back", async () => {
  const tap = await node.namespace.ip("-d", "-o", "link", "show", "nic");
  expect(tap).toContain("tun type tap");
  await reaches(node.namespace, OUTSIDE);
  await reaches(outside, NODE);
  const pod = await Namespace.create(cleanup, ownName("ap9"));
  const attachment = { containerId: "c1", ifname: "eth0" };
  const added = await node.cni("add", { attachment, netns: pod.path, pod: null, portMappings: [] });
  const [address = ""] = added.interfaces[0]?.addresses[0]?.address.split("/") ?? [];
  // The outside has no route to pods: what answers here came from the node's address.
  await reaches(pod, OUTSIDE);
  await reaches(pod, "203.0.113.7");
  await reaches(node.namespace, address);
  await reaches(pod, NODE);

  await node.stopAgent("SIGKILL");
  await node.startAgent();
  await node.ready();
  expect(await node.namespace.ip("-d", "-o", "link", "show", "nic")).toContain("tun type tap");
  await node.stopDataplane("SIGKILL");
  // While it changes hands there is none of its name for a moment.
  await eventually("the interface to be back", 20_000, async () =>
    (await node.namespace.ip("-d", "-o", "link", "show")).split("\n").some((link) => / nic[@:].* veth /.test(link))
      ? true
      : undefined,
  );
  await reaches(node.namespace, OUTSIDE);
  node.startDataplane();
  await node.ready();
  await reaches(pod, "203.0.113.7");
});
