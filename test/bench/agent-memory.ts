// What an agent of a large cluster holds in memory, and how long it takes to add a pod there, with a real etcd and a real
// dataplane that takes what it makes of it.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { UPLINK } from "../support/address-plan.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { EtcdServer } from "../support/etcd.js";
import { ownName, removeLeftovers } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { fillSluice } from "./fill.js";
import { PodAdds } from "./pod-adds.js";
import { latencies } from "./quantile.js";
import type { Figure } from "./result.js";
import { type ClusterSize, LARGE } from "./synthetic.js";

export const agentMemoryBenchmarks: readonly string[] = ["agent-memory"];

/** Reading it takes half a minute, and many times that on a machine that does other things. */
const READY_MS = 300_000;
/** It is written 41 seconds after the last change. */
const SNAPSHOT_MS = 180_000;
/** V8 gives memory back some time after it was used. */
const SETTLE_MS = 10_000;
/** Fewer than the node has addresses, which rest for a minute. */
const ADDED = 50;

export async function* runAgentMemory(size: ClusterSize = LARGE): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const etcd = await EtcdServer.start({ flags: ["--quota-backend-bytes", String(2 ** 32)] });
    cleanup.defer("etcd", () => etcd.stop());
    await fillSluice(etcd.endpoint, size);
    const namespace = await Namespace.create(cleanup, ownName("memory"));
    await addUplink(namespace);
    const folder = temporaryFolder(cleanup);
    const node = new ClusterNode({ name: "node-00000", namespace, folder, etcd: etcd.endpoint }, cleanup);
    node.relayEtcd();
    node.startDataplane();
    await node.startAgent();
    await node.ready(READY_MS);
    await eventually("the snapshot", SNAPSHOT_MS, () => (existsSync(`${folder}/agent/snapshot`) ? true : undefined));
    await sleep(SETTLE_MS);
    yield { name: "agent-memory", unit: "MiB", value: memory(node.agentPid, "VmRSS") };
    yield { name: "agent-memory-peak", unit: "MiB", value: memory(node.agentPid, "VmHWM") };
    yield* latencies("cni-add-large", await addPods(node, folder, cleanup));
  } finally {
    await cleanup.close();
    unwatch();
  }
}

/** Pods that the API does not know, one after the other. @returns milliseconds that each took */
async function addPods(node: ClusterNode, folder: string, cleanup: Cleanup): Promise<number[]> {
  const namespaces = [
    await Namespace.create(cleanup, ownName("pod0")),
    await Namespace.create(cleanup, ownName("pod1")),
  ];
  const adds = new PodAdds(node, `${folder}/cni.sock`, namespaces, false);
  await adds.turn(1, adds.executed); // what is loaded and compiled on first use
  const took: number[] = [];
  for (let i = 0; i < ADDED; i++) took.push(...(await adds.turn(1, adds.executed)));
  return took;
}

/** With the address that the cluster knows the node by, so that it has routes to all others. */
async function addUplink(namespace: Namespace): Promise<void> {
  await namespace.ip("link", "add", "name", UPLINK, "type", "veth", "peer", "name", "wire");
  await namespace.ip("addr", "add", "172.20.0.0/16", "dev", UPLINK);
  for (const device of [UPLINK, "wire"]) await namespace.ip("link", "set", device, "up");
}

/** Of a process; in MiB. */
function memory(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
}
