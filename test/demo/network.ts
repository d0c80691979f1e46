import { UPLINK } from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import { httpServer, ping } from "../support/traffic.js";
import { check } from "./expect.js";
import type { Seen } from "./report.js";
import type { DemoWorld } from "./world.js";

const ECHOES = 20;

export async function startNodes(world: DemoWorld): Promise<Seen> {
  await world.prepare();
  await Promise.all(world.nodes.map((node) => node.dataplane.start(node.file)));
  for (const node of world.nodes) {
    for (const [index, pod] of node.pods.entries()) {
      await httpServer(world.cleanup, pod.namespace, `pod${node.number}${index + 1}`);
    }
  }
  const statuses = await Promise.all(world.nodes.map((node) => node.dataplane.status()));
  const details = statuses.map(({ name, pid, native }) => {
    const memory = `${native.memoryMb} MiB ${native.hugepages ? "of hugepages" : "without hugepages"}`;
    return `${name}: process ${pid}, ${native.workers.length} worker, ${native.ports.length} ports, ${memory}`;
  });
  return { headline: "2 dataplane processes, 4 pods on TAP ports, joined by VXLAN", details };
}

export async function checkReachability(world: DemoWorld): Promise<Seen> {
  const from = world.pod(1, 1);
  const tunnelled = await capture(world.cleanup, world.nodes[1].namespace, UPLINK, "udp dst port 4789");
  const details: string[] = [];
  for (const [where, to] of [
    ["same node", world.pod(1, 2)],
    ["other node", world.pod(2, 1)],
  ] as const) {
    for (const address of [to.v4, to.v6]) {
      const result = await ping(from.namespace, address, { count: ECHOES, interval: 0.01 });
      check(result.lost === 0, `ping ${address} lost ${result.lost} of ${result.sent}:\n${result.text}`);
      details.push(`${where}, ${address}: ${ECHOES} of ${ECHOES} echoes, ${result.averageMs.toFixed(2)} ms`);
    }
  }
  const packets = (await tunnelled.stop()).length;
  check(packets >= 4 * ECHOES, `only ${packets} VXLAN packets crossed the link; ${4 * ECHOES} were due`);
  details.push(`${packets} VXLAN packets seen on the link`);
  return { headline: "IPv4 and IPv6, same node and other node: no echo lost", details };
}
