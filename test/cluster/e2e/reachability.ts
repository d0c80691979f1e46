import { describe, expect, test } from "vitest";
import { OUTSIDE } from "../address-plan.js";
import { FAMILIES } from "../pods.js";
import { HTTP_PORT, UDP_PORT } from "../workloads.js";
import { OUTSIDE_NAME, type World } from "./world.js";

/** Everyone who may reach a pod reaches it, and is seen with the right address. */
export function reachability(world: () => World): void {
  describe.each(FAMILIES)("over IP%s", (family) => {
    const pod = (name: "one" | "near" | "far") => world().pods[name];

    test.each(["near", "far"] as const)(
      "a pod reaches one that is %s: echoes, HTTP, UDP, with its own address",
      async (to) => {
        const [from, target] = [pod("one"), pod(to)];
        expect(await from.ping(target[family])).toBe(3);
        expect(await from.http(target[family])).toEqual({ server: to, client: from[family] });
        expect(await from.udp(target[family])).toBe(to);
      },
    );

    test("a pod reaches itself by its own address", async () => {
      const { one } = world().pods;
      expect(await one.http(one[family])).toEqual({ server: "one", client: one[family] });
    });

    test("a node reaches its own pods and another node's", async () => {
      for (const to of ["one", "far"] as const)
        expect(await world().httpFromNode("node1", pod(to)[family], HTTP_PORT)).toMatchObject({ server: to });
    });

    test("a pod reaches its own node and another one", async () => {
      for (const node of world().cluster.nodes) expect(await pod("one").ping(node.addresses[family])).toBe(3);
    });

    test("a pod reaches the outside, where it has its node's address", async () => {
      const [node1] = world().cluster.nodes;
      const seen = await pod("one").http(OUTSIDE[family]);
      expect(seen).toEqual({ server: OUTSIDE_NAME, client: node1?.addresses[family] });
      expect(await pod("one").udp(OUTSIDE[family], UDP_PORT)).toBe(OUTSIDE_NAME);
    });

    test("the outside reaches a pod where it is routed, with its own address", async () => {
      const { outside } = world().cluster.wire;
      const target = pod("far")[family];
      const [, node2] = world().cluster.nodes;
      const route = ["route", "replace", target, "via", node2?.addresses[family] ?? ""];
      await outside.ip(...route);
      expect(await world().httpFromOutside(target, HTTP_PORT)).toEqual({ server: "far", client: OUTSIDE[family] });
    });
  });
}
