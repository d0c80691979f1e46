import { checkFaults } from "./faults.js";
import { measureCycles, measureThroughput } from "./figures.js";
import { checkReachability, startNodes } from "./network.js";
import { checkPolicy, checkService, checkSrv6 } from "./plugins.js";
import type { Seen } from "./report.js";
import { checkSwap } from "./swap.js";
import type { DemoWorld } from "./world.js";

export interface DemoStep {
  title: string;
  /** Throws with what was wrong. */
  run: () => Promise<Seen>;
}

/** In order: each builds on the state that the ones before it left. */
export function demoSteps(world: DemoWorld): DemoStep[] {
  const step = (title: string, run: (world: DemoWorld) => Promise<Seen>): DemoStep => ({
    title,
    run: () => run(world),
  });
  return [
    step("Two nodes up", startNodes),
    step("Pods reach each other", checkReachability),
    step("Policy", checkPolicy),
    step("Service with two backends", checkService),
    step("iperf3 figures", measureThroughput),
    step("SRv6 between the nodes", checkSrv6),
    step("Stage replaced under load", checkSwap),
    step("Faulty stages contained", checkFaults),
    step("Cycles of each stage", measureCycles),
  ];
}

/** How to look at a demo that was kept up. */
export function howToLook(world: DemoWorld): string {
  const [one] = world.nodes;
  const sluice = "node host/bin/sluice.js";
  return [
    "The demo is still up. To look:",
    `  ${sluice} status --socket ${one.dataplane.socket}`,
    `  ${sluice} plugin list --socket ${one.dataplane.socket}`,
    `  ip netns exec ${world.pod(1, 1).namespace.name} ping ${world.pod(2, 1).v4}`,
    `  ip netns exec ${one.namespace.name} tcpdump -ni uplink`,
    `  less ${one.dataplane.logFile}`,
    "To take it down:",
    "  npm run demo -- --down",
  ].join("\n");
}
