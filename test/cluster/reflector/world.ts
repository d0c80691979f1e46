import { readdir } from "node:fs/promises";
import { pino } from "pino";
import { MIRROR_PREFIX } from "../../../host/src/cluster/keys.js";
import { KubeApi } from "../../../host/src/kube/api.js";
import { Reflector } from "../../../host/src/reflector/reflector.js";
import { EtcdStore } from "../../../host/src/store/etcd-store.js";
import { root } from "../../support/dataplane.js";
import { EtcdServer } from "../../support/etcd.js";
import { ApiServer, type Manifest, pathOf } from "../../support/kube-api.js";
import { eventually } from "../../support/process.js";
import { KUBERNETES } from "../programs.js";

// A real API server with a real etcd, a real etcd of Sluice's, and the reflector with no more rights than its manifest gives.

export const WAIT_MS = 30_000;
/** The compiler starts cold, and at a low priority. */
export const COMPILED_MS = 90_000;
export const SLUICE = "/apis/sluice.dev/v1alpha1";

export let kubeEtcd: EtcdServer;
export let etcd: EtcdServer;
export let api: ApiServer;
export let store: EtcdStore;

export async function start(): Promise<void> {
  [kubeEtcd, etcd] = await Promise.all([EtcdServer.start(), EtcdServer.start()]);
  api = await ApiServer.start(KUBERNETES, kubeEtcd);
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  for (const file of await readdir(`${root}/deploy/crds`)) await api.makeFrom(`${root}/deploy/crds/${file}`);
  await api.makeFrom(`${root}/deploy/manifests/reflector-rbac.yaml`);
  await eventually("Sluice's resources", WAIT_MS, async () =>
    (await api.call("GET", `${SLUICE}/ippools`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/nodeconfigs`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/plugins`)).status === 200 &&
    (await api.call("GET", `${SLUICE}/pipelines`)).status === 200
      ? true
      : undefined,
  );
}

export async function stop(): Promise<void> {
  await store?.close();
  await api?.stop();
  await Promise.all([kubeEtcd?.stop(), etcd?.stop()]);
}

/** With its status, which the API server takes apart. */
export async function make(object: Manifest): Promise<void> {
  await api.make(object);
  if (object.status === undefined) return;
  const path = `${pathOf(object)}/${object.metadata.name}/status`;
  await api.must("PATCH", path, { status: object.status }, "application/merge-patch+json");
}

export const remove = (path: string) => api.must("DELETE", `${path}?gracePeriodSeconds=0`);

export function pod(name: string, node = "a") {
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

export function node(name: string, last: number) {
  const addresses = [{ type: "InternalIP", address: `192.0.2.${last}` }];
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels: { zone: "z" } }, status: { addresses } };
}

export const pool = (name: string, spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "IPPool",
  metadata: { name },
  spec,
});
export const plugin = (spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Plugin",
  metadata: { name: "guard" },
  spec: { source: { inline: "//" }, ...spec },
});
export const pipeline = (hooks: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Pipeline",
  metadata: { name: "default" },
  spec: { hooks },
});
export const nodeConfig = (name: string, spec: object) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "NodeConfig",
  metadata: { name },
  spec,
});

/** Reflectors of this test, ended after it. */
const running: { end: () => Promise<void> }[] = [];

export async function endReflectors(): Promise<void> {
  for (const one of running.splice(0)) await one.end();
}

export function reflect(identity: string, times = { graceMs: 1000, coolDownMs: 600_000 }) {
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

export const synced = (reflector: Reflector) =>
  eventually("the reflector in step", WAIT_MS, () =>
    reflector.session?.synced && reflector.session.writer?.pending === 0 ? true : undefined,
  );

export async function records(prefix: string): Promise<Map<string, { [field: string]: unknown }>> {
  const found = new Map<string, { [field: string]: unknown }>();
  for await (const { entries } of store.list(prefix)) {
    for (const { key, value } of entries) found.set(key.slice(prefix.length), JSON.parse(value));
  }
  return found;
}

export async function record(key: string): Promise<{ [field: string]: unknown } | undefined> {
  const entry = await store.get(MIRROR_PREFIX + key);
  return entry === undefined ? undefined : JSON.parse(entry.value);
}

export async function has(key: string, part: object): Promise<void> {
  await eventually(`${key} with ${JSON.stringify(part)}`, WAIT_MS, async () => {
    const found = await record(key).catch(() => undefined);
    return found !== undefined &&
      Object.entries(part).every(([field, value]) => JSON.stringify(found[field]) === JSON.stringify(value))
      ? true
      : undefined;
  });
}

export async function lacks(key: string): Promise<void> {
  await eventually(`no ${key}`, WAIT_MS, async () =>
    (await record(key).catch(() => ({}))) === undefined ? true : undefined,
  );
}

export async function conditions(
  path: string,
): Promise<Record<string, { status: string; reason: string; message: string; observedGeneration: number }>> {
  const { status } = await api.must<{
    status?: {
      conditions?: { type: string; status: string; reason: string; message: string; observedGeneration: number }[];
    };
  }>("GET", path);
  return Object.fromEntries((status?.conditions ?? []).map((condition) => [condition.type, condition]));
}

export async function says(path: string, type: string, expected: { status: string; reason: string }): Promise<string> {
  return eventually(`${path} ${type} ${expected.reason}`, WAIT_MS, async () => {
    const found = (await conditions(path))[type];
    return found?.status === expected.status && found.reason === expected.reason ? found.message || " " : undefined;
  });
}

export async function event(kind: string, name: string, reason: string): Promise<string> {
  return eventually(`an event ${reason} of ${kind} ${name}`, WAIT_MS, async () => {
    const { items } = await api.must<{
      items: { involvedObject: { kind: string; name: string }; reason: string; message: string }[];
    }>("GET", "/api/v1/events");
    return items.find(
      (one) => one.involvedObject.kind === kind && one.involvedObject.name === name && one.reason === reason,
    )?.message;
  });
}
