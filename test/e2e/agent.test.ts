import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AddRequest, AddResponse } from "../../host/src/agent/cni/protocol.js";
import {
  blockKey,
  COMPLETE_KEY,
  ENDPOINTS_PREFIX,
  endpointKey,
  mirrorKey,
  nodeReportKey,
  pluginKey,
} from "../../host/src/cluster/keys.js";
import { type EndpointRecord, nodeReportRecord } from "../../host/src/cluster/records.js";
import { compileText } from "../../host/src/plugins/builder.js";
import type { EtcdStore } from "../../host/src/store/etcd-store.js";
import { ModuleStore } from "../../host/src/store/module-store.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import type { EtcdServer } from "../support/etcd.js";
import { startEtcdStore } from "../support/etcd-store.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { joinNodes, temporaryFolder } from "../support/topology.js";
import { PingFlow, ping } from "../support/traffic.js";

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
async function addPod(node: ClusterNode, name?: string): Promise<Pod> {
  const number = ++pods;
  const namespace = await Namespace.create(cleanup, ownName(`ap${number}`));
  const containerId = `container${number}`;
  const result = await node.cni("add", {
    attachment: { containerId, ifname: "eth0" },
    netns: namespace.path,
    pod: name === undefined ? null : { namespace: "default", name, uid: `uid-${name}` },
    portMappings: [],
  });
  return { namespace, result, containerId };
}

const addressOf = ({ result }: Pod, family: 4 | 6): string =>
  result.interfaces[0]?.addresses
    .map((each) => each.address.split("/")[0] ?? "")
    .find((text) => text.includes(":") === (family === 6)) ?? "";

beforeAll(async () => {
  ({ etcd, store } = await startEtcdStore(cleanup));
  await writeCluster();
  const folder = temporaryFolder(cleanup);
  for (const number of [1, 2]) {
    const namespace = await Namespace.create(cleanup, ownName(`an${number}`));
    nodes.push(
      new ClusterNode(
        {
          name: `node${number}`,
          namespace,
          folder: `${folder}/${number}`,
          etcd: etcd.endpoint,
          flags: ["--service-cidr", "10.96.0.0/16"],
        },
        cleanup,
      ),
    );
  }
  const [one, two] = nodes as [ClusterNode, ClusterNode];
  await joinNodes(one.namespace, two.namespace);
  await Promise.all(nodes.map((node) => node.start()));
});
afterAll(() => cleanup.close());

const SERVER = `require("node:http").createServer((_, answer) => answer.end("ok")).listen(8080, "0.0.0.0")`;
const HTTP = [process.execPath, "-e", SERVER];

/** A service of the cluster with these backends. */
async function writeService(name: string, clusterIP: string, backends: string[]): Promise<void> {
  const service = { namespace: "default", name, uid: name, type: "ClusterIP", clusterIPs: [clusterIP] };
  const ports = [{ protocol: "TCP", port: 80 }];
  const none = { externalIPs: [], loadBalancerIPs: [], annotations: {} };
  const policies = { internalTrafficPolicy: "Cluster", externalTrafficPolicy: "Cluster" };
  await put(mirrorKey("services", name, "default"), { ...service, ...none, ...policies, ports });
  const endpoints = backends.map((each) => ({ addresses: [each], ready: true, serving: true, terminating: false }));
  const slice = { namespace: "default", name: `${name}-1`, service: name, addressType: "IPv4", endpoints };
  await put(mirrorKey("endpointslices", `${name}-1`, "default"), {
    ...slice,
    ports: [{ protocol: "TCP", port: 8080 }],
  });
}

/** A pod as the API has it, before it has an address there. */
async function writePod(name: string, node: number, labels: Record<string, string>): Promise<void> {
  const pod = { namespace: "default", name, uid: `uid-${name}`, node: `node${node}`, phase: "Pending", labels };
  await put(mirrorKey("pods", name, "default"), { ...pod, ips: [], annotations: {}, ports: [] });
}

/** Whether HTTP to the target is answered. */
async function answers(from: Namespace, target: string): Promise<boolean> {
  const argv = ["curl", "-s", "-o", "/dev/null", "--max-time", "1", `http://${target}/`];
  return (await from.run(argv, { timeoutMs: 10_000 })).status === 0;
}

async function until(what: string, work: () => Promise<boolean>): Promise<void> {
  await eventually(what, 20_000, async () => ((await work()) ? true : undefined));
}

/** Addresses that the dataplane has pods' ports for, that the agent reports in etcd. */
async function reported(node: ClusterNode): Promise<string[]> {
  const found: string[] = [];
  for await (const { entries } of store.list(`${ENDPOINTS_PREFIX}${node.name}/`)) {
    for (const { value } of entries) found.push(...(JSON.parse(value) as EndpointRecord).addresses);
  }
  return found.sort();
}

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

  test("are added once, whatever is asked how often, and deleted once", async () => {
    const [one] = nodes as [ClusterNode];
    const pod = await addPod(one);
    const attachment = { containerId: pod.containerId, ifname: "eth0" };
    const again = await one.cni("add", { attachment, netns: pod.namespace.path, pod: null, portMappings: [] });
    expect(again).toEqual(pod.result);
    const addresses = again.interfaces.flatMap((each) => each.addresses.map(({ address }) => address));
    await one.cni("check", { attachment, netns: pod.namespace.path, addresses });
    await until("etcd to have the pod", async () => (await reported(one)).includes(addressOf(pod, 4)));
    await one.cni("del", { attachment, netns: pod.namespace.path });
    await one.cni("del", { attachment, netns: "" });
    await expect(one.cni("check", { attachment, netns: "", addresses })).rejects.toMatchObject({ code: 100 });
    await until("etcd to have forgotten the pod", async () => !(await reported(one)).includes(addressOf(pod, 4)));
    expect(await pod.namespace.must(["ip", "-o", "link"])).not.toContain("eth0");
  });

  /** Description, what is wrong with the request, the CNI error's code and a part of its message. */
  const REFUSED: [string, Partial<AddRequest>, number, string][] = [
    [
      "a namespace that is not there",
      { netns: "/run/netns/nobody" },
      4,
      "network namespace /run/netns/nobody does not exist",
    ],
    ["a namespace that is none", { netns: "/etc/hostname" }, 4, "cannot be entered"],
    ["no container", { attachment: null }, 4, 'found container ""'],
    [
      "a port mapping of no protocol",
      { portMappings: [{ hostPort: 1, containerPort: 2, protocol: "x", hostIp: "" }] },
      7,
      "tcp, udp or sctp",
    ],
  ];
  test.each(REFUSED)("%s is refused, and disturbs nothing else", async (_, change, code, message) => {
    const [one] = nodes as [ClusterNode];
    const request = {
      attachment: { containerId: "bad", ifname: "eth0" },
      netns: one.namespace.path,
      pod: null,
      portMappings: [],
    };
    await expect(one.cni("add", { ...request, ...change })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    expect(await store.get(endpointKey(one.name, "bad/eth0"))).toBeUndefined();
    await one.ready();
  });
});

describe("services and policies of the cluster", () => {
  test("are on every node a moment after they are in etcd, for pods and for the node itself", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    for (const [name, node] of [
      ["client", 1],
      ["stranger", 1],
      ["server", 2],
    ] as const) {
      await writePod(name, node, { app: name });
    }
    const [client, stranger] = [await addPod(one, "client"), await addPod(one, "stranger")];
    const server = await addPod(two, "server");
    server.namespace.start(cleanup, HTTP);
    await writeService("web", "10.96.7.7", [addressOf(server, 4)]);
    await until("the service to answer a pod", () => answers(client.namespace, "10.96.7.7"));
    expect(await answers(stranger.namespace, "10.96.7.7")).toBe(true);

    const allowed = { from: [{ podSelector: { matchLabels: { app: "client" } } }] };
    const policy = { namespace: "default", name: "web", podSelector: { matchLabels: { app: "server" } } };
    await put(mirrorKey("namespaces", "default"), { name: "default", labels: {} });
    // What the API learns of a pod's address later on, other nodes learn from it.
    const pod = {
      namespace: "default",
      name: "client",
      uid: "uid-client",
      node: "node1",
      phase: "Running",
      annotations: {},
    };
    await put(mirrorKey("pods", "client", "default"), {
      ...pod,
      labels: { app: "client" },
      ips: [addressOf(client, 4)],
      ports: [],
    });
    await put(mirrorKey("networkpolicies", "web", "default"), {
      ...policy,
      policyTypes: ["Ingress"],
      ingress: [allowed],
      egress: [],
    });
    await until("the stranger to be refused", async () => !(await answers(stranger.namespace, "10.96.7.7")));
    expect(await answers(client.namespace, "10.96.7.7")).toBe(true);
    await store.delete(mirrorKey("networkpolicies", "web", "default"));
    await until("the stranger to be let in again", () => answers(stranger.namespace, "10.96.7.7"));
  });
});

describe("restarts", () => {
  test("of the agent lose no packet, with etcd and without it, and pods are added in between", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    const [a, b] = [await addPod(one), await addPod(two)];
    const flow = new PingFlow(cleanup, a.namespace, addressOf(b, 4), { interval: 0.01 });
    await one.stopAgent("SIGKILL");
    await one.startAgent();
    await one.ready();
    const c = await addPod(one);
    await one.stopAgent("SIGTERM");
    await etcd.kill();
    await one.startAgent();
    await one.served();
    const d = await addPod(one);
    for (const pod of [c, d]) expect(await ping(pod.namespace, addressOf(b, 4))).toMatchObject({ lost: 0 });
    await etcd.start();
    await one.ready();
    const both = [c, d].map((pod) => addressOf(pod, 4));
    await until("etcd to have both pods", async () => {
      const found = await reported(one);
      return both.every((each) => found.includes(each));
    });
    const result = await flow.stop();
    expect(result, result.text).toMatchObject({ lost: 0 });
  });

  test("of the dataplane bring the pods back as they were", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    const [a, b] = [await addPod(one), await addPod(two)];
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await one.stopDataplane(signal);
      const refused = one.cni("add", {
        attachment: { containerId: "none", ifname: "eth0" },
        netns: a.namespace.path,
        pod: null,
        portMappings: [],
      });
      await expect(refused).rejects.toMatchObject({ code: 11 });
      one.startDataplane();
      await one.ready();
      await until("the pod to be reached", async () => (await ping(a.namespace, addressOf(b, 4))).lost === 0);
    }
  });

  test("of the node that is at another address are followed", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    const [a, b] = [await addPod(one), await addPod(two)];
    await put(mirrorKey("nodes", "node2"), {
      ...nodeRecord(2),
      addresses: [address(7)],
      annotations: { "sluice.dev/uplink-addresses": `${address(7)}/24` },
    });
    await until("the pod to be reached", async () => (await ping(a.namespace, addressOf(b, 4))).lost === 0);
    const { native } = await two.status();
    expect(native.ports.map(({ name }) => name)).toContain("overlay");
    await put(mirrorKey("nodes", "node2"), nodeRecord(2));
    await until("the pod to be reached", async () => (await ping(a.namespace, addressOf(b, 4))).lost === 0);
  });
});

test("GC removes what belongs to no attachment that is left", async () => {
  const [, two] = nodes as [ClusterNode, ClusterNode];
  const [a, b] = [await addPod(two), await addPod(two)];
  await two.cni("gc", { valid: [{ containerId: a.containerId, ifname: "eth0" }] });
  await until("etcd to have one pod", async () => (await reported(two)).length === 2);
  expect(await reported(two)).toEqual([addressOf(a, 4), addressOf(a, 6)].sort());
  await until("its interface to go", async () => !(await b.namespace.must(["ip", "-o", "link"])).includes("eth0"));
});

describe("a user's Plugin", () => {
  const WAIT_MS = 30_000;
  const SOURCE = `
import { Batch, DropReason, definePlugin } from "@sluice/sdk";
definePlugin({ name: "wall", version: "1.0.0" });
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i).drop(DropReason.Policy);
}
`;
  const version = (digest: string, change: { generation?: number; [field: string]: unknown } = {}) => ({
    ...{ id: `v${change.generation ?? 1}`, generation: 1, digest, origin: "inline", source: "", hooks: ["forward"] },
    ...change,
  });
  const publish = (live: object) =>
    put(pluginKey("wall"), { name: "wall", uid: "u", createdAt: "2026-01-01T00:00:00Z", live });
  const tells = (node: ClusterNode, what: string, expected: object) =>
    eventually(`${node.name} to report ${what}`, WAIT_MS, async () => {
      const entry = await store.get(nodeReportKey(node.name));
      const { plugins = [] } = nodeReportRecord.parse(JSON.parse(entry?.value ?? "{}"));
      const [found] = plugins;
      return found !== undefined &&
        Object.entries(expected).every(([key, value]) => String(found[key as "name"]).includes(value))
        ? true
        : undefined;
    });
  const inForward = async (node: ClusterNode) => (await node.status()).native.stages.map(({ name }) => name);

  test("runs where it is placed; one that can't run changes nothing else; it goes with its record", async () => {
    const [one, two] = nodes as [ClusterNode, ClusterNode];
    const [a, b] = [await addPod(one), await addPod(one)];
    const { wasm, digest } = await compileText(SOURCE);
    await new ModuleStore(store).put(wasm);
    await put(mirrorKey("nodes", "node1"), { ...nodeRecord(1), labels: { wall: "yes" } });
    const placement = { nodeSelector: { wall: "yes" } };
    await publish(version(digest, { placement }));
    await tells(one, "generation 1", { name: "wall", generation: "1" });
    expect((await ping(a.namespace, addressOf(b, 4), { count: 2 })).lost).toBe(2);
    expect(await inForward(two)).not.toContain("wall");

    await publish(version(digest, { placement, generation: 2, config: { none: "taken" } }));
    await tells(one, "why it can't run generation 2", { generation: "1", problem: "generation 2 does not run" });
    const c = await addPod(one);
    expect((await ping(a.namespace, addressOf(c, 4), { count: 2 })).lost).toBe(2);

    await one.stopAgent("SIGKILL");
    await publish(version(digest, { placement, generation: 3 }));
    await one.startAgent();
    await tells(one, "generation 3", { generation: "3" });

    await store.delete(pluginKey("wall"));
    await eventually("its end", WAIT_MS, async () => ((await inForward(one)).includes("wall") ? undefined : true));
    const result = await ping(a.namespace, addressOf(b, 4));
    expect(result, result.text).toMatchObject({ lost: 0 });
  });
});
