import type { StageStatus } from "@sluice/native";
import type { Pod } from "../support/topology.js";
import { iperf } from "../support/traffic.js";
import { check } from "./expect.js";
import type { Seen } from "./report.js";
import type { DemoWorld } from "./world.js";

const SECONDS = 3;
const LEAST_GBITS = 0.05; // less than this is a defect, whatever the machine

/** Gbit/s of TCP from one pod to another, IPv4 and IPv6. */
export async function throughput(world: DemoWorld, from: Pod, to: Pod): Promise<[v4: string, v6: string]> {
  const measure = async (address: string) => {
    const { gigabitsPerSecond } = await iperf(world.cleanup, from.namespace, to.namespace, address, {
      seconds: SECONDS,
    });
    check(gigabitsPerSecond > LEAST_GBITS, `iperf3 to ${address}: ${gigabitsPerSecond.toFixed(4)} Gbit/s`);
    return gigabitsPerSecond.toFixed(2);
  };
  return [await measure(to.v4), await measure(to.v6)];
}

/** Through policy and nat. */
export async function measureThroughput(world: DemoWorld): Promise<Seen> {
  const near = await throughput(world, world.pod(1, 1), world.pod(1, 2));
  const far = await throughput(world, world.pod(1, 1), world.pod(2, 1));
  return {
    headline: `Gbit/s IPv4/IPv6: same node ${near.join("/")}, across nodes by VXLAN ${far.join("/")}`,
    details: [`one TCP stream of ${SECONDS} s each, one worker a node, stages: nat and policy`],
  };
}

/** Small UDP packets as fast as they come, so that bursts are not all of one packet; what each stage took for them. */
export async function measureCycles(world: DemoWorld): Promise<Seen> {
  const [{ dataplane }] = world.nodes;
  const [from, to] = [world.pod(1, 1), world.pod(2, 1)];
  const before = (await dataplane.status()).native.stages;
  const flood = ["-u", "-l", "64", "-b", "0", "-P", "4"];
  await iperf(world.cleanup, from.namespace, to.namespace, to.v4, { seconds: SECONDS, extra: flood });
  const after = (await dataplane.status()).native.stages;
  const costs = after.map((stage) => cost(stage, before)).filter((each) => each.packets > 0);
  check(costs.length > 0, "no stage has seen a packet");
  const each = costs.map(({ name, cycles, packets }) => `${name} ${(cycles / packets).toFixed(0)}`);
  return {
    headline: `cycles a packet and hook: ${each.join(", ")}`,
    details: costs.map(
      ({ name, packets, bursts }) =>
        `${name}: ${packets} small UDP packets, ${(packets / bursts).toFixed(1)} a call, its window's upkeep included`,
    ),
  };
}

function cost(stage: StageStatus, before: readonly StageStatus[]) {
  const then = before.find(({ name }) => name === stage.name);
  return {
    name: stage.name,
    packets: stage.packets - (then?.packets ?? 0),
    bursts: stage.bursts - (then?.bursts ?? 0),
    cycles: stage.cycles - (then?.cycles ?? 0),
  };
}
