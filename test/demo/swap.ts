import { setTimeout as sleep } from "node:timers/promises";
import { buildStage, exampleSource } from "../support/plugins.js";
import { IperfFlow, PingFlow } from "../support/traffic.js";
import { check } from "./expect.js";
import type { Seen } from "./report.js";
import { DEMO_FOLDER, type DemoWorld } from "./world.js";

const V1 = exampleSource("dscp-marker/assembly/v1.ts");
const V2 = exampleSource("dscp-marker/assembly/v2.ts");
const SWAPS = 10;
const PAUSE_MS = 400;

/** dscp-marker is replaced back and forth while ping (1 ms) and iperf3 run through it; its flow state carries over. */
export async function checkSwap(world: DemoWorld): Promise<Seen> {
  const [{ dataplane }] = world.nodes;
  const [from, to] = [world.pod(1, 1), world.pod(2, 1)];
  const modules = [await buildStage(V2, `${DEMO_FOLDER}/v2.wasm`), await buildStage(V1, `${DEMO_FOLDER}/v1.wasm`)];
  await dataplane.must("plugin", "load", V1);
  const stream = await IperfFlow.start(world.cleanup, from.namespace, to.namespace, to.v4, { seconds: 10 });
  const pings = new PingFlow(world.cleanup, from.namespace, to.v4, { interval: 0.001 });
  for (let i = 0; i < SWAPS; i++) {
    await sleep(PAUSE_MS);
    await dataplane.must("plugin", "swap", `dscp-marker=${modules[i % 2]}`);
  }
  await sleep(PAUSE_MS);
  const result = await pings.stop();
  const { gigabitsPerSecond } = await stream.result();
  const stage = (await dataplane.status()).native.stages.find(({ name }) => name === "dscp-marker");
  await dataplane.must("plugin", "unload", "dscp-marker");
  check(result.lost === 0, `${result.lost} of ${result.sent} echoes were lost`);
  check(gigabitsPerSecond > 0.05, `iperf3 had ${gigabitsPerSecond.toFixed(4)} Gbit/s`);
  const kept = stage?.counters.kept_sessions ?? 0;
  check(kept > 0, "no session was taken over by the new version");
  return {
    headline: `${SWAPS} swaps under ping and iperf3, packets lost: ${result.lost} (of ${result.sent} echoes at 1 ms)`,
    details: [
      "dscp-marker 1.0.0 and 2.0.0 in turns, compiled from AssemblyScript",
      `iperf3 meanwhile: ${gigabitsPerSecond.toFixed(2)} Gbit/s`,
      `sessions that the last version took over with their state: ${kept}`,
    ],
  };
}
