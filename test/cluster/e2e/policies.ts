import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import { FAMILIES, type Pod } from "../pods.js";
import { HTTP_PORT, UDP_PORT } from "../workloads.js";
import type { World } from "./world.js";

const SETTLED_MS = 20_000;
/** Whoever is refused is asked again until it is so. */
const REFUSED_SECONDS = 1;

/** NetworkPolicy objects, as kubectl applies them, to what passes between pods. */
export function policies(world: () => World): void {
  describe("network policies", () => {
    afterEach(() => world().cluster.kubectl.must("delete", "networkpolicy", "--all"));

    const reaches = async (from: Pod, to: Pod, seconds?: number) => {
      const answers = await Promise.all(FAMILIES.map((family) => from.http(to[family], HTTP_PORT, seconds)));
      return answers.map((answer) => answer !== undefined);
    };
    const becomes = (from: Pod, to: Pod, expected: boolean) =>
      eventually(`${from.name} ${expected ? "reaches" : "does not reach"} ${to.name}`, SETTLED_MS, async () =>
        (await reaches(from, to, expected ? undefined : REFUSED_SECONDS)).every((reached) => reached === expected)
          ? true
          : undefined,
      );

    test("a pod with a policy that allows one peer is reached by that one alone, and kubelet still finds it ready", async () => {
      const { cluster, pods } = world();
      await cluster.kubectl.apply(
        policy({ app: "far" }, { ingress: [{ from: [{ podSelector: { matchLabels: { app: "near" } } }] }] }),
      );
      await becomes(pods.one, pods.far, false);
      expect(await reaches(pods.near, pods.far)).toEqual([true, true]);
      expect(await cluster.kubectl.must("get", "pod", "far")).toContain("1/1");
    });

    test("ports and prefixes are told apart", async () => {
      const { cluster, pods } = world();
      const from = FAMILIES.map((family) => ({ ipBlock: { cidr: hostPrefix(pods.one[family]) } }));
      await cluster.kubectl.apply(
        policy({ app: "far" }, { ingress: [{ from, ports: [{ port: HTTP_PORT, protocol: "TCP" }] }] }),
      );
      await becomes(pods.near, pods.far, false);
      expect(await reaches(pods.one, pods.far)).toEqual([true, true]);
      expect(await pods.one.udp(pods.far.v4, UDP_PORT, REFUSED_SECONDS)).toBeUndefined();
    });

    test("a policy on a pod's own connections holds for those, and answers to others pass", async () => {
      const { cluster, pods } = world();
      await cluster.kubectl.apply(policy({ app: "one" }, { policyTypes: ["Egress"], egress: [] }));
      await becomes(pods.one, pods.far, false);
      expect(await reaches(pods.far, pods.one)).toEqual([true, true]);
    });

    test("without a policy all reach all again", async () => {
      const { cluster, pods } = world();
      const denyAll = policy({ app: "far" }, { ingress: [] });
      await cluster.kubectl.apply(denyAll);
      await becomes(pods.one, pods.far, false);
      await cluster.kubectl.delete(denyAll);
      await becomes(pods.one, pods.far, true);
    });
  });
}

function policy(matchLabels: Record<string, string>, spec: Record<string, unknown>): KubernetesObject {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "policy", namespace: "default" },
    spec: { podSelector: { matchLabels }, policyTypes: ["Ingress"], ...spec },
  };
}

const hostPrefix = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`;
