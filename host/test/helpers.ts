import type { Manifest } from "@sluice/native";
import { parseNodeSpec } from "../src/config/load.js";
import type { NodeSpec, PluginSpec } from "../src/config/schema.js";
import type { Figures } from "../src/dataplane/protocol.js";

/** A digest that is told apart at a glance. */
export function digest(letter: string): string {
  return letter.repeat(64);
}

export function manifest(name: string, change: Partial<Manifest> = {}): Manifest {
  return {
    abi: 1,
    name,
    version: "1.0.0",
    hooks: ["forward"],
    headerBytes: 128,
    writes: false,
    flowState: null,
    migratesFrom: [],
    counters: [],
    dropReasons: [],
    segmentBytes: 65536,
    failure: "FailClosed",
    configSchema: {},
    ...change,
  };
}

/** As the node file gives it, defaults filled in. */
export function plugin(name: string, letter: string, change: Partial<PluginSpec> = {}): PluginSpec {
  const [spec] = node({ plugins: [{ name, digest: digest(letter), origin: `${name}.ts` }] }).plugins;
  if (spec === undefined) throw new Error("no plugin came out");
  return { ...spec, ...change };
}

export function node(change: Record<string, unknown> = {}): NodeSpec {
  return parseNodeSpec({ name: "n", ...change });
}

/** A status with something in every field. */
export const FULL_STATUS: Figures = {
  generation: 7,
  uptimeMs: 3_723_000,
  tscHz: 2_000_000_000,
  hugepages: true,
  memoryMb: 256,
  buffers: { packetsFree: 16000, packets: 16384, jumbosFree: 500, jumbos: 512 },
  workers: [
    {
      id: 0,
      core: 3,
      received: 2_000_000,
      transmitted: 1_999_000,
      bursts: 50_000,
      busyCycles: 1_500_000_000,
      polls: 9e15,
      sleeps: 12,
    },
    { id: 1, core: -1, received: 0, transmitted: 0, bursts: 0, busyCycles: 0, polls: 5, sleeps: 5 },
  ],
  ports: [
    {
      name: "pod-1",
      id: 0,
      kind: "tap",
      up: true,
      mac: "02:00:00:00:00:01",
      mtu: 1500,
      rxPackets: 1_234_567,
      rxBytes: 1_500_000_000,
      txPackets: 999_999,
      txBytes: 1023,
      rxErrors: 1,
      txErrors: 2,
    },
    {
      name: "a-port-with-quite-a-long-name-of-its-own-that-fills-its-63-charact",
      id: 1,
      kind: "af-packet",
      up: false,
      mac: "02:00:00:00:00:02",
      mtu: 9000,
      rxPackets: 0,
      rxBytes: 0,
      txPackets: 0,
      txBytes: 0,
      rxErrors: 0,
      txErrors: 0,
    },
  ],
  stages: [
    {
      name: "policy",
      version: "1.2.3",
      digest: digest("a"),
      hooks: ["forward", "input"],
      state: "active",
      packets: 1000,
      bursts: 10,
      cycles: 31_100,
      drops: { policy: 5 },
      counters: { denied_packets: 5 },
      failures: 0,
      invalidOutputs: 0,
      lastFailure: "",
    },
    {
      name: "faulty",
      version: "0.1.0",
      digest: digest("b"),
      hooks: ["postrouting"],
      state: "backing-off",
      packets: 0,
      bursts: 0,
      cycles: 0,
      drops: {},
      counters: {},
      failures: 2,
      invalidOutputs: 1,
      lastFailure: "trap-unreachable: at packet 3, 10.0.0.1 > 10.0.0.2 TCP",
    },
  ],
  drops: { "no-route": 12, "ttl-expired": 3 },
  flows: { active: 3, max: 262144, created: 100, expired: 97, evicted: 0, refused: 0, restored: 2 },
};
