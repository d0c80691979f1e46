// What a node without traffic costs.
import { setTimeout as sleep } from "node:timers/promises";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { removeLeftovers } from "../support/leftovers.js";
import { oneNode } from "../support/topology.js";
import { cpuTime } from "./cpu-time.js";
import { median } from "./median.js";
import type { Figure } from "./result.js";

export const idleBenchmarks: readonly string[] = ["idle"];

const PODS = 2;
const MEASURED_MS = 2000;
/** Until what the start left to do is done. */
const SETTLE_MS = 3000;

/** The CPU time of all threads of a node's process with two pods and nothing to do, as a share of one core. */
export async function* runIdle(name: string, rounds: number): AsyncGenerator<Figure> {
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const { dataplane } = await oneNode(cleanup, PODS);
    await sleep(SETTLE_MS);
    const process = `/proc/${dataplane.pid}`;
    const shares: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const [before, start] = [cpuTime(process), performance.now()];
      await sleep(MEASURED_MS);
      shares.push((cpuTime(process) - before) / ((performance.now() - start) * 1e6));
    }
    yield { name, unit: "of a core", value: median(shares) };
  } finally {
    await cleanup.close();
    unwatch();
  }
}
