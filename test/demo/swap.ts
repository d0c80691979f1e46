import { setTimeout as sleep } from "node:timers/promises";
import { exampleSource } from "../support/plugins.js";
import { IperfFlow, PingFlow } from "../support/traffic.js";
import { check } from "./expect.js";
import type { DemoWorld } from "./world.js";

const V1 = exampleSource("dscp-marker/assembly/v1.ts");
const V2 = exampleSource("dscp-marker/assembly/v2.ts");
const SWAPS = 4;

/** dscp-marker is replaced back and forth while ping (1 ms) and iperf3 run through it; its flow state carries over. */
export async function checkSwap(world: DemoWorld): Promise<string> {
  const [{ dataplane }] = world.nodes;
  const [from, to] = [world.pod(1, 1), world.pod(2, 1)];
  await dataplane.must("plugin", "load", V1);
  const stream = await IperfFlow.start(world.cleanup, from.namespace, to.namespace, to.v4, { seconds: 8 });
  const pings = new PingFlow(world.cleanup, from.namespace, to.v4, { interval: 0.001 });
  await sleep(500);
  for (let i = 0; i < SWAPS; i++) {
    await dataplane.must("plugin", "swap", `dscp-marker=${i % 2 === 0 ? V2 : V1}`);
    await sleep(300);
  }
  const throughput = await stream.result();
  const result = await pings.stop();
  const stage = (await dataplane.status()).native.stages.find(({ name }) => name === "dscp-marker");
  check(result.lost === 0, `${result.lost} of ${result.sent} echoes were lost`);
  check(stage !== undefined && (stage.counters.kept_sessions ?? 0) > 0, "no session was taken over by the new version");
  await dataplane.must("plugin", "unload", "dscp-marker");
  return [
    `${SWAPS} swaps, built from source on the way: ${result.sent} echoes at 1 ms, packets lost: ${result.lost}`,
    `iperf3 meanwhile: ${throughput.gigabitsPerSecond.toFixed(2)} Gbit/s, ${throughput.retransmits} retransmits`,
    `sessions taken over by the last version: ${stage.counters.kept_sessions}`,
  ].join("\n");
}
