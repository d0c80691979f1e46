import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blockKey, COMPLETE_KEY, ENDPOINTS_PREFIX, mirrorKey } from "../../host/src/cluster/keys.js";
import type { EndpointRecord } from "../../host/src/cluster/records.js";
import type { FaultPoint } from "../../host/src/fault.js";
import type { EtcdStore } from "../../host/src/store/etcd-store.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { startEtcdStore } from "../support/etcd-store.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";

// An agent that ends between any two steps of an ADD and of a DEL, and the runtime that tries again.

const NODE = "172.31.7.1";
const SETTLED_MS = 20_000;
const cleanup = new Cleanup();
let store: EtcdStore;
let node: ClusterNode;
let folder: string;

beforeAll(async () => {
  const started = await startEtcdStore(cleanup);
  store = started.store;
  const put = (key: string, record: object) => store.put(key, JSON.stringify(record));
  const annotations = { "sluice.dev/uplink-addresses": `${NODE}/24` };
  await put(mirrorKey("nodes", "killed"), { name: "killed", uid: "u", labels: {}, annotations, addresses: [NODE] });
  await put(mirrorKey("nodeconfigs", "default"), {
    ...{ name: "default", uid: "u", generation: 1 },
    spec: { uplink: { device: "uplink", take: false }, memory: { size: 128, hugepages: "never" }, maxFlows: 4096 },
  });
  await put(mirrorKey("ippools", "v4"), { name: "v4", uid: "v4", generation: 1, spec: { cidr: "10.63.0.0/16" } });
  await put(blockKey("v4", "10.63.1.0/26"), { pool: "v4", block: "10.63.1.0/26", node: "killed" });
  await put(COMPLETE_KEY, {});
  const namespace = await Namespace.create(cleanup, ownName("ak"));
  await namespace.ip("link", "add", "uplink", "type", "veth", "peer", "name", "nobody");
  await namespace.ip("link", "set", "uplink", "up");
  folder = temporaryFolder(cleanup);
  node = new ClusterNode({ name: "killed", namespace, folder, etcd: started.etcd.endpoint }, cleanup);
  await node.start();
});
afterAll(() => cleanup.close());

interface Sandbox {
  containerId: string;
  netns: string;
}

let sandboxes = 0;

async function sandbox(): Promise<Sandbox> {
  const number = ++sandboxes;
  const { path } = await Namespace.create(cleanup, ownName(`ak${number}`));
  return { containerId: `container${number}`, netns: path };
}

const attachmentOf = ({ containerId }: Sandbox) => ({ containerId, ifname: "eth0" });

async function add(pod: Sandbox): Promise<string> {
  const request = { attachment: attachmentOf(pod), netns: pod.netns, pod: null, portMappings: [] };
  const { interfaces } = await node.cni("add", request);
  return interfaces[0]?.addresses[0]?.address.split("/")[0] ?? "";
}

const del = (pod: Sandbox) => node.cni("del", { attachment: attachmentOf(pod), netns: pod.netns });

async function restartAgent(dieAt?: FaultPoint): Promise<void> {
  if (node.agentRuns) await node.stopAgent("SIGKILL");
  await node.startAgent(dieAt);
  await node.served();
}

/** The call ends with the agent. */
async function diesIn(call: Promise<unknown>): Promise<void> {
  await expect(call).rejects.toThrow();
  await eventually("the agent's end", SETTLED_MS, () => (node.agentRuns ? undefined : true));
}

/** Addresses that the dataplane has routes to, that etcd has; of the agent how many it has given out. */
async function known(): Promise<{ dataplane: string[]; etcd: string[]; agent: number }> {
  const { spec } = JSON.parse(await readFile(`${folder}/state.json`, "utf8")) as {
    spec: { routes: { prefix: string; blackhole: boolean }[] };
  };
  const hosts = spec.routes.filter(({ prefix, blackhole }) => !blackhole && prefix.endsWith("/32"));
  const etcd: string[] = [];
  for await (const { entries } of store.list(`${ENDPOINTS_PREFIX}killed/`)) {
    for (const { value } of entries) etcd.push(...(JSON.parse(value) as EndpointRecord).addresses);
  }
  const used = /^sluice_agent_addresses\{state="used"\} (\d+)$/m.exec(await node.metrics())?.[1];
  return {
    dataplane: hosts.map(({ prefix }) => prefix.replace("/32", "")).sort(),
    etcd: etcd.sort(),
    agent: Number(used),
  };
}

async function haveOnly(addresses: readonly string[]): Promise<void> {
  const sorted = [...addresses].sort();
  const expected = { dataplane: sorted, etcd: sorted, agent: sorted.length };
  await eventually(`addresses ${sorted.join(", ")} everywhere`, SETTLED_MS, async () =>
    JSON.stringify(await known()) === JSON.stringify(expected) ? true : undefined,
  ).catch(async () => expect(await known()).toEqual(expected));
}

// Ten starts of an agent.
describe("an agent that is killed", { timeout: 180_000 }, () => {
  const added = new Map<Sandbox, string>();

  test("at any step of an ADD gives no address twice and leaks none; the runtime's next try succeeds", async () => {
    const interrupted: Sandbox[] = [];
    for (const point of ["add-asked", "add-recorded", "add-applied", "add-told", "journal-written"] as const) {
      await restartAgent(point);
      const pod = await sandbox();
      await diesIn(add(pod));
      interrupted.push(pod);
    }
    await restartAgent();
    // As containerd does: DEL of the sandbox that failed, ADD of another one.
    for (const failed of interrupted) {
      const next = await sandbox();
      added.set(next, await add(next));
      await del(failed);
    }
    expect(new Set(added.values()).size).toBe(interrupted.length);
    await haveOnly([...added.values()]);
  });

  test("at any step of a DEL loses none: it is done when the runtime asks again", async () => {
    const points = ["del-asked", "del-applied", "del-released", "journal-written"] as const;
    const leaving = [...added.keys()].slice(0, points.length);
    for (const [index, point] of points.entries()) {
      await restartAgent(point);
      await diesIn(del(leaving[index] as Sandbox));
    }
    await restartAgent();
    for (const pod of leaving) await del(pod);
    const left = [...added].filter(([pod]) => !leaving.includes(pod)).map(([, address]) => address);
    await haveOnly(left);
    const next = await sandbox();
    const address = await add(next);
    expect([...added.values()]).not.toContain(address); // those released rest
    await haveOnly([...left, address]);
  });
});
