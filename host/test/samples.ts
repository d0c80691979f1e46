import type { FlowRecord, TracedPacket } from "@sluice/native";
import { ipv4, packetHex, tcp } from "@sluice/sdk/testing";
import { ratesBetween } from "../src/cli/rates.js";
import { dropsText } from "../src/cli/views/drops.js";
import { flowsText } from "../src/cli/views/flows.js";
import { profileText } from "../src/cli/views/profile.js";
import { topText } from "../src/cli/views/top.js";
import { traceText, withFields } from "../src/cli/views/trace.js";
import type { DropRecord, Profile } from "../src/dataplane/protocol.js";
import { CLUSTER_SAMPLES } from "./cluster/samples.js";
import { digest, FULL_STATUS } from "./helpers.js";

// What a node says of itself, as the operators' tools show it; CLI.md has the same.

export const NOON = new Date(2024, 0, 2, 12, 0, 1, 250).getTime();

export const SYN = packetHex(
  ipv4({ source: "10.1.1.10", destination: "10.96.0.10" }),
  tcp({ sourcePort: 43210, destinationPort: 80 }),
);

export const TRACED: TracedPacket = {
  number: 1,
  worker: 0,
  at: NOON,
  packetHex: SYN,
  length: 40,
  summary: "IPv4 10.1.1.10 > 10.96.0.10 protocol 6, 40 bytes",
  steps: [
    { kind: "rx", afterNs: 0, detail: "port pod-1" },
    { kind: "conntrack", afterNs: 420, detail: "new, original, flow 17" },
    {
      kind: "stage",
      afterNs: 1234,
      detail: "",
      stage: "nat",
      hook: "prerouting",
      verdict: "pass",
      cycles: 31.4,
      rewrites: [
        { offset: 10, before: "8a52", after: "8a53" },
        { offset: 16, before: "0a60000a", after: "0a000007" },
        { offset: 22, before: "0050", after: "1f90" },
      ],
      values: [{ name: "backend", value: 3 }],
    },
    { kind: "route", afterNs: 2000, detail: "10.0.0.0/24 by port wire next hop 192.0.2.1" },
    { kind: "stage", afterNs: 2500, detail: "", stage: "policy", hook: "forward", verdict: "drop" },
    { kind: "drop", afterNs: 2600, detail: "policy", reason: "policy", stage: "policy" },
  ],
};

export const DROPS: DropRecord[] = [
  { reason: "no-route", meaning: "No route to the destination", stage: "", packets: 12, last: null },
  {
    reason: "policy",
    meaning: "A stage said so, by a policy",
    stage: "policy",
    packets: 1_234_567,
    last: { at: NOON, worker: 1, inPort: "pod-1", packetHex: SYN, length: 40, summary: TRACED.summary },
  },
];

export const flow = (change: Partial<FlowRecord> = {}): FlowRecord => ({
  number: 17,
  protocol: 6,
  original: { source: "10.1.1.10", sourcePort: 43210, destination: "10.96.0.10", destinationPort: 80 },
  reply: { source: "10.96.0.10", sourcePort: 80, destination: "10.1.1.10", destinationPort: 43210 },
  state: "established",
  idleMs: 3000,
  expiresInMs: 431_997_000,
  slots: {},
  ...change,
});
export const REPLY = { source: "10.0.0.7", sourcePort: 8080, destination: "10.1.1.10", destinationPort: 43210 };
const ICMP = { source: "10.1.1.10", sourcePort: 77, destination: "10.1.1.11", destinationPort: 77 };
const LONG = {
  source: "fd00:1:1::aaaa:bbbb",
  sourcePort: 43210,
  destination: "fd00:1:2::cccc:dddd",
  destinationPort: 443,
};

const inverse = ({ source, sourcePort, destination, destinationPort }: FlowRecord["original"]) => ({
  source: destination,
  sourcePort: destinationPort,
  destination: source,
  destinationPort: sourcePort,
});
export const FLOWS = [
  flow(),
  flow({ reply: REPLY, slots: { nat: "0a000007".repeat(10), policy: "01" } }),
  flow({ protocol: 1, original: ICMP, reply: inverse(ICMP), state: "new", idleMs: 0, expiresInMs: 30_000 }),
  flow({ protocol: 17, original: LONG, reply: inverse(LONG) }),
];

export const own = { file: "assembly/translate.ts", line: 30, column: 3, function: "translate", near: null };
export const PROFILE: Profile = {
  samples: 5000,
  inPlugin: 1000,
  digest: digest("a"),
  places: [
    { function: "f1", offset: 10, samples: 400, source: { ...own } },
    { function: "f1", offset: 20, samples: 200, source: { ...own, line: 28 } },
    {
      function: "f2",
      offset: 30,
      samples: 250,
      source: {
        ...own,
        file: "~sdk/packet.ts",
        line: 9,
        function: "select",
        near: { file: "assembly/maglev.ts", line: 12, column: 1 },
      },
    },
    { function: "f3", offset: -1, samples: 150, source: null },
  ],
};

const status = (elapsedMs: number, received: number) => {
  const native = structuredClone(FULL_STATUS);
  native.uptimeMs += elapsedMs;
  native.workers[0] = {
    ...at(native.workers, 0),
    received,
    bursts: 50_000 + received / 100,
    busyCycles: 750 * received,
  };
  const stage = at(native.stages, 0);
  native.stages = [
    { ...stage, packets: received, cycles: 31 * received, drops: { policy: received / 1000 }, workers: [] },
  ];
  native.ports = [{ ...at(native.ports, 0), rxPackets: received, rxBytes: 1000 * received }];
  return { name: "node-a", pid: 7, version: "0.1.0", native, observers: 0, revision: "x.1" };
};

const at = <Item>(items: readonly Item[], index: number): Item => {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
};

/** By command: a command line and what it prints. */
export const SAMPLES: Readonly<Record<string, readonly [line: string, text: string]>> = {
  top: ["top -c 1", topText(ratesBetween(status(0, 2_000_000), status(1000, 3_500_000)))],
  trace: ["trace -c 1 tcp dst port 80", traceText(withFields(TRACED), false)],
  drops: ["drops", dropsText(DROPS, false)],
  flows: ["flows", flowsText(FLOWS, false)],
  ...CLUSTER_SAMPLES,
  "plugin profile": ["plugin profile nat", profileText("nat", PROFILE, false)],
};
