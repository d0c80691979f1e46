// IPv4 forwarding of 10,000 flows in 64-byte frames, in turns with other programs over the same DPDK devices on the same core.
import { cpus } from "node:os";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { removeLeftovers } from "../support/leftovers.js";
import { must } from "../support/process.js";
import { temporaryFolder } from "../support/topology.js";
import { compare } from "./compare.js";
import { replayingDevices } from "./frames.js";
import { nativeCommand } from "./native.js";
import { ovsForwarding } from "./ovs.js";
import type { Figure } from "./result.js";
import { testpmdMacswap } from "./testpmd.js";

const core = cpus().length - 1;

/** Each returns ns of its packet thread's CPU time a packet, the devices' own included. */
interface Contest {
  readonly reference: string;
  readonly measure: (folder: string, devices: readonly string[]) => Promise<number>;
}

const contests: Readonly<Record<string, Contest>> = {
  "forward-10k": { reference: "testpmd macswap", measure: (_, devices) => testpmdMacswap(core, devices) },
  ovs: { reference: "OVS-DPDK", measure: (folder, devices) => ovsForwarding(core, folder, devices) },
};

export const forwardingBenchmarks: readonly string[] = Object.keys(contests);

async function native(name: string, folder: string): Promise<number> {
  const said = await must([...nativeCommand, "--frames", folder, "--core", String(core), name], { timeoutMs: 60_000 });
  return (JSON.parse(said) as Figure).value;
}

export async function* runForwarding(name: string, rounds: number): AsyncGenerator<Figure> {
  const contest = contests[name];
  if (contest === undefined) throw new Error(`there is no benchmark ${name}`);
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  try {
    const folder = temporaryFolder(cleanup);
    const devices = replayingDevices(folder);
    const cyclesOfNs = (await native("tsc", folder)) / 1e9;
    yield await compare(
      {
        name,
        unit: "cycles/packet",
        reference: contest.reference,
        value: async () => (await native("forward-devices", folder)) * cyclesOfNs,
        referenceValue: async () => (await contest.measure(folder, devices)) * cyclesOfNs,
      },
      rounds,
    );
  } finally {
    await cleanup.close();
    unwatch();
  }
}
