import { describe, expect, test } from "vitest";
import type { Daemon } from "../daemon.js";
import { FAMILIES, type Pod } from "../pods.js";
import type { World } from "./world.js";

const INTERVAL = "0.005"; // seconds between echoes

/** Everything but the dataplane is killed and started again while pods speak with each other. */
export function restarts(world: () => World): void {
  describe("under traffic", () => {
    test.each([
      ["the agent", ({ sluice }: World) => [...sluice.nodes.values()].map(({ agent }) => agent)],
      ["the reflector", ({ sluice }: World) => [sluice.reflector]],
      ["Sluice's etcd", ({ cluster }: World) => [cluster.control.sluiceEtcd]],
      ["the API server", ({ cluster }: World) => [cluster.control.apiServer]],
    ] as [string, (world: World) => Daemon[]][])(
      "%s is killed and comes back: no packet is lost",
      async (_, daemonsOf) => {
        const { one, far } = world().pods;
        const streams = await Promise.all(FAMILIES.map((family) => echoes(world(), one, far[family])));
        try {
          await Promise.all(daemonsOf(world()).map((daemon) => daemon.restart("SIGKILL")));
        } finally {
          await Promise.all(streams.map((stream) => stream.stop("SIGINT")));
        }
        for (const stream of streams) {
          const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stream.logTail(4)) ?? [];
          expect(Number(sent)).toBeGreaterThan(50);
          expect(Number(sent) - Number(received)).toBeLessThanOrEqual(1); // the last one is still under way
        }
      },
    );
  });
}

/** Pings from a pod until it is stopped. It runs beside the container: kubectl's way in is the API server's. */
async function echoes({ cluster }: World, from: Pod, target: string): Promise<Daemon> {
  const node = cluster.nodes.find(({ name }) => name === from.node);
  if (node === undefined) throw new Error(`no node ${from.node}`);
  const script = `for n in $(ls /run/netns); do ip -n $n -o address | grep -q " ${from.v4}/" && echo $n; done`;
  const netns = (await node.run(["sh", "-c", script])).stdout.trim();
  const ping = node.daemon({
    name: `ping-${Date.now()}-${target.replaceAll(/[:.]/g, "-")}`,
    argv: ["ip", "netns", "exec", netns, "ping", "-i", INTERVAL, "-q", target],
    ready: async () => true,
    readyMs: 5_000,
  });
  await ping.start();
  return ping;
}
