import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AddResponse } from "../../host/src/agent/cni/protocol.js";
import { blockKey, COMPLETE_KEY, endpointKey, mirrorKey } from "../../host/src/cluster/keys.js";
import type { EtcdStore } from "../../host/src/store/etcd-store.js";
import { Cleanup } from "../support/cleanup.js";
import { ClusterNode } from "../support/cluster-node.js";
import { startEtcdStore } from "../support/etcd-store.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { ping } from "../support/traffic.js";

// Many pods at once on one node, as after its restart.

const NODE = "busy";
const AT_ONCE = 12;
const cleanup = new Cleanup();
let store: EtcdStore;
let node: ClusterNode;

beforeAll(async () => {
  const started = await startEtcdStore(cleanup);
  store = started.store;
  const put = (key: string, record: object) => store.put(key, JSON.stringify(record));
  await put(mirrorKey("nodes", NODE), { name: NODE, uid: "u", labels: {}, annotations: {}, addresses: ["172.31.6.1"] });
  await put(mirrorKey("nodeconfigs", "default"), {
    ...{ name: "default", uid: "u", generation: 1 },
    spec: { memory: { size: 128, hugepages: "never" }, maxFlows: 4096 },
  });
  for (const [pool, cidr] of [
    ["v4", "10.64.1.0/25"],
    ["v6", "fd64::100/121"],
  ] as const) {
    await put(mirrorKey("ippools", pool), { name: pool, uid: pool, generation: 1, spec: { cidr } });
    await put(blockKey(pool, cidr), { pool, block: cidr, node: NODE });
  }
  await put(COMPLETE_KEY, {});
  const namespace = await Namespace.create(cleanup, ownName("aa"));
  const folder = temporaryFolder(cleanup);
  node = new ClusterNode({ name: NODE, namespace, folder, etcd: started.etcd.endpoint }, cleanup);
  node.relayEtcd();
  node.startDataplane();
  await node.startAgent();
  await node.served();
});
afterAll(() => cleanup.close());

let containers = 0;

interface Added {
  readonly containerId: string;
  readonly namespace: Namespace | undefined;
  readonly done: Promise<AddResponse>;
}

/** @param namespace absent: a file that is no namespace */
function add(namespace: Namespace | undefined): Added {
  const containerId = `container${++containers}`;
  const attachment = { containerId, ifname: "eth0" };
  const netns = namespace?.path ?? "/etc/hostname";
  return { containerId, namespace, done: node.cni("add", { attachment, netns, pod: null, portMappings: [] }) };
}

const namespaces = (count: number) =>
  Promise.all(Array.from({ length: count }, () => Namespace.create(cleanup, ownName(`aa${++names}`))));
let names = 0;

const addressesOf = ({ interfaces }: AddResponse): string[] =>
  interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address.split("/")[0] as string));

describe("pods that are added at once", () => {
  test("each have addresses of their own, and reach each other as soon as they are told of", async () => {
    const pods = await namespaces(AT_ONCE);
    const added = pods.map(add);
    const answers = await Promise.all(added.map(({ done }) => done));
    const addresses = answers.map(addressesOf);
    expect(new Set(addresses.flat()).size).toBe(2 * AT_ONCE);
    await Promise.all(
      pods.flatMap((from, index) =>
        (addresses[(index + 1) % AT_ONCE] as string[]).map(async (to) => {
          const result = await ping(from, to);
          expect(result, result.text).toMatchObject({ lost: 0 });
        }),
      ),
    );
  });

  test("do not fail with those among them that can't be, which leave nothing behind", async () => {
    const before = new Set((await node.status()).native.ports.map(({ name }) => name));
    const pods = await namespaces(AT_ONCE);
    const added = pods.flatMap((pod, index) => (index % 4 === 1 ? [add(pod), add(undefined)] : [add(pod)]));
    const ended = await Promise.allSettled(added.map(({ done }) => done));
    for (const [index, { containerId, namespace }] of added.entries()) {
      const { status } = ended[index] as PromiseSettledResult<AddResponse>;
      expect(status, containerId).toBe(namespace === undefined ? "rejected" : "fulfilled");
      if (namespace !== undefined) {
        expect(await namespace.must(["ip", "-o", "link"])).toContain("eth0");
        continue;
      }
      await eventually(`etcd to be without ${containerId}`, 10_000, async () =>
        (await store.get(endpointKey(NODE, `${containerId}/eth0`))) === undefined ? true : undefined,
      );
    }
    const ports = (await node.status()).native.ports.filter(({ name }) => !before.has(name));
    expect(ports).toHaveLength(AT_ONCE);
    expect(ports.every(({ up }) => up)).toBe(true);
    const used = /^sluice_agent_addresses\{state="used"\} (\d+)$/m.exec(await node.metrics())?.[1];
    expect(Number(used)).toBe(2 * 2 * AT_ONCE); // with those of the test before
  });
});
