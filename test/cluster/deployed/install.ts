import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import { NAMESPACE, uplinkKind } from "../deployment.js";
import { FAMILIES } from "../pods.js";
import { service } from "../workloads.js";
import type { World } from "./world.js";

const SETTLED_MS = 30_000;

/** What the chart makes of a cluster without any CNI. */
export function install(world: () => World): void {
  describe("installed", () => {
    test("nodes are ready, and their own interfaces are taken", async () => {
      for (const node of world().cluster.nodes) expect(await uplinkKind(node)).toBe("tap");
    });

    test.each(FAMILIES)("pods reach each other on a node and between nodes over IP%s", async (family) => {
      const { one, near, far } = world().pods;
      for (const to of [near, far]) {
        expect(await one.ping(to[family])).toBe(3);
        expect(await one.http(to[family])).toEqual({ server: to.name, client: one[family] });
      }
    });

    test("a service and cluster DNS work", async () => {
      const { cluster, pods } = world();
      await cluster.kubectl.must("label", "pod", "near", "far", "role=echo");
      await cluster.kubectl.apply(service({ name: "echo", selector: { role: "echo" } }));
      const answer = await eventually("echo answers", SETTLED_MS, () => pods.one.http("echo", 80));
      expect(["near", "far"]).toContain(answer.server);
    });

    test("the command line answers in a node's pod", async () => {
      const { deployment, cluster } = world();
      for (const node of cluster.nodes) {
        const { status, stdout, stderr } = await deployment.sluice(node, "status");
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
        expect(stdout).toContain(node.name);
      }
    });

    test("only the dataplane and its guard are privileged, and only those that need it have a token", async () => {
      interface Container {
        name: string;
        securityContext?: { privileged?: boolean; allowPrivilegeEscalation?: boolean };
        volumeMounts?: { name: string; mountPath: string }[];
      }
      interface PodList {
        items: { spec: { containers: Container[]; initContainers?: Container[] } }[];
      }
      const selector = "--selector=app.kubernetes.io/name=sluice";
      const { items } = await world().cluster.kubectl.json<PodList>(
        "get",
        "pods",
        `--namespace=${NAMESPACE}`,
        selector,
      );
      const containers = items.flatMap(({ spec }) => [...(spec.initContainers ?? []), ...spec.containers]);
      const names = (which: (container: Container) => boolean | undefined) => [
        ...new Set(containers.filter(which).map(({ name }) => name)),
      ];
      expect(names(({ securityContext }) => securityContext?.privileged).sort()).toEqual(["dataplane", "uplink-guard"]);
      const withToken = names(({ volumeMounts }) =>
        volumeMounts?.some(({ mountPath }) => mountPath.startsWith("/var/run/secrets/kubernetes.io")),
      );
      expect(withToken.sort()).toEqual(["agent", "node-install", "pki", "pki-renew", "reflector"]);
    });

    test("the API server takes the plain manifests", async () => {
      const files = readdirSync(`${root}/deploy/manifests`).flatMap((file) => [
        "-f",
        `${root}/deploy/manifests/${file}`,
      ]);
      await world().cluster.kubectl.must("apply", "--dry-run=server", "--server-side", "--force-conflicts", ...files);
    });
  });
}
