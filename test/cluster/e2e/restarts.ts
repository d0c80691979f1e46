import { describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import type { Daemon } from "../daemon.js";
import type { KubernetesObject } from "../kubectl.js";
import { Echoes } from "../traffic.js";
import { pausePod, service } from "../workloads.js";
import { agree, expected, knowledgeOnce } from "./knowledge.js";
import type { World } from "./world.js";

const PARTS = ["API server", "etcd", "reflector", "agents"] as const;
type Part = (typeof PARTS)[number];

const FORWARD: Part[] = [...PARTS];
/** Two in a normal run, all in a full one. */
const ORDERS = process.env.SLUICE_ATTACK === "full" ? permutations(PARTS) : [FORWARD, FORWARD.toReversed()];
const RETURNED_MS = 60_000;
const SETTLED_MS = 10_000;
const AGENT_LIVES = ["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:9466/healthz"];
const [FIRST, SECOND] = ["198.51.100.1/32", "198.51.100.2/32"] as const;

/** Everything but the dataplane is killed and started again while pods speak with each other and objects change. */
export function restarts(world: () => World): void {
  describe("under traffic", () => {
    const daemonsOf: Record<Part, () => Daemon[]> = {
      "API server": () => [world().cluster.control.apiServer],
      etcd: () => [world().cluster.control.sluiceEtcd],
      reflector: () => [world().sluice.reflector],
      agents: () => [...world().sluice.nodes.values()].map(({ agent }) => agent),
    };
    /** Resolves once it answers, whatever it knows then. */
    const returned: Record<Part, () => Promise<unknown>> = {
      "API server": () => world().cluster.control.apiServer.ready(),
      etcd: () => world().cluster.control.sluiceEtcd.ready(),
      reflector: () => answers("the reflector", world().cluster.control.serves("127.0.0.1:9465/healthz")),
      agents: () =>
        Promise.all(
          [...world().sluice.nodes.values()].map(({ node }) =>
            answers("the agent", async () => (await node.run(AGENT_LIVES)).status === 0),
          ),
        ),
    };

    test.each(ORDERS.map((order) => [order.join(", "), order] as const))(
      "%s: killed and back in this order, no packet is lost, and all know what has changed within 10 s",
      async (_, order) => {
        const { cluster, pods } = world();
        const { kubectl } = cluster;
        const echoes = await Echoes.start(world(), pods.one, pods.far);
        try {
          for (const part of order) {
            if (part === "API server") await firstChange(kubectl);
            await Promise.all(daemonsOf[part]().map((daemon) => daemon.stop("SIGKILL")));
          }
          for (const part of order) {
            for (const daemon of daemonsOf[part]()) daemon.launch();
            if (part !== "API server") continue;
            await returned[part]();
            await secondChange(kubectl);
          }
          await returned[order.at(-1) as Part]();
          const back = Date.now();
          const all = await Promise.all(cluster.nodes.map((node) => knowledgeOnce(world(), node, SETTLED_MS, agree)));
          console.log(`${order.join(", ")}: all know it ${Date.now() - back} ms after the last one's return`);
          for (const known of all) {
            expect(known).toEqual(expected(known));
            expect(known.api.policies).toEqual([SECOND]);
          }
          await echoes.noneLost();
        } finally {
          await echoes.stop();
          await Promise.all(Object.values(daemonsOf).flatMap((daemons) => daemons().map((daemon) => daemon.ready())));
          await restore(kubectl);
        }
      },
    );
  });
}

const FRESH = pausePod({ name: "fresh", node: "node2", labels: { app: "far" } });

function answers(what: string, ask: () => Promise<boolean>): Promise<true> {
  return eventually(`${what} answers`, RETURNED_MS, async () => ((await ask()) ? true : undefined));
}

type Kubectl = World["cluster"]["kubectl"];

const labels = (kubectl: Kubectl, label: string, ...pods: string[]) =>
  kubectl.must("label", "pod", "--overwrite", ...pods, label);
const echo = (name: string) => service({ name, selector: { app: "far" } });

async function firstChange(kubectl: Kubectl): Promise<void> {
  await kubectl.apply(policy(FIRST), echo("before"));
  await labels(kubectl, "watched=yes", "one");
}

async function secondChange(kubectl: Kubectl): Promise<void> {
  await kubectl.apply(policy(SECOND), echo("after"), FRESH);
  await kubectl.delete(echo("before"));
  await labels(kubectl, "watched=yes", "far");
}

async function restore(kubectl: Kubectl): Promise<void> {
  await kubectl.delete(policy(SECOND), echo("before"), echo("after"), FRESH);
  await labels(kubectl, "watched-", "one", "far");
}

/** Of watched pods: they let everybody in. */
function policy(marked: string): KubernetesObject {
  const from = ["0.0.0.0/0", "::/0", marked].map((cidr) => ({ ipBlock: { cidr } }));
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "watched", namespace: "default" },
    spec: { podSelector: { matchLabels: { watched: "yes" } }, policyTypes: ["Ingress"], ingress: [{ from }] },
  };
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}
