import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import type { ClusterNode } from "../node.js";
import { Pod } from "../pods.js";
import { CNI_CONFIGURATION, CNI_FOLDER, ipPool } from "../sluice.js";
import { Echoes } from "../traffic.js";
import { type PodPlan, pauseDeployment, serverPod } from "../workloads.js";
import type { World } from "./world.js";

const TOLD_MS = 60_000;
/** Of four blocks, each with addresses for two pods, node1 has three at most. */
const SMALL = ipPool("small", "10.251.0.0/28", 30);
const FURTHER = ipPool("further", "10.252.0.0/24");
const SQUEEZED = pauseDeployment("squeezed", "node1", 7);
const ROLLED_OUT = ["rollout", "status", "deployment/squeezed", "--timeout=60s"];

/** What goes wrong is told where its user looks, and disturbs nothing else. */
export function failures(world: () => World): void {
  describe("a failure", () => {
    let echoes: Echoes | undefined;

    beforeAll(async () => {
      const { one, far } = world().pods;
      echoes = await Echoes.start(world(), one, far);
    });

    afterAll(() => echoes?.stop());

    /** What a pod's events, or those of all pods, say of a failed sandbox. */
    const told = (pattern: RegExp, pod?: string) =>
      eventually(`an event like ${pattern}`, TOLD_MS, async () => {
        const fields = ["reason=FailedCreatePodSandBox", ...(pod === undefined ? [] : [`involvedObject.name=${pod}`])];
        const { stdout } = await world().cluster.kubectl.run("get", "events", `--field-selector=${fields.join(",")}`);
        return pattern.test(stdout) ? true : undefined;
      });

    test.concurrent("of room: a pod waits, its event says that the pool is full, and more room starts it", async () => {
      const { kubectl } = world().cluster;
      const disable = (disabled: boolean) =>
        kubectl.must("patch", "ippool", "pods-v4", "--type=merge", "-p", JSON.stringify({ spec: { disabled } }));
      try {
        await kubectl.apply(SMALL);
        await disable(true);
        const isFull = `--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Full`;
        await kubectl.must("wait", "ippool/small", isFull, "--timeout=30s");
        await kubectl.apply(SQUEEZED);
        await told(/no block is left of IPPool small: make another IPPool, or remove pods/);
        // kubelet tells a pod's state some time after the event.
        await eventually("a pod that waits", TOLD_MS, async () => {
          const pods = await kubectl.must("get", "pods", "--selector=app=squeezed");
          return pods.includes("ContainerCreating") ? true : undefined;
        });
        await kubectl.apply(FURTHER);
        await kubectl.must(...ROLLED_OUT);
      } finally {
        await disable(false);
        await kubectl.delete(SQUEEZED, SMALL, FURTHER);
      }
    });

    test.concurrent("of the CNI's configuration, then of the agent: pods wait, events say for what, then they run", async () => {
      const { cluster, sluice } = world();
      const node = cluster.node("node2");
      const { agent } = sluice.nodes.get(node.name) ?? {};
      const plans = ["misconfigured", "alone"].map((name): PodPlan => ({ name, node: node.name }));
      const [misconfigured, alone] = plans.map(serverPod) as [KubernetesObject, KubernetesObject];
      const good = readFileSync(`${root}/deploy/cni/${CNI_CONFIGURATION}`, "utf8");
      const configure = (text: string) => node.writeFile(`${CNI_FOLDER}/${CNI_CONFIGURATION}`, text);
      try {
        await configure(good.replace('"type"', '"socket": "cni.sock", "type"'));
        await cluster.kubectl.apply(misconfigured);
        await told(/socket.*absolute path/, "misconfigured");
        await configure(good);
        await agent?.stop("SIGKILL");
        await cluster.kubectl.apply(alone);
        await told(/the node's agent cannot be asked: is it running\?/, "alone");
        await node.must(["ip", "netns", "add", "by-hand"]);
        expect(await addByHand(node, "/run/netns/by-hand")).toMatchObject({ code: 11 });
      } finally {
        await configure(good);
        await node.run(["ip", "netns", "delete", "by-hand"]);
        await agent?.start();
      }
      const [late] = await Pod.create(cluster, ...plans);
      expect(await late?.ping(world().pods.one.v6)).toBe(3);
      await cluster.kubectl.delete(misconfigured, alone);
    });

    test.concurrent("of a call: the error says which part of it is wrong", async () => {
      const node = world().cluster.node("node1");
      expect(await addByHand(node, "/run/netns/none")).toMatchObject({
        code: 8,
        msg: "CNI_NETNS: /run/netns/none is no network namespace",
      });
    });

    test.concurrent("of an object: the API server says which field it is", async () => {
      await expect(world().cluster.kubectl.apply(ipPool("wrong", "10.250.0.1/16"))).rejects.toThrow(/cidr/);
    });

    test("disturbs nothing else on its node: no packet of others is lost", async () => {
      await echoes?.noneLost();
    });
  });
}

/** ADD as a runtime calls it. */
async function addByHand(node: ClusterNode, netns: string): Promise<{ code: number; msg: string }> {
  const variables = { COMMAND: "ADD", CONTAINERID: "by-hand", IFNAME: "eth0", NETNS: netns, PATH: "/opt/cni/bin" };
  const environment = Object.entries(variables).map(([name, value]) => `CNI_${name}=${value}`);
  const input = JSON.stringify({ cniVersion: "1.0.0", name: "sluice", type: "sluice-cni" });
  const { stdout } = await node.run(["env", ...environment, "/opt/cni/bin/sluice-cni"], { input });
  return JSON.parse(stdout) as { code: number; msg: string };
}
