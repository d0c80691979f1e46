import type { Manifest } from "@sluice/native";
import { parseNodeSpec } from "../src/config/load.js";
import type { NodeSpec, PluginSpec } from "../src/config/schema.js";
import type { Figures, Trap } from "../src/dataplane/protocol.js";
import type { Handlers } from "../src/dataplane/server.js";

/** The transport alone: every call and stream ends with this error, but those given. */
export function refusing(error: unknown, given: Partial<Handlers> = {}): Handlers {
  const refuse = () => Promise.reject(error);
  const calls = {
    apply: refuse,
    update: refuse,
    digest: refuse,
    changePlugins: refuse,
    shadow: refuse,
    listPlugins: refuse,
    status: refuse,
  };
  return { ...calls, drops: refuse, flows: refuse, profile: refuse, trace: refuse, capture: refuse, ...given };
}

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
    gauges: [],
    histograms: [],
    traceValues: [],
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

const TRAP: Trap = {
  code: "memory-out-of-bounds",
  message: "a load outside of memory",
  version: "0.1.0",
  digest: digest("b"),
  hook: "postrouting",
  worker: 1,
  at: new Date(2024, 0, 2, 3, 4, 5, 678).getTime(),
  packetHex: "4500001c000040004011b6cf0a0000010a00000203e8029b00080000",
  packetSummary: "IPv4 10.0.0.1 > 10.0.0.2 protocol 17, 28 bytes",
  frames: [
    {
      function: "assembly/index/process",
      offset: 1234,
      source: {
        file: "~sdk/packet.ts",
        line: 98,
        column: 12,
        function: "process",
        near: { file: "assembly/index.ts", line: 13, column: 67 },
      },
    },
    { function: "export:assembly/index/process", offset: -1, source: null },
  ],
};

/** A status with something in every field. */
export const FULL_STATUS: Figures = {
  generation: 7,
  uptimeMs: 3_723_000,
  switchUs: 120,
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
      lost: "",
      canReturn: false,
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
      lost: "interface eth1 is gone",
      canReturn: false,
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
      gauges: { rules: -2 },
      histograms: { packet_bytes: { bounds: [64, 1500], counts: [3, 6, 1], sum: 5000 } },
      workers: [
        { packets: 600, bursts: 6, cycles: 18_000 },
        { packets: 400, bursts: 4, cycles: 13_100 },
      ],
      lastTrap: null,
      emitted: 3,
      mirrored: 2,
      settled: 9000,
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
      gauges: {},
      histograms: {},
      workers: [],
      failures: 2,
      invalidOutputs: 1,
      lastFailure: "memory-out-of-bounds: at packet 3, 10.0.0.1 > 10.0.0.2 TCP",
      lastTrap: TRAP,
      emitted: 0,
      mirrored: 0,
      settled: 0,
    },
  ],
  drops: { "no-route": 12, "ttl-expired": 3 },
  flows: { active: 3, max: 262144, created: 100, expired: 97, evicted: 0, refused: 0, restored: 2 },
};
