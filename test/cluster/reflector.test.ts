import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  BLOCKS_PREFIX,
  COMPLETE_KEY,
  MIRROR_PREFIX,
  NODE_IDS_PREFIX,
  nodeReportKey,
  pluginKey,
} from "../../host/src/cluster/keys.js";
import { type NodeReportRecord, type PluginRecord, pluginRecord } from "../../host/src/cluster/records.js";
import { KubeApi } from "../../host/src/kube/api.js";
import { Reflector } from "../../host/src/reflector/reflector.js";
import { EtcdStore } from "../../host/src/store/etcd-store.js";
import { ModuleStore } from "../../host/src/store/module-store.js";
import { root } from "../support/dataplane.js";
import { EtcdServer } from "../support/etcd.js";
import { ApiServer, type Manifest, pathOf } from "../support/kube-api.js";
import { Background, eventually, run } from "../support/process.js";
import { KUBERNETES } from "./programs.js";

// A real API server with a real etcd, a real etcd of Sluice's, and the reflector with no more rights than its manifest gives.

const WAIT_MS = 30_000;
const SLUICE = "/apis/sluice.dev/v1alpha1";

let kubeEtcd: EtcdServer;
let etcd: EtcdServer;
let api: ApiServer;
let store: EtcdStore;

beforeAll(async () => {
  [kubeEtcd, etcd] = await Promise.all([EtcdServer.start(), EtcdServer.start()]);
  api = await ApiServer.start(KUBERNETES, kubeEtcd);
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  for (const file of await readdir(`${root}/deploy/crds`)) await api.makeFrom(`${root}/deploy/crds/${file}`);
  await api.makeFrom(`${root}/deploy/rbac/reflector.yaml`);
  await eventually("Sluice's resources", WAIT_MS, async () =>
    (await api.call("GET", `${SLUICE}/ippools`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/nodeconfigs`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/plugins`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/pipelines`)).status === 200
      ? true
      : undefined,
  );
}, 180_000);
afterAll(async () => {
  await store?.close();
  await api?.stop();
  await Promise.all([kubeEtcd?.stop(), etcd?.stop()]);
});

/** With its status, which the API server takes apart. */
async function make(object: Manifest): Promise<void> {
  await api.make(object);
  if (object.status === undefined) return;
  const path = `${pathOf(object)}/${object.metadata.name}/status`;
  await api.must("PATCH", path, { status: object.status }, "application/merge-patch+json");
}

const remove = (path: string) => api.must("DELETE", `${path}?gracePeriodSeconds=0`);

function pod(name: string, node = "a") {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "shop", name, labels: { app: name } },
    spec: {
      nodeName: node,
      containers: [{ name: "main", image: "none", ports: [{ name: "http", containerPort: 80 }] }],
    },
    status: { phase: "Running", podIP: "10.1.0.5", podIPs: [{ ip: "10.1.0.5" }] },
  };
}

function node(name: string, last: number) {
  const addresses = [{ type: "InternalIP", address: `192.0.2.${last}` }];
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels: { zone: "z" } }, status: { addresses } };
}

const pool = (name: string, spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "IPPool",
  metadata: { name },
  spec,
});
const plugin = (spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Plugin",
  metadata: { name: "guard" },
  spec: { source: { inline: "//" }, ...spec },
});
const pipeline = (hooks: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Pipeline",
  metadata: { name: "default" },
  spec: { hooks },
});
const nodeConfig = (name: string, spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "NodeConfig",
  metadata: { name },
  spec,
});

/** Reflectors of this test, ended after it. */
const running: { end: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.end();
});

function reflect(identity: string, times = { graceMs: 1000, coolDownMs: 600_000 }) {
  const own = EtcdStore.open({ endpoints: [etcd.endpoint] });
  const reflector = new Reflector({
    api: KubeApi.load(api.kubeconfig("reflector")),
    store: own,
    leaseNamespace: "kube-system",
    identity,
    times,
    log: pino({ level: process.env.SLUICE_TEST_LOG ?? "silent" }),
  });
  const stop = new AbortController();
  const ended = reflector.run(stop.signal);
  running.push({
    end: async () => {
      stop.abort();
      await ended;
      await own.close();
    },
  });
  return reflector;
}

const synced = (reflector: Reflector) =>
  eventually("the reflector in step", WAIT_MS, () =>
    reflector.session?.synced && reflector.session.writer?.pending === 0 ? true : undefined,
  );

async function records(prefix: string): Promise<Map<string, { [field: string]: unknown }>> {
  const found = new Map<string, { [field: string]: unknown }>();
  for await (const { entries } of store.list(prefix)) {
    for (const { key, value } of entries) found.set(key.slice(prefix.length), JSON.parse(value));
  }
  return found;
}

async function record(key: string): Promise<{ [field: string]: unknown } | undefined> {
  const entry = await store.get(MIRROR_PREFIX + key);
  return entry === undefined ? undefined : JSON.parse(entry.value);
}

async function has(key: string, part: object): Promise<void> {
  await eventually(`${key} with ${JSON.stringify(part)}`, WAIT_MS, async () => {
    const found = await record(key).catch(() => undefined);
    return found !== undefined &&
      Object.entries(part).every(([field, value]) => JSON.stringify(found[field]) === JSON.stringify(value))
      ? true
      : undefined;
  });
}

async function lacks(key: string): Promise<void> {
  await eventually(`no ${key}`, WAIT_MS, async () =>
    (await record(key).catch(() => ({}))) === undefined ? true : undefined,
  );
}

async function conditions(
  path: string,
): Promise<Record<string, { status: string; reason: string; message: string; observedGeneration: number }>> {
  const { status } = await api.must<{
    status?: {
      conditions?: { type: string; status: string; reason: string; message: string; observedGeneration: number }[];
    };
  }>("GET", path);
  return Object.fromEntries((status?.conditions ?? []).map((condition) => [condition.type, condition]));
}

async function says(path: string, type: string, expected: { status: string; reason: string }): Promise<string> {
  return eventually(`${path} ${type} ${expected.reason}`, WAIT_MS, async () => {
    const found = (await conditions(path))[type];
    return found?.status === expected.status && found.reason === expected.reason ? found.message || " " : undefined;
  });
}

async function event(kind: string, name: string, reason: string): Promise<string> {
  return eventually(`an event ${reason} of ${kind} ${name}`, WAIT_MS, async () => {
    const { items } = await api.must<{
      items: { involvedObject: { kind: string; name: string }; reason: string; message: string }[];
    }>("GET", "/api/v1/events");
    return items.find(
      (one) => one.involvedObject.kind === kind && one.involvedObject.name === name && one.reason === reason,
    )?.message;
  });
}

describe("the API server refuses what can't work, with the field", () => {
  const ROWS: [string, Manifest & { spec: object }, string][] = [
    ["a pool that is no prefix", pool("bad", { cidr: "10.0.0.0" }), "spec.cidr"],
    ["a pool with host bits", pool("bad", { cidr: "10.0.0.1/16" }), "no bits set after its length"],
    ["blocks larger than the pool", pool("bad", { cidr: "10.0.0.0/24", blockSize: 20 }), "spec.blockSize"],
    ["blocks longer than an address", pool("bad", { cidr: "10.0.0.0/24", blockSize: 33 }), "spec.blockSize"],
    ["fewer CPUs than workers", nodeConfig("bad", { workers: 2, workerCores: [1] }), "spec.workerCores"],
    ["one CPU twice", nodeConfig("bad", { workers: 2, workerCores: [1, 1] }), "spec.workerCores"],
    ["driver dpdk without device arguments", nodeConfig("bad", { uplink: { driver: "dpdk" } }), "spec.uplink.devargs"],
    [
      "device arguments without driver dpdk",
      nodeConfig("bad", { uplink: { devargs: "0000:00:05.0" } }),
      "spec.uplink.devargs",
    ],
    ["an interface name that is none", nodeConfig("bad", { uplink: { device: "a name/with" } }), "spec.uplink.device"],
    ["a transport that there is not", nodeConfig("bad", { transport: "geneve" }), "spec.transport"],
    ["a plugin of no source", plugin({ source: {} }), "just one of inline, configMap, url, oci"],
    [
      "a plugin of two sources",
      plugin({ source: { inline: "//", oci: { reference: "example.com/guard:1" } } }),
      "just one of inline, configMap, url, oci",
    ],
    ["a reference that is none", plugin({ source: { oci: { reference: "guard" } } }), "spec.source.oci.reference"],
    ["selectors of no pods", plugin({ placement: { podSelector: {} } }), "spec.placement.packets"],
    [
      "two configurations of a plugin",
      plugin({ config: { a: 1 }, configFrom: { secret: { namespace: "a", name: "b", key: "c" } } }),
      "spec.configFrom",
    ],
    ["a configuration of one that replaces", plugin({ replaces: "nat", config: { a: 1 } }), "spec.replaces"],
    ["a stage that is in a hook twice", pipeline({ forward: ["guard", "guard"] }), "spec.hooks.forward"],
  ];
  test.each(ROWS)("%s", async (_, object, field) => {
    const answer = await api.call("POST", pathOf(object), object);
    expect(answer.status).toBe(422);
    expect(answer.body).toContain(field);
  });

  test("another prefix or block size of a pool that is there", async () => {
    await make(pool("fixed", { cidr: "10.250.0.0/16" }));
    const patch = (spec: object) =>
      api.call("PATCH", `${SLUICE}/ippools/fixed`, { spec }, "application/merge-patch+json");
    expect((await patch({ cidr: "10.251.0.0/16" })).body).toContain("can't be changed: nodes have addresses of it");
    expect((await patch({ blockSize: 28 })).body).toContain("can't be changed: nodes have blocks of it");
    expect((await patch({ disabled: true })).status).toBe(200);
    await remove(`${SLUICE}/ippools/fixed`);
  });

  test("what is left out is filled in", async () => {
    await make(nodeConfig("defaults", {}));
    const { spec } = await api.must<{ spec: object }>("GET", `${SLUICE}/nodeconfigs/defaults`);
    expect(spec).toMatchObject({
      uplink: { driver: "af-packet", take: true },
      workers: 1,
      memory: { hugepages: "auto" },
      transport: "vxlan",
    });
    await remove(`${SLUICE}/nodeconfigs/defaults`);
    await make(plugin({ placement: {}, config: { any: { thing: [1] } } }));
    const made = await api.must<{ spec: object }>("GET", `${SLUICE}/plugins/guard`);
    expect(made.spec).toMatchObject({
      placement: { packets: "All" },
      config: { any: { thing: [1] } },
      rollout: { strategy: "AllAtOnce", shadow: { packets: 1000 } },
    });
    await remove(`${SLUICE}/plugins/guard`);
  });
});

describe("etcd is equal to the API", () => {
  test("each kind, made, changed and deleted", async () => {
    await make({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    await make(pod("before"));
    const reflector = reflect("one");
    await synced(reflector);
    await has("pods/shop/before", { node: "a", phase: "Running", ips: ["10.1.0.5"] });
    await make(node("a", 1));
    await make({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "shop", name: "web" },
      spec: { ports: [{ port: 80 }], selector: { app: "web" } },
    });
    await make({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace: "shop", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      ports: [{ name: "", port: 80, protocol: "TCP" }],
      endpoints: [{ addresses: ["10.1.0.5"], conditions: { ready: true } }],
    });
    await make({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { namespace: "shop", name: "deny" },
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    });
    await make(nodeConfig("general", { workers: 2 }));
    await make(pool("v4", { cidr: "10.1.0.0/16" }));
    await has("nodes/a", { addresses: ["192.0.2.1"] });
    await has("namespaces/shop", { name: "shop" });
    await has("services/shop/web", { type: "ClusterIP" });
    await has("endpointslices/shop/web-1", { service: "web" });
    await has("networkpolicies/shop/deny", { policyTypes: ["Ingress"] });
    await has("nodeconfigs/general", { generation: 1 });
    await has("ippools/v4", { spec: { cidr: "10.1.0.0/16", disabled: false } });

    await api.must(
      "PATCH",
      "/api/v1/namespaces/shop/pods/before",
      { metadata: { labels: { app: "new" } } },
      "application/merge-patch+json",
    );
    await has("pods/shop/before", { labels: { app: "new" } });
    await remove("/api/v1/namespaces/shop/pods/before");
    await lacks("pods/shop/before");
    await remove("/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/deny");
    await lacks("networkpolicies/shop/deny");
  });

  test("also what changed while no reflector ran", async () => {
    await make(pod("gone-later"));
    await synced(reflect("one"));
    await has("pods/shop/gone-later", { phase: "Running" });
    await running.pop()?.end();
    await remove("/api/v1/namespaces/shop/pods/gone-later");
    await make(pod("made-meanwhile"));
    await store.put(`${MIRROR_PREFIX}services/shop/never-was`, "{}");
    const reflector = reflect("two");
    await synced(reflector);
    expect(await record("pods/shop/gone-later")).toBeUndefined();
    expect(await record("services/shop/never-was")).toBeUndefined();
    await has("pods/shop/made-meanwhile", { phase: "Running" });
  });

  test("after the API server was killed, with changes at once when it is back", async () => {
    const reflector = reflect("one");
    await synced(reflector);
    await api.kill();
    await api.start();
    await make(pod("after-restart"));
    await remove("/api/v1/namespaces/shop/pods/made-meanwhile");
    await has("pods/shop/after-restart", { phase: "Running" });
    await lacks("pods/shop/made-meanwhile");
  });

  test("after Sluice's etcd was killed, and after it was emptied: each node has its id and blocks again", async () => {
    for (const [i, name] of ["n2", "n1"].entries()) await make(node(name, 20 + i));
    const reflector = reflect("one");
    await synced(reflector);
    await etcd.kill();
    await make(pod("while-etcd-was-away"));
    await etcd.start();
    await has("pods/shop/while-etcd-was-away", { phase: "Running" });
    const grants = async () => [...(await records(BLOCKS_PREFIX)), ...(await records(NODE_IDS_PREFIX))];
    await eventually("the nodes' blocks", WAIT_MS, async () => ((await grants()).length === 6 ? true : undefined));
    const before = await records(MIRROR_PREFIX);
    const given = await grants();
    await etcd.empty();
    await etcd.start();
    await eventually("all again", WAIT_MS, async () => {
      const now = await records(MIRROR_PREFIX).catch(() => new Map());
      return JSON.stringify([...now]) === JSON.stringify([...before]) ? true : undefined;
    });
    // Agents take nothing of an etcd before it has this key.
    await eventually("the end of the filling", WAIT_MS, async () =>
      (await store.get(COMPLETE_KEY).catch(() => undefined)) === undefined ? undefined : true,
    );
    expect(await grants()).toEqual(given);
    for (const name of ["n1", "n2"]) await remove(`/api/v1/nodes/${name}`);
  });

  test("after the API server's history was compacted while the watch was down", async () => {
    const reflector = reflect("one");
    await synced(reflector);
    await api.kill();
    await kubeEtcd.compact();
    await api.start();
    await make(pod("after-compaction"));
    await has("pods/shop/after-compaction", { phase: "Running" });
  });
});

describe("an object of a newer version", () => {
  test("is left out with an event and a condition; its last record and all else stay", async () => {
    const reflector = reflect("one");
    await synced(reflector);
    const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const crd = parse(readFileSync(`${root}/deploy/crds/sluice.dev_nodeconfigs.yaml`, "utf8"));
    const { enum: transports } = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.transport;
    transports.push("geneve");
    await api.must("PATCH", `${crds}/nodeconfigs.sluice.dev`, { spec: crd.spec }, "application/merge-patch+json");
    await eventually("the newer version", WAIT_MS, async () => {
      const patch = { spec: { transport: "geneve" } };
      return (await api.call("PATCH", `${SLUICE}/nodeconfigs/general`, patch, "application/merge-patch+json"))
        .status === 200
        ? true
        : undefined;
    });
    const message = await says(`${SLUICE}/nodeconfigs/general`, "Accepted", { status: "False", reason: "Invalid" });
    expect(message).toContain('/spec/transport: found "geneve"; allowed: one of vxlan, routed');
    expect(await event("NodeConfig", "general", "NotUsed")).toContain("/spec/transport");
    expect(await record("nodeconfigs/general")).toMatchObject({ generation: 1, spec: { transport: "vxlan" } });
    await make(pod("beside-it"));
    await has("pods/shop/beside-it", { phase: "Running" });
    await api.must(
      "PATCH",
      `${SLUICE}/nodeconfigs/general`,
      { spec: { transport: "routed" } },
      "application/merge-patch+json",
    );
    await has("nodeconfigs/general", { generation: 3 });
    await says(`${SLUICE}/nodeconfigs/general`, "Accepted", { status: "True", reason: "Accepted" });
  });
});

describe("what users see", () => {
  test("a full pool: conditions and events, until another pool has room", async () => {
    await make(pool("tiny", { cidr: "10.9.0.0/30", blockSize: 31 }));
    await make(node("b", 2));
    await make(node("c", 3));
    const reflector = reflect("one");
    await synced(reflector);
    const message = await says(`${SLUICE}/ippools/tiny`, "Ready", { status: "False", reason: "Full" });
    expect(message).toContain("no block is left for");
    expect(await event("IPPool", "tiny", "Full")).toContain("make another IPPool");
    expect(await event("Node", "c", "NoAddresses")).toContain("IPPool tiny");
    await says(`${SLUICE}/ippools/v4`, "Ready", { status: "True", reason: "BlocksLeft" });
    // Those of nodes that are gone are taken back after a while.
    await eventually("the blocks of three nodes", WAIT_MS, async () => {
      const { status } = await api.must<{ status: { blocks: number; capacity: string } }>(
        "GET",
        `${SLUICE}/ippools/v4`,
      );
      return status.blocks === 3 && status.capacity === "1024" ? true : undefined;
    });
    await remove("/api/v1/nodes/c");
    await eventually("its id's release", WAIT_MS, async () =>
      (await records(NODE_IDS_PREFIX)).has("c") ? undefined : true,
    );
    await says(`${SLUICE}/ippools/tiny`, "Ready", { status: "False", reason: "Full" });
    expect([...(await records(BLOCKS_PREFIX)).values()].filter((block) => block.node === "c")).toEqual([]);
    await remove(`${SLUICE}/ippools/tiny`);
  });

  test("pools that overlap: the newer one is refused", async () => {
    await synced(reflect("one"));
    await make(pool("inside", { cidr: "10.1.7.0/24" }));
    const message = await says(`${SLUICE}/ippools/inside`, "Accepted", { status: "False", reason: "Overlaps" });
    expect(message).toContain("overlaps 10.1.0.0/16 of the older IPPool v4");
    await remove(`${SLUICE}/ippools/inside`);
  });

  test("agents' reports make the NodeConfig's conditions and the node's events", async () => {
    await synced(reflect("one"));
    const { metadata } = await api.must<{ metadata: { generation: number } }>("GET", `${SLUICE}/nodeconfigs/general`);
    const report = (name: string, status: "True" | "False"): NodeReportRecord => ({
      node: name,
      version: "0.1.0",
      nodeConfig: { name: "general", generation: metadata.generation },
      conditions: ["Programmed", "Ready"].map((type) =>
        status === "True"
          ? { type, status, reason: "Running", message: "" }
          : { type, status, reason: "NoDevice", message: "/spec/uplink/device: there is no eth9" },
      ),
    });
    await store.put(nodeReportKey("a"), JSON.stringify(report("a", "True")));
    await store.put(nodeReportKey("b"), JSON.stringify(report("b", "False")));
    const message = await says(`${SLUICE}/nodeconfigs/general`, "Ready", { status: "False", reason: "NoDevice" });
    expect(message).toBe("b: /spec/uplink/device: there is no eth9");
    expect(await event("Node", "b", "NoDevice")).toContain("there is no eth9");
    await store.put(nodeReportKey("b"), JSON.stringify(report("b", "True")));
    await says(`${SLUICE}/nodeconfigs/general`, "Ready", { status: "True", reason: "AllNodes" });
  });
});

describe("of two reflectors", () => {
  test("one writes; the other takes over when the first is killed, and no block changes hands", async () => {
    const started = [
      "--etcd",
      etcd.endpoint,
      "--kubeconfig",
      api.kubeconfig("reflector"),
      "--listen",
      "127.0.0.1:0",
      "-o",
      "json",
    ];
    const first = new Background([`${root}/host/bin/sluice.js`, "reflector", ...started]);
    try {
      const port = await eventually("its port", WAIT_MS, () => /"port":(\d+)/.exec(first.stdout)?.[1]);
      const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
      await eventually("the first one's Lease", WAIT_MS, async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return /^sluice_reflector_synced 1$/m.test(text) && (await ready()) ? true : undefined;
      });
      const second = reflect("second");
      const blocks = await records(BLOCKS_PREFIX);
      await make(pod("with-the-first"));
      await has("pods/shop/with-the-first", { phase: "Running" });
      expect(second.session).toBeUndefined();
      expect(second.unready()).toEqual([]);
      await first.stop("SIGKILL");
      const killed = performance.now();
      await make(pod("with-the-second"));
      await has("pods/shop/with-the-second", { phase: "Running" });
      expect(performance.now() - killed).toBeLessThan(20_000);
      expect(await records(BLOCKS_PREFIX)).toEqual(blocks);
    } finally {
      await first.stop("SIGKILL");
    }
  });

  test("one that ends in an orderly way gives the Lease back, and says no more than what was asked", async () => {
    const argv = [
      "reflector",
      "--etcd",
      etcd.endpoint,
      "--kubeconfig",
      api.kubeconfig("reflector"),
      "--listen",
      "127.0.0.1:0",
    ];
    const one = new Background([`${root}/host/bin/sluice.js`, ...argv]);
    const lease = () =>
      api.must<{ spec: { holderIdentity: string } }>(
        "GET",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sluice-reflector",
      );
    await eventually("its Lease", WAIT_MS, async () =>
      (await lease()).spec.holderIdentity.includes("_") ? true : undefined,
    );
    const { status, stdout } = await one.stop("SIGTERM");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^started: \/healthz, \/readyz and \/metrics on port \d+\n$/);
    expect((await lease()).spec.holderIdentity).toBe("");
  });

  const WRONG: [string, string[], string][] = [
    [
      "no kubeconfig",
      ["--etcd", "http://127.0.0.1:1", "--kubeconfig", "/none"],
      "error: kubeconfig /none: no such file or directory",
    ],
    [
      "no URL of etcd",
      ["--etcd", "nowhere", "--kubeconfig", "KUBECONFIG"],
      "error: etcd-endpoint nowhere: expected a URL with its port",
    ],
    [
      "a port that is taken",
      ["--etcd", "http://127.0.0.1:1", "--kubeconfig", "KUBECONFIG", "--listen", "127.0.0.1:99999"],
      "error: listen-address",
    ],
  ];
  test.each(WRONG)("one that is started wrongly says so and ends: %s", async (_, argv, message) => {
    const args = argv.map((arg) => (arg === "KUBECONFIG" ? api.kubeconfig("reflector") : arg));
    const { status, stderr } = await run([`${root}/host/bin/sluice.js`, "reflector", ...args]);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe("Plugins", () => {
  const SOURCE = `
import { Batch, definePlugin } from "@sluice/sdk";
definePlugin({ name: "guard", version: "1.0.0" });
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i);
}
`;
  const PATH = `${SLUICE}/plugins/guard`;
  const patch = (spec: object) => api.must("PATCH", PATH, { spec }, "application/merge-patch+json");
  const published = async (): Promise<PluginRecord | undefined> => {
    const found = await store.get(pluginKey("guard"));
    return found === undefined ? undefined : pluginRecord.parse(JSON.parse(found.value));
  };
  const generation = (wanted: number) =>
    eventually(`generation ${wanted} for nodes`, WAIT_MS, async () => {
      const record = await published();
      return record?.live?.generation === wanted ? record : undefined;
    });

  const tells = (type: string, text: RegExp) =>
    eventually(`${type} with ${text}`, WAIT_MS, async () => {
      const found = (await conditions(PATH))[type];
      return found?.status === "False" && text.test(found.message) ? true : undefined;
    });

  test("become modules for nodes; what can't be used leaves the last version in place", async () => {
    const modules = new ModuleStore(store);
    const reflector = reflect("one");
    await synced(reflector);
    await make(plugin({ source: { inline: SOURCE }, priority: 3 }));
    const first = await generation(1);
    expect(first.live).toMatchObject({ hooks: ["forward"], priority: 3, origin: "inline" });
    const digest = first.live?.digest ?? "";
    expect((await modules.get(digest)).length).toBeGreaterThan(100);
    await says(PATH, "Compiled", { status: "True", reason: "Compiled" });
    await says(PATH, "Accepted", { status: "True", reason: "Accepted" });

    await patch({ source: { inline: SOURCE.replace("batch.at", "batch.att") } });
    await tells("Compiled", /plugin-build-failed .*:6:/);
    await patch({ source: { inline: SOURCE }, config: { limit: 1 } });
    await tells("Accepted", /\/spec\/config: found {"limit":1}; allowed: nothing/);
    await patch({ config: null, hooks: ["input"] });
    await tells("Accepted", /\/spec\/hooks\/0: found input/);
    expect(await published()).toEqual(first);

    await patch({ hooks: null, priority: 4 });
    expect((await generation(5)).live).toMatchObject({ priority: 4, digest });
    await says(PATH, "Compiled", { status: "True", reason: "Compiled" });
    await patch({ source: { inline: SOURCE.replace("i++", "i += 2") } });
    expect(await generation(6)).toMatchObject({ previousDigest: digest });

    await remove(PATH);
    await eventually("neither a Plugin nor a module for nodes", WAIT_MS, async () =>
      (await published()) === undefined && !(await modules.has(digest)) ? true : undefined,
    );
  });

  test("from ConfigMaps, which are followed; a Secret that was not granted is not read", async () => {
    const reflector = reflect("one");
    await synced(reflector);
    const text = { namespace: "default", name: "text", key: "guard.ts" };
    await make(plugin({ source: { inline: null, configMap: text } }));
    await tells("Accepted", /there is no ConfigMap default\/text/);
    await make({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: "default", name: "text" },
      data: { "guard.ts": SOURCE },
    });
    expect((await generation(1)).live).toMatchObject({ origin: "ConfigMap default/text guard.ts" });
    await patch({ configFrom: { secret: { namespace: "default", name: "hidden", key: "config" } } });
    await tells(
      "Accepted",
      /not-readable \/spec\/configFrom\/secret: Secret default\/hidden can't be read: .*may ServiceAccount/,
    );
    expect((await published())?.live?.generation).toBe(1);
    await remove(PATH);
  });
});

test("a Pipeline is told to nodes, with how many run with it", async () => {
  const reflector = reflect("one");
  await synced(reflector);
  await make(pipeline({ forward: ["policy"] }));
  await has("pipelines/default", { spec: { nodeSelector: {}, priority: 0, hooks: { forward: ["policy"] } } });
  await says(`${SLUICE}/pipelines/default`, "Accepted", { status: "True", reason: "Accepted" });
  await remove(`${SLUICE}/pipelines/default`);
});
