import { UPLINK } from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import { httpServer, ping } from "../support/traffic.js";
import { check } from "./expect.js";
import type { DemoWorld } from "./world.js";

export async function startNodes(world: DemoWorld): Promise<string> {
  await world.prepare();
  await Promise.all(world.nodes.map((node) => node.dataplane.start(node.file)));
  for (const node of world.nodes) {
    for (const [index, pod] of node.pods.entries()) {
      await httpServer(world.cleanup, pod.namespace, `pod${node.number}${index + 1}`);
    }
  }
  const statuses = await Promise.all(world.nodes.map((node) => node.dataplane.status()));
  return statuses
    .map(({ name, pid, native }) => {
      const memory = `${native.memoryMb} MiB ${native.hugepages ? "of hugepages" : "without hugepages"}`;
      return `${name}: process ${pid}, ${native.workers.length} worker, ${native.ports.length} ports, ${memory}`;
    })
    .join("\n");
}

export async function checkReachability(world: DemoWorld): Promise<string> {
  const from = world.pod(1, 1);
  const tunnelled = await capture(world.cleanup, world.nodes[1].namespace, UPLINK, "udp dst port 4789");
  const lines: string[] = [];
  for (const [where, to] of [
    ["same node", world.pod(1, 2)],
    ["other node", world.pod(2, 1)],
  ] as const) {
    for (const address of [to.v4, to.v6]) {
      const result = await ping(from.namespace, address, { count: 20, interval: 0.01 });
      check(result.lost === 0, `ping ${address} lost ${result.lost} of ${result.sent}:\n${result.text}`);
      lines.push(`${where}, ${address}: 20 of 20 echoes, ${result.averageMs.toFixed(2)} ms`);
    }
  }
  const packets = (await tunnelled.stop()).length;
  check(packets >= 80, `only ${packets} VXLAN packets crossed the link; 80 were due`);
  return [...lines, `${packets} VXLAN packets seen on the link`].join("\n");
}
