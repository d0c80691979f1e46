import { afterAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import { FAMILIES, type Family } from "../pods.js";
import { nodeConfig } from "../sluice.js";
import { Echoes } from "../traffic.js";
import type { World } from "./world.js";

const CHANGED_MS = 20_000;
/** What nodes that do not change at once may cost. */
const MOST_LOST_MS = 1_000;
const LOOK_SECONDS = "0.3";

/** What is between nodes, by pcap's filters, and the pods' MTU. */
const TRANSPORTS: [transport: string, isPlain: boolean, mtu: string][] = [
  ["routed", true, "1500"],
  ["vxlan", false, "1450"],
];

/** The NodeConfig's transport changes while pods of two nodes speak with each other. */
export function transport(world: () => World): void {
  describe("the transport", () => {
    afterAll(() => world().cluster.kubectl.apply(nodeConfig()));

    test.each(TRANSPORTS)("becomes %s at run time, after a short gap", async (name, isPlain, mtu) => {
      const { cluster, pods } = world();
      const echoes = await Echoes.start(world(), pods.one, pods.far);
      try {
        await cluster.kubectl.apply(nodeConfig({ transport: name }));
        await eventually(`${name} on the wire`, CHANGED_MS, async () => {
          const plain = await Promise.all(FAMILIES.map((family) => frames(world(), plainOf(world(), family))));
          const tunnelled = await frames(world(), "udp port 4789");
          const isSo = plain.every((count) => count > 0 === isPlain) && tunnelled > 0 === !isPlain;
          return isSo ? true : undefined;
        });
        for (const { sent, lost, lostMs } of await echoes.counts()) {
          console.log(`${name}: ${lost} of ${sent} echoes lost: ${lostMs} ms`);
          expect(lostMs).toBeLessThan(MOST_LOST_MS);
        }
        for (const pod of [pods.one, pods.far])
          expect((await pod.run("cat", "/sys/class/net/eth0/mtu")).stdout.trim()).toBe(mtu);
        for (const family of FAMILIES)
          expect(await pods.one.http(pods.far[family])).toEqual({ server: "far", client: pods.one[family] });
      } finally {
        await echoes.stop();
      }
    });
  });
}

/** A pcap filter of packets with pods' addresses that are in no tunnel. */
const plainOf = ({ pods }: World, family: Family) => `host ${pods.one[family]} and host ${pods.far[family]}`;

/** How many frames of a node's link match a filter within a moment. */
async function frames({ cluster }: World, filter: string): Promise<number> {
  const tcpdump = ["tcpdump", "-n", "--immediate-mode", "-i", "node1", ...filter.split(" ")];
  const { stdout } = await cluster.wire.namespace.run(["timeout", "--signal=INT", LOOK_SECONDS, ...tcpdump]);
  return stdout.split("\n").filter(Boolean).length;
}
