import { setTimeout as sleep } from "node:timers/promises";
import { exampleSource } from "../support/plugins.js";
import { PingFlow, sendUdp } from "../support/traffic.js";
import { check } from "./expect.js";
import type { Seen } from "./report.js";
import type { DemoWorld } from "./world.js";

interface Fault {
  plugin: string;
  /** A UDP packet to this port sets it off. */
  trigger: number;
  failure: "FailOpen" | "FailClosed" | "Reload";
}

const FAULTS: Fault[] = [
  { plugin: "faulty-loop", trigger: 666, failure: "FailOpen" },
  { plugin: "faulty-trap", trigger: 667, failure: "Reload" },
];

/** Each faulty stage goes live, is set off, and traffic goes on as its strategy says. */
export async function checkFaults(world: DemoWorld): Promise<Seen> {
  const contained: Contained[] = [];
  for (const fault of FAULTS) contained.push(await contain(world, fault));
  return {
    headline: contained.map(({ what }) => what).join("; "),
    details: contained.map(({ why }) => why),
  };
}

interface Contained {
  what: string;
  why: string;
}

async function contain(world: DemoWorld, { plugin, trigger, failure }: Fault): Promise<Contained> {
  const [{ dataplane }] = world.nodes;
  const [from, to] = [world.pod(1, 1), world.pod(2, 1)];
  await dataplane.must("plugin", "load", exampleSource(`${plugin}/assembly/index.ts`), "--failure", failure);
  const pings = new PingFlow(world.cleanup, from.namespace, to.v4, { interval: 0.01 });
  await sleep(300);
  await sendUdp(from.namespace, to.v4, trigger);
  await sleep(1_000);
  const result = await pings.stop();
  const stage = (await dataplane.status()).native.stages.find(({ name }) => name === plugin);
  await dataplane.must("plugin", "unload", plugin);
  check(stage !== undefined && stage.failures > 0, `${plugin}: status shows no failure`);
  const allowed = failure === "FailOpen" ? 2 : 30; // Reload drops while it backs off, 100 ms at first
  check(result.lost <= allowed, `${plugin}: ${result.lost} of ${result.sent} echoes were lost; ${allowed} are allowed`);
  return {
    what: `${plugin} (${failure}): ${result.lost} of ${result.sent} echoes lost`,
    why: `${plugin}: ${stage.lastFailure}`,
  };
}
