import { describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import { Pod } from "../pods.js";
import { serverPod } from "../workloads.js";
import type { World } from "./world.js";

const TOLD_MS = 60_000;

/** What goes wrong is told where its user looks, and disturbs nothing else. */
export function failures(world: () => World): void {
  describe("a failure", () => {
    test("of the agent: a new pod waits, its event says for what, and it runs once the agent is back", async () => {
      const { cluster, sluice, pods } = world();
      const agent = sluice.nodes.get("node1")?.agent;
      await agent?.stop("SIGKILL");
      const plan = { name: "late", node: "node1" };
      try {
        await cluster.kubectl.apply(serverPod(plan));
        const told = await eventually("the pod's event", TOLD_MS, async () => {
          const { stdout } = await cluster.kubectl.run("get", "events", "--field-selector=involvedObject.name=late");
          return stdout.includes("FailedCreatePodSandBox") ? stdout : undefined;
        });
        expect(told).toMatch(/agent/);
        expect(await pods.one.ping(pods.near.v4)).toBe(3);
      } finally {
        await agent?.start();
      }
      const [late] = await Pod.create(cluster, plan);
      expect(await late?.ping(pods.far.v6)).toBe(3);
      await cluster.kubectl.delete(serverPod(plan));
    }, 180_000);

    test("of an object: the API server says which field it is, and nothing changes", async () => {
      const { cluster, pods } = world();
      const wrong = {
        apiVersion: "sluice.dev/v1alpha1",
        kind: "IPPool",
        metadata: { name: "wrong" },
        spec: { cidr: "10.250.0.1/16" },
      };
      await expect(cluster.kubectl.apply(wrong)).rejects.toThrow(/cidr/);
      expect(await pods.one.ping(pods.far.v4)).toBe(3);
    });
  });
}
