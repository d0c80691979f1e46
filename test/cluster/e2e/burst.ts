import { describe, expect, test } from "vitest";
import { pauseDeployment } from "../workloads.js";
import { agree, expected, type Knowledge, knowledgeOnce } from "./knowledge.js";
import type { World } from "./world.js";

const PODS = 100;
const NODE = "node1";
const CREATED_MS = 180_000;
const SETTLED_MS = 30_000;
const CROWD = pauseDeployment("crowd", NODE, PODS);

/** A hundred pods at once, and who knows which addresses of it. */
export function burst(world: () => World): void {
  describe("a burst of pods on a node", () => {
    test(
      "leaks and doubles nothing: API, etcd, agent and dataplane have the same addresses, then none of them",
      async () => {
        const { cluster } = world();
        const node = cluster.node(NODE);
        const before = await knowledgeOnce(world(), node, SETTLED_MS, agree);
        await cluster.kubectl.apply(CROWD);
        await cluster.kubectl.must("rollout", "status", "deployment/crowd", `--timeout=${CREATED_MS / 1000}s`);

        const full = await knowledgeOnce(world(), node, SETTLED_MS, have(before.api.pods.length + 2 * PODS));
        expect(new Set(full.api.pods).size).toBe(full.api.pods.length);
        expect(full).toEqual(expected(full));

        await cluster.kubectl.delete(CROWD);
        expect(await knowledgeOnce(world(), node, SETTLED_MS, have(before.api.pods.length))).toEqual(before);
      },
      CREATED_MS + 3 * SETTLED_MS,
    );
  });
}

/** Whether all know what the API has, and that is so many addresses. */
const have = (count: number) => (known: Knowledge) => agree(known) && known.api.pods.length === count;
