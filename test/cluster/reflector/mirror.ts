import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { BLOCKS_PREFIX, COMPLETE_KEY, MIRROR_PREFIX, NODE_IDS_PREFIX } from "../../../host/src/cluster/keys.js";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import {
  api,
  endReflectors,
  etcd,
  event,
  has,
  kubeEtcd,
  lacks,
  make,
  node,
  nodeConfig,
  pipeline,
  pod,
  pool,
  record,
  records,
  reflect,
  remove,
  SLUICE,
  says,
  store,
  synced,
  WAIT_MS,
} from "./world.js";

/** What the reflector keeps of the API in etcd. */
export function mirror(): void {
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
      await has("servicecidrs/kubernetes", { name: "kubernetes" });
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
      await endReflectors();
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

  test("a Pipeline is told to nodes, with how many run with it", async () => {
    const reflector = reflect("one");
    await synced(reflector);
    await make(pipeline({ forward: ["policy"] }));
    await has("pipelines/default", { spec: { nodeSelector: {}, priority: 0, hooks: { forward: ["policy"] } } });
    await says(`${SLUICE}/pipelines/default`, "Accepted", { status: "True", reason: "Accepted" });
    await remove(`${SLUICE}/pipelines/default`);
  });
}
