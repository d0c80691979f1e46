import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeReportKey, pluginKey } from "../../../host/src/cluster/keys.js";
import {
  type PluginRecord,
  type PluginReport,
  type PluginVersion,
  pluginRecord,
} from "../../../host/src/cluster/records.js";
import type { PluginStatus } from "../../../host/src/resources/status.js";
import { ModuleStore } from "../../../host/src/store/module-store.js";
import { eventually } from "../../support/process.js";
import {
  api,
  COMPILED_MS,
  conditions,
  endReflectors,
  make,
  node,
  plugin,
  reflect,
  remove,
  SLUICE,
  says,
  store,
  synced,
  WAIT_MS,
} from "./world.js";

/** Plugins on their way to nodes. */
export function plugins(): void {
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
    const NODES = ["first", "second"];
    beforeAll(async () => {
      for (const name of NODES) await make(node(name, name.length));
    });
    afterAll(async () => {
      for (const name of NODES) await remove(`/api/v1/nodes/${name}`);
    });
    const patch = (spec: object) => api.must("PATCH", PATH, { spec }, "application/merge-patch+json");
    const published = async (): Promise<PluginRecord | undefined> => {
      const found = await store.get(pluginKey("guard"));
      return found === undefined ? undefined : pluginRecord.parse(JSON.parse(found.value));
    };
    const newest = (record: PluginRecord | undefined): PluginVersion | undefined =>
      record?.next?.version ?? record?.live;
    const generation = (wanted: number) =>
      eventually(`generation ${wanted} for nodes`, COMPILED_MS, async () => {
        const record = await published();
        return newest(record)?.generation === wanted ? record : undefined;
      });
    const nodeNames = async () => {
      const { items } = await api.must<{ items: { metadata: { name: string } }[] }>("GET", "/api/v1/nodes");
      return items.map(({ metadata }) => metadata.name).sort();
    };

    /** What agents report, in the place of agents. */
    async function report(nodes: readonly string[], plugin: Omit<PluginReport, "name">): Promise<void> {
      for (const node of nodes) {
        const plugins = [{ name: "guard", ...plugin }];
        await store.put(nodeReportKey(node), JSON.stringify({ node, version: "0.1.0", conditions: [], plugins }));
      }
    }
    const runs = ({ id, generation }: PluginVersion) => ({ generation, version: id, settled: true });

    /** All nodes run what they should, and have done well. */
    async function settle(): Promise<PluginRecord> {
      const version = newest(await published());
      if (version === undefined) throw new Error("no version is there");
      await report(await nodeNames(), runs(version));
      return eventually(`generation ${version.generation} live`, WAIT_MS, async () => {
        const record = await published();
        return record?.next === undefined && record?.live?.id === version.id ? record : undefined;
      });
    }

    const tells = (type: string, text: RegExp) =>
      eventually(`${type} with ${text}`, COMPILED_MS, async () => {
        const found = (await conditions(PATH))[type];
        return found?.status === "False" && text.test(found.message) ? true : undefined;
      });

    const history = async () => {
      const { status } = await api.must<{ status?: PluginStatus }>("GET", PATH);
      return (status?.history ?? []).map((past) => `${past.generation} ${past.outcome}`);
    };

    test("become modules for nodes; what can't be used leaves the last version in place", async () => {
      const modules = new ModuleStore(store);
      const reflector = reflect("one");
      await synced(reflector);
      await make(plugin({ source: { inline: SOURCE }, priority: 3 }));
      expect(newest(await generation(1))).toMatchObject({ hooks: ["forward"], priority: 3, origin: "inline" });
      const first = await settle();
      const digest = first.live?.digest ?? "";
      expect((await modules.get(digest)).length).toBeGreaterThan(100);
      for (const type of ["Compiled", "Accepted"]) await says(PATH, type, { status: "True", reason: type });
      await says(PATH, "Ready", { status: "True", reason: "Ready" });

      await patch({ source: { inline: SOURCE.replace("batch.at", "batch.att") } });
      await tells("Compiled", /plugin-build-failed Plugin guard \/spec\/source\/inline:6:\d+: /);
      await patch({ source: { inline: SOURCE }, config: { limit: 1 } });
      await tells("Accepted", /\/spec\/config: found {"limit":1}; allowed: nothing/);
      await patch({ config: null, hooks: ["input"] });
      await tells("Accepted", /\/spec\/hooks\/0: found input/);
      expect(await published()).toEqual(first);

      await patch({ hooks: null, priority: 4 });
      expect(newest(await generation(5))).toMatchObject({ priority: 4, digest });
      await says(PATH, "Compiled", { status: "True", reason: "Compiled" });
      await settle();
      await patch({ source: { inline: SOURCE.replace("i++", "i += 2") } });
      await generation(6);
      expect(await settle()).toMatchObject({ previousDigest: digest });

      await patch({ source: { inline: null, digest } });
      expect(newest(await generation(7))).toMatchObject({ digest, origin: `earlier module ${digest.slice(0, 12)}` });
      await settle();
      await eventually("its history", WAIT_MS, async () =>
        (await history()).join() === "1 Superseded,5 Superseded,6 Superseded,7 Live" ? true : undefined,
      );
      await patch({ source: { digest: "0".repeat(64) } });
      await tells(
        "Accepted",
        new RegExp(`/spec/source/digest: no earlier version had this module; it has had .*${digest}`),
      );

      await remove(PATH);
      await eventually("neither a Plugin nor a module for nodes", WAIT_MS, async () =>
        (await published()) === undefined && !(await modules.has(digest)) ? true : undefined,
      );
    });

    test("go back on all nodes when one says that a version failed, and say why; another generation is tried", async () => {
      await synced(reflect("one"));
      await make(plugin({ source: { inline: SOURCE } }));
      await generation(1);
      await settle();
      await patch({ source: { inline: SOURCE.replace("i++", "i += 2") } });
      const broken = newest(await generation(2)) as PluginVersion;
      const [one = "", ...others] = await nodeNames();
      await report(others, runs(broken));
      const failure = {
        message: "abort: no",
        source: "guard.ts:6:3 in process",
        packet: "IPv4 UDP",
        time: "2026-01-01T00:00:00.000Z",
      };
      await report([one], { refused: broken.id, problem: "abort: no at guard.ts:6:3", failure });
      await eventually("the version before", WAIT_MS, async () =>
        newest(await published())?.generation === 1 ? true : undefined,
      );
      const message = await says(PATH, "Ready", { status: "False", reason: "RolledBack" });
      expect(message).toContain(`${one}: abort: no at guard.ts:6:3`);
      const { status } = await api.must<{ status: PluginStatus }>("GET", PATH);
      expect(status.lastError).toEqual({ node: one, ...failure });
      expect(status.digest).not.toBe(broken.digest);
      expect(await history()).toEqual(["1 Live", "2 RolledBack"]);

      await endReflectors();
      await synced(reflect("two"));
      await patch({ priority: 7 });
      await generation(3);
      await remove(PATH);
    });

    test("come to one node after the other, also when another reflector takes over", async () => {
      await synced(reflect("one"));
      await make(plugin({ source: { inline: SOURCE }, rollout: { strategy: "NodeByNode" } }));
      const version = newest(await generation(1)) as PluginVersion;
      const names = await nodeNames();
      const reached = (count: number) =>
        eventually(`${count} nodes`, WAIT_MS, async () =>
          (await published())?.next?.through === names[count - 1] ? true : undefined,
        );
      await reached(1);
      await says(PATH, "Programmed", { status: "False", reason: "RollingOut" });
      await endReflectors();
      await report(names.slice(0, 1), runs(version));
      await synced(reflect("two"));
      await reached(2);
      await remove(PATH);
    });

    test("from ConfigMaps and Secrets, which are followed; a Secret that was not granted is not read", async () => {
      const reflector = reflect("one");
      await synced(reflector);
      const text = { namespace: "default", name: "text", key: "guard.ts" };
      await make(plugin({ source: { inline: null, configMap: text } }));
      await tells("Accepted", /there is no ConfigMap default\/text/);
      const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "default", name: "text" } };
      await make({ ...map, data: { "guard.ts": SOURCE } });
      const first = newest(await generation(1));
      expect(first).toMatchObject({ origin: "ConfigMap default/text guard.ts" });
      const data = { "guard.ts": SOURCE.replace("i++", "i += 2") };
      await api.must("PATCH", "/api/v1/namespaces/default/configmaps/text", { data }, "application/merge-patch+json");
      await eventually("another module", WAIT_MS, async () =>
        newest(await published())?.digest === first?.digest ? undefined : true,
      );

      const hidden = { namespace: "default", name: "hidden", key: "config" };
      await make({
        ...{ apiVersion: "v1", kind: "Secret", metadata: { namespace: "default", name: "hidden" } },
        stringData: { config: "limit: 1" },
      });
      await patch({ configFrom: { secret: hidden } });
      await tells(
        "Accepted",
        /not-readable \/spec\/configFrom\/secret: Secret default\/hidden can't be read: .*may ServiceAccount/,
      );
      await grant("hidden");
      await tells("Accepted", /what is there is a secret, and not told/);
      await remove(PATH);
    });

    /** As docs/cluster.md says. */
    async function grant(name: string): Promise<void> {
      const metadata = { namespace: "default", name: `sluice-${name}` };
      const apiVersion = "rbac.authorization.k8s.io/v1";
      const rule = { apiGroups: [""], resources: ["secrets"], resourceNames: [name], verbs: ["get", "watch"] };
      await make({ apiVersion, kind: "Role", metadata, rules: [rule] });
      await make({
        ...{ apiVersion, kind: "RoleBinding", metadata },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: metadata.name },
        subjects: [{ kind: "ServiceAccount", namespace: "kube-system", name: "sluice-reflector" }],
      });
    }
  });
}
