import { describe, expect, test } from "vitest";
import { uplinkKind } from "../deployment.js";
import { networkOf } from "./network.js";
import type { World } from "./world.js";

/** What Sluice makes on a node. */
const PATHS = [
  "/opt/cni/bin/sluice-cni",
  "/etc/cni/net.d/10-sluice.conflist",
  "/run/sluice/*",
  "/run/netns/sluice-*",
  "/var/lib/sluice/*",
  "/var/cache/sluice/*",
  "/dev/shm/sluice-*",
];

/** Afterwards there is no Sluice. */
export function uninstall(world: () => World): void {
  describe("uninstalled", () => {
    test("nodes have their interfaces again and are as they were, and the API has none of its objects", async () => {
      const { cluster, deployment, networkBefore } = world();
      const { kubectl } = cluster;
      // Pods without a network of their own are of no use any more; with them go their interfaces.
      await kubectl.must("delete", "pods", "--all", "--now");
      await kubectl.must("delete", "deployment", "coredns", "--namespace=kube-system", "--cascade=foreground");
      await deployment.uninstall();
      for (const node of cluster.nodes) {
        expect(await uplinkKind(node)).toBe("own");
        const left = await node.run(["sh", "-c", `ls -d ${PATHS.join(" ")} 2>/dev/null`]);
        expect(left.stdout).toBe("");
        expect(await networkOf(node)).toEqual(networkBefore.get(node.name));
      }
      const kinds = "all,secrets,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings";
      const ours = "--selector=app.kubernetes.io/name=sluice";
      expect(await kubectl.must("get", kinds, "--all-namespaces", ours, "--output=name")).toBe("");
      expect(await kubectl.must("get", "nodeconfigs,ippools", "--output=name")).toBe("");
    });
  });
}
