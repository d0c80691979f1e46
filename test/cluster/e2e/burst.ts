import { describe, expect, test } from "vitest";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import { SLUICE_ETCD } from "../address-plan.js";
import type { KubernetesObject } from "../kubectl.js";
import type { ClusterNode } from "../node.js";
import type { World } from "./world.js";

const PODS = 100;
const NODE = "node1";
const CREATED_MS = 180_000;
const SETTLED_MS = 30_000;

/** A hundred pods at once, and who knows which addresses of it. */
export function burst(world: () => World): void {
  describe("a burst of pods on a node", () => {
    test(
      "leaks and doubles nothing: API, etcd, agent and dataplane have the same addresses, then none of them",
      async () => {
        const { cluster } = world();
        const node = cluster.nodes.find(({ name }) => name === NODE) as ClusterNode;
        const before = await addressesOf(world(), node);
        await cluster.kubectl.apply(crowd());
        await cluster.kubectl.must("rollout", "status", "deployment/crowd", `--timeout=${CREATED_MS / 1000}s`);

        const full = await settled(world(), node, before.api.length + 2 * PODS);
        expect(new Set(full.api).size).toBe(full.api.length);
        expect(full).toEqual({ api: full.api, etcd: full.api, dataplane: full.api, agent: full.api.length });

        await cluster.kubectl.delete(crowd());
        expect(await settled(world(), node, before.api.length)).toEqual(before);
      },
      CREATED_MS + 3 * SETTLED_MS,
    );
  });
}

/** Addresses of the node's pods, sorted, as each one knows them; of the agent how many. */
interface Known {
  api: string[];
  etcd: string[];
  dataplane: string[];
  agent: number;
}

/** Once all have as many as there should be; what they have when that does not come about. */
async function settled(world: World, node: ClusterNode, count: number): Promise<Known> {
  let known = await addressesOf(world, node);
  await eventually(`${count} addresses`, SETTLED_MS, async () => {
    known = await addressesOf(world, node);
    const counts = [known.api.length, known.etcd.length, known.dataplane.length, known.agent];
    return counts.every((each) => each === count) ? true : undefined;
  }).catch(() => undefined); // the comparison says more
  return known;
}

async function addressesOf({ cluster }: World, node: ClusterNode): Promise<Known> {
  interface PodList {
    items: { spec: { hostNetwork?: boolean }; status: { podIPs?: { ip: string }[] } }[];
  }
  const onNode = ["get", "pods", "--all-namespaces", `--field-selector=spec.nodeName=${node.name}`];
  const { items } = await cluster.kubectl.json<PodList>(...onNode);
  const pods = items.filter(({ spec }) => spec.hostNetwork !== true);
  const { spec } = JSON.parse(await node.must(["cat", `/var/lib/sluice/${node.name}/state.json`])) as {
    spec: { routes: { prefix: string; blackhole: boolean }[] };
  };
  const hosts = spec.routes.filter(({ prefix, blackhole }) => !blackhole && /^[\d.]+\/32$|\/128$/.test(prefix));
  const metrics = await node.must(["curl", "-sf", "http://127.0.0.1:9466/metrics"]);
  return {
    api: pods.flatMap(({ status }) => (status.podIPs ?? []).map(({ ip }) => ip)).sort(),
    etcd: (
      JSON.parse(await node.must([process.execPath, "--input-type=module", "-e", LIST, node.name])) as string[]
    ).sort(),
    dataplane: hosts.map(({ prefix }) => prefix.replace(/\/\d+$/, "")).sort(),
    agent: Number(/^sluice_agent_addresses\{state="used"\} (\d+)$/m.exec(metrics)?.[1]),
  };
}

/** Prints the addresses that etcd has of a node. */
const LIST = `
import { endpointKey } from "${root}/host/dist/cluster/keys.js";
import { EtcdStore } from "${root}/host/dist/store/etcd-store.js";
const store = EtcdStore.open({ endpoints: ["${SLUICE_ETCD}"] });
const addresses = [];
for await (const { entries } of store.list(endpointKey(process.argv[1], ""))) {
  for (const { value } of entries) addresses.push(...JSON.parse(value).addresses);
}
console.log(JSON.stringify(addresses));
process.exit(0);
`;

function crowd(): KubernetesObject {
  const labels = { app: "crowd" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "crowd", namespace: "default" },
    spec: {
      replicas: PODS,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          nodeSelector: { "kubernetes.io/hostname": NODE },
          terminationGracePeriodSeconds: 0,
          containers: [{ name: "pause", image: "sluice.test/pause:1", imagePullPolicy: "Never" }],
        },
      },
    },
  };
}
