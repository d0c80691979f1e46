import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import { DNS_SERVICE } from "../address-plan.js";
import { FAMILIES, type Pod } from "../pods.js";
import { service } from "../workloads.js";
import type { World } from "./world.js";

const SETTLED_MS = 20_000;
const CALLS = 12;

interface ServiceObject {
  spec: { clusterIPs: string[]; ports: { name: string; nodePort: number }[] };
}

/** ClusterIP, NodePort and cluster DNS, with nobody but Sluice to translate. */
export function services(world: () => World): void {
  describe("services", () => {
    const echo = service({ name: "echo", selector: { role: "echo" }, type: "NodePort" });
    let addresses: Record<"v4" | "v6", string>;
    let nodePort: number;

    beforeAll(async () => {
      const { cluster, pods } = world();
      await cluster.kubectl.must("label", "pod", "near", "far", "role=echo");
      await cluster.kubectl.apply(echo);
      const { spec } = await cluster.kubectl.json<ServiceObject>("get", "service", "echo");
      const [v4 = "", v6 = ""] = spec.clusterIPs;
      addresses = { v4, v6 };
      nodePort = spec.ports.find(({ name }) => name === "http")?.nodePort ?? 0;
      for (const address of [v4, v6])
        await eventually(`${address} answers`, SETTLED_MS, async () => (await pods.one.http(address, 80)) && true);
    });

    afterAll(() => world().cluster.kubectl.delete(echo));

    describe.each(FAMILIES)("over IP%s", (family) => {
      test("a service address is answered by all of its pods, on both nodes, which see the client's own address", async () => {
        const { one } = world().pods;
        const answers = await serversOf(one, addresses[family], 80);
        expect(answers).toEqual(new Set(["near", "far"]));
        expect(await one.http(addresses[family], 80)).toMatchObject({ client: one[family] });
        expect(["near", "far"]).toContain(await one.udp(addresses[family], 81));
      });

      test("a pod of the service calls it, and is answered by itself too", async () => {
        expect(await serversOf(world().pods.near, addresses[family], 80)).toEqual(new Set(["near", "far"]));
      });

      test("a node's own processes call it, whether the pod that answers is on the node or not", async () => {
        const servers = new Set<string | undefined>();
        for (let call = 0; call < CALLS; call++)
          servers.add((await world().httpFromNode("node1", addresses[family], 80))?.server);
        expect(servers).toEqual(new Set(["near", "far"]));
      });

      test("its node port is answered on every node, from outside and from a pod", async () => {
        for (const node of world().cluster.nodes) {
          const seen = await world().httpFromOutside(node.addresses[family], nodePort);
          expect(["near", "far"]).toContain(seen?.server);
          const own = await world().pods.one.http(node.addresses[family], nodePort);
          expect(["near", "far"]).toContain(own?.server);
        }
      });

      test("cluster DNS knows its address", async () => {
        const type = family === "v4" ? "A" : "AAAA";
        const { stdout } = await world().pods.one.run(
          ...["nslookup", `-type=${type}`, "echo.default.svc.cluster.local", DNS_SERVICE[family]],
        );
        expect(stdout).toContain(`Address: ${addresses[family]}`);
      });
    });

    test("a pod finds a service by its short name", async () => {
      const seen = await world().pods.one.http("echo", 80);
      expect(["near", "far"]).toContain(seen?.server);
    });

    test("a pod that is no longer the service's is no longer called, a moment after", async () => {
      const { cluster, pods } = world();
      await cluster.kubectl.must("label", "pod", "far", "role-");
      await eventually("far is not called any more", SETTLED_MS, async () => {
        const servers = await serversOf(pods.one, addresses.v4, 80);
        return servers.size === 1 && servers.has("near") ? true : undefined;
      });
    });
  });
}

/** Who answers several calls. */
async function serversOf(pod: Pod, address: string, port: number): Promise<Set<string | undefined>> {
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${port}/hostname`;
  const script = `for i in $(seq ${CALLS}); do /bin/curl -gsS --max-time 5 -w '\\n' '${url}' || echo nobody; done`;
  const { stdout } = await pod.run("sh", "-c", script);
  return new Set(stdout.trim().split("\n"));
}
