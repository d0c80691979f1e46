import { loadPlugin } from "@sluice/sdk/testing";
import { expect, test } from "vitest";
import { ClusterPlugins } from "../../src/agent/cluster-plugins.js";
import { ClusterView } from "../../src/agent/cluster-view.js";
import { loadModules } from "../../src/agent/plugins.js";
import { mirrorKey } from "../../src/cluster/keys.js";
import type { Problem } from "../../src/errors.js";
import { endpoint, service, slice } from "../translate/records.js";

const NAT = new URL("../../../plugins/nat/build/nat.wasm", import.meta.url);
// Few, of many endpoints: each takes 128 KiB of nat's 64 MiB.
const SERVICES = 560;
const ENDPOINTS = 330;

function filled(): ClusterPlugins {
  const view = new ClusterView("me", (change) => plugins.changed(change));
  const plugins = new ClusterPlugins(view, loadModules());
  const put = (kind: "services" | "endpointslices", record: { name: string; namespace: string }) =>
    view.apply(mirrorKey(kind, record.name, record.namespace), JSON.stringify(record));
  for (let i = 0; i < SERVICES; i++) {
    const [name, place] = [`service-${i}`, `${i >> 8}.${i & 255}`];
    put("services", service({ name, clusterIPs: [`10.96.${place}`] }));
    const endpoints = Array.from({ length: ENDPOINTS }, (_, j) => endpoint(addressOf(i * ENDPOINTS + j)));
    put("endpointslices", slice(endpoints, { name: `${name}-1`, service: name }));
  }
  return plugins;
}

const addressOf = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

/** What the plugin says against a configuration; undefined: it runs with it. */
async function refusalOf(config: object): Promise<Problem | undefined> {
  try {
    await loadPlugin(NAT, { config: JSON.parse(JSON.stringify(config)) });
    return undefined;
  } catch (error) {
    const message = (error as Error).message;
    const code = /is too large|more than segmentBytes/.test(message) ? "config-too-large" : "config-failed";
    return { code, path: "/plugins/nat/config", message };
  }
}

test("more services than nat has room for: as many are served as fit, and it is said how many", {
  timeout: 60_000,
}, async () => {
  const plugins = filled();
  const natConfig = () =>
    plugins.own({ addresses: ["192.0.2.1"], podCidrs: [], masquerade: true, attachments: [] })[0]?.plugin.config as {
      services: unknown[];
    };
  expect(plugins.refused("a-users", { code: "config-too-large", path: "", message: "" })).toBe(false);
  expect(natConfig().services).toHaveLength(SERVICES);
  expect(plugins.refused("nat", { code: "config-invalid", path: "", message: "no room is not why" })).toBe(false);
  for (let refusal = await refusalOf(natConfig()); refusal !== undefined; refusal = await refusalOf(natConfig())) {
    expect(plugins.refused("nat", refusal), refusal.message).toBe(true);
  }
  const { length } = natConfig().services;
  expect(length).toBeGreaterThan(400);
  expect(length).toBeLessThan(SERVICES);
  expect(plugins.problems).toMatchObject([
    { code: "too-many-services", message: expect.stringContaining(`${length} of ${SERVICES}`) },
  ]);
});
