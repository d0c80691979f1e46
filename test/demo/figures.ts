import { iperf } from "../support/traffic.js";
import { check } from "./expect.js";
import type { DemoWorld } from "./world.js";

const SECONDS = 3;

export async function measureThroughput(world: DemoWorld): Promise<string> {
  const from = world.pod(1, 1);
  const lines: string[] = [];
  for (const [where, to] of [
    ["same node", world.pod(1, 2)],
    ["across nodes, VXLAN", world.pod(2, 1)],
  ] as const) {
    for (const address of [to.v4, to.v6]) {
      const result = await iperf(world.cleanup, from.namespace, to.namespace, address, { seconds: SECONDS });
      check(result.gigabitsPerSecond > 0.05, `${where}, ${address}: ${result.gigabitsPerSecond} Gbit/s`);
      const family = address.includes(":") ? "IPv6" : "IPv4";
      lines.push(
        `${where}, ${family}: ${result.gigabitsPerSecond.toFixed(2)} Gbit/s, ${result.retransmits} retransmits`,
      );
    }
  }
  return lines.join("\n");
}

/** Since the stages were last replaced; each window's upkeep included. */
export async function measureCycles(world: DemoWorld): Promise<string> {
  const lines: string[] = [];
  for (const node of world.nodes) {
    const { native } = await node.dataplane.status();
    for (const stage of native.stages.filter(({ packets }) => packets > 0)) {
      const perPacket = (stage.cycles / stage.packets).toFixed(0);
      const burst = (stage.packets / stage.bursts).toFixed(1);
      lines.push(
        `${native.stages.length > 0 ? `node${node.number} ` : ""}${stage.name}: ${perPacket} cycles a packet (${stage.packets} packets, ${burst} a burst)`,
      );
    }
  }
  check(lines.length > 0, "no stage has seen a packet");
  return lines.join("\n");
}
