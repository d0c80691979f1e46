import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import { CONTROL } from "../address-plan.js";
import { NAMESPACE } from "../deployment.js";
import type { ClusterNode } from "../node.js";
import { KUBERNETES } from "../programs.js";
import { serverPod } from "../workloads.js";
import type { World } from "./world.js";

/** Of the chart's etcd. */
const METRICS_PORT = 12381;
const LOST_MS = 30_000;
const [PORT, PEER_PORT, HEALTH_PORT] = [22379, 22380, 22381];
const SECRET = "external-etcd";

/** Other ways to install, once the first one is gone: as much of each as shows that pods on two nodes reach each other. */
export function otherwise(world: () => World): void {
  describe("installed otherwise", () => {
    afterEach(() => world().cluster.kubectl.must("delete", "pods", "--all", "--now"));

    /** Makes the second pod, on node2. */
    const isReachedFrom = async (from: string, name: string) => {
      const { kubectl } = world().cluster;
      await kubectl.apply(serverPod({ name, node: "node2" }));
      await kubectl.must("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s");
      const address = await kubectl.must("get", "pod", name, "--output=jsonpath={.status.podIP}");
      const { stdout } = await kubectl.exec(from, "ping", "-c", "3", "-i", "0.1", "-W", "2", address);
      expect(stdout).toContain(" 3 received");
    };

    const podsReachEachOther = async () => {
      const { cluster } = world();
      await cluster.ready();
      await cluster.kubectl.apply(serverPod({ name: "one", node: "node1" }));
      await cluster.kubectl.must("wait", "--for=condition=Ready", "pod/one", "--timeout=60s");
      await isReachedFrom("one", "far");
    };

    test("from deploy/manifests, without Helm, and removed so", async () => {
      const { cluster, deployment } = world();
      try {
        await deployment.installManifests();
        await podsReachEachOther();
      } finally {
        await cluster.kubectl.must("delete", "pods", "--all", "--now");
        await deployment.removeManifests();
      }
    }, 180_000);

    test("with an etcd that exists, by TLS", async () => {
      const { cluster, deployment } = world();
      const { kubectl } = cluster;
      const url = await startEtcd(world());
      const { certificates } = cluster.control;
      const client = await certificates.client("etcd-client", "sluice");
      const files = {
        "ca.crt": certificates.authority.certificate,
        "tls.crt": client.certificate,
        "tls.key": client.key,
      };
      const from = Object.entries(files).map(([name, file]) => `--from-file=${name}=${file}`);
      await kubectl.must("create", "secret", "generic", SECRET, `--namespace=${NAMESPACE}`, ...from);
      await deployment.installWith({ endpoints: [url], secret: SECRET });
      await podsReachEachOther();
    }, 180_000);

    test("with an etcd of three members, one of which is lost with its data", async () => {
      const { cluster, deployment } = world();
      const third = await cluster.addNode();
      await Promise.all([deployment.uninstall(), deployment.startNode(third)]);
      await deployment.installWithMembers();
      await podsReachEachOther();
      for (const node of cluster.nodes) {
        expect(await membership(node)).toEqual({ hasLeader: true, peers: 2 });
        for (const port of [12379, 12380]) expect(await answersStrangers(node, port)).toBe(false);
      }

      await third.must(["rm", "-rf", "/var/lib/sluice-etcd/etcd"]);
      await deployment.kill(third, "etcd");
      await eventually("it is away", LOST_MS, async () => ((await isHealthy(third)) ? undefined : true));
      // Without a leader, where that was the one lost, until they have chosen another.
      await areHealthy(cluster.nodes.slice(0, 2));
      await isReachedFrom("one", "later");

      const granted = await nodesGranted(world());
      for (const node of cluster.nodes) await node.must(["rm", "-rf", "/var/lib/sluice-etcd/etcd"]);
      await deployment.recoverMembers();
      await areHealthy(cluster.nodes);
      await isReachedFrom("later", "after");
      expect(await nodesGranted(world())).toEqual(granted);
    }, 300_000);
  });
}

/** What a member says on its node: whether there is a leader, and how many others it sends to. */
async function membership(node: ClusterNode): Promise<{ hasLeader: boolean; peers: number }> {
  const text = await node.must(["curl", "-sf", `http://127.0.0.1:${METRICS_PORT}/metrics`]);
  const peers = [...text.matchAll(/^etcd_network_peer_sent_bytes_total\{To="[0-9a-f]+"\} /gm)].length;
  return { hasLeader: /^etcd_server_has_leader 1$/m.test(text), peers };
}

async function isHealthy(node: ClusterNode): Promise<boolean> {
  return (await node.run(["curl", "-sf", "--max-time", "3", `http://127.0.0.1:${METRICS_PORT}/health`])).status === 0;
}

async function areHealthy(members: readonly ClusterNode[]): Promise<void> {
  for (const node of members)
    await eventually(`${node.name}'s member is healthy`, LOST_MS, async () => (await isHealthy(node)) || undefined);
}

/** What the reflector has given each node. */
async function nodesGranted({ cluster }: World): Promise<Record<string, string | undefined>> {
  interface Nodes {
    items: { metadata: { name: string; annotations?: Record<string, string> } }[];
  }
  const { items } = await cluster.kubectl.json<Nodes>("get", "nodes");
  return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.annotations?.["sluice.dev/granted"]]));
}

/** Whether it answers somebody without a certificate, by TLS or without. */
async function answersStrangers(node: ClusterNode, port: number): Promise<boolean> {
  const asked = ["http", "https"].map((scheme) =>
    node.run(["curl", "-sk", "--max-time", "3", `${scheme}://${node.addresses.v4}:${port}/version`]),
  );
  return (await Promise.all(asked)).some(({ status, stdout }) => status === 0 && stdout.includes("etcdserver"));
}

/** One that takes clients with a certificate only. @returns its URL */
async function startEtcd({ cluster: { control } }: World): Promise<string> {
  const { certificates } = control;
  const own = await certificates.etcd("external-etcd");
  const url = `https://${CONTROL.v4}:${PORT}`;
  const peers = `http://127.0.0.1:${PEER_PORT}`;
  const etcd = control.daemon({
    name: "external-etcd",
    argv: [
      ...[KUBERNETES, "etcd", "--name=external", `--data-dir=${join(control.folder, "external-etcd")}`],
      ...[`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, "--client-cert-auth"],
      ...[`--cert-file=${own.certificate}`, `--key-file=${own.key}`],
      ...[`--trusted-ca-file=${certificates.authority.certificate}`],
      ...[`--listen-peer-urls=${peers}`, `--initial-advertise-peer-urls=${peers}`],
      ...[`--initial-cluster=external=${peers}`, `--listen-metrics-urls=http://127.0.0.1:${HEALTH_PORT}`],
      "--auto-compaction-retention=5m",
    ],
    ready: control.serves(`127.0.0.1:${HEALTH_PORT}/health`),
    readyMs: 30_000,
  });
  await etcd.start();
  return url;
}
