import { describe, expect, test } from "vitest";
import { type Manifest, pathOf } from "../../support/kube-api.js";
import { api, make, nodeConfig, pipeline, plugin, pool, remove, SLUICE } from "./world.js";

/** What the API server itself refuses of Sluice's resources. */
export function refusals(): void {
  describe("the API server refuses what can't work, with the field", () => {
    const ROWS: [string, Manifest & { spec: object }, string][] = [
      ["a pool that is no prefix", pool("bad", { cidr: "10.0.0.0" }), "spec.cidr"],
      ["a pool with host bits", pool("bad", { cidr: "10.0.0.1/16" }), "no bits set after its length"],
      ["blocks larger than the pool", pool("bad", { cidr: "10.0.0.0/24", blockSize: 20 }), "spec.blockSize"],
      ["blocks longer than an address", pool("bad", { cidr: "10.0.0.0/24", blockSize: 33 }), "spec.blockSize"],
      ["fewer CPUs than workers", nodeConfig("bad", { workers: 2, workerCores: [1] }), "spec.workerCores"],
      ["one CPU twice", nodeConfig("bad", { workers: 2, workerCores: [1, 1] }), "spec.workerCores"],
      [
        "driver dpdk without device arguments",
        nodeConfig("bad", { uplink: { driver: "dpdk" } }),
        "spec.uplink.devargs",
      ],
      [
        "device arguments without driver dpdk",
        nodeConfig("bad", { uplink: { devargs: "0000:00:05.0" } }),
        "spec.uplink.devargs",
      ],
      [
        "an interface name that is none",
        nodeConfig("bad", { uplink: { device: "a name/with" } }),
        "spec.uplink.device",
      ],
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
}
