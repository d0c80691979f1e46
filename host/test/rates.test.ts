import { describe, expect, test } from "vitest";
import { type Rates, ratesBetween } from "../src/cli/rates.js";
import { topText } from "../src/cli/views/top.js";
import type { Figures, StatusResponse } from "../src/dataplane/protocol.js";
import { FULL_STATUS } from "./helpers.js";

/** FULL_STATUS changed in place, as another reading of the same process. */
function status(change: (figures: Figures) => void = () => {}, pid = 42): StatusResponse {
  const native = structuredClone(FULL_STATUS);
  change(native);
  return { name: "n", pid, version: "0.1.0", native, observers: 0, revision: "x.1" };
}

const at = <Item>(items: readonly Item[], index: number): Item => {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
};

/** What happened in two seconds, and of the rates what it changes. Nothing else is other than zero. */
const ROWS: [string, (figures: Figures) => void, (rates: Rates) => unknown, unknown][] = [
  [
    "a worker's packets, and its load from its busy cycles",
    ({ workers: [worker] }) =>
      Object.assign(worker ?? {}, { received: 2_000_800, bursts: 50_100, busyCycles: 2_500_000_000 }),
    ({ workers, received }) => ({ ...at(workers, 0), all: received }),
    {
      id: 0,
      core: 3,
      received: 400,
      transmitted: 0,
      busy: 0.25,
      packetsPerBurst: 8,
      cyclesPerPacket: 1_250_000,
      all: 400,
    },
  ],
  [
    "a worker without packets divides by nothing",
    () => {},
    ({ workers }) => at(workers, 1),
    { id: 1, core: -1, received: 0, transmitted: 0, busy: 0, packetsPerBurst: null, cyclesPerPacket: null },
  ],
  [
    "more busy cycles than there were are all of them",
    ({ workers: [worker] }) => Object.assign(worker ?? {}, { busyCycles: 9e12 }),
    ({ workers }) => at(workers, 0).busy,
    1,
  ],
  [
    "a port's packets, bits and errors",
    ({ ports: [port] }) => Object.assign(port ?? {}, { rxPackets: 1_234_667, rxBytes: 1_500_010_000, txErrors: 6 }),
    ({ ports }) => at(ports, 0),
    { name: "pod-1", up: true, rxPackets: 50, rxBits: 40_000, txPackets: 0, txBits: 0, errors: 2 },
  ],
  [
    "a stage's packets and cycles, in all and by worker",
    ({ stages: [stage] }) =>
      Object.assign(stage ?? {}, {
        packets: 1100,
        cycles: 34_100,
        workers: [
          { packets: 600, bursts: 6, cycles: 18_000 },
          { packets: 500, bursts: 5, cycles: 16_100 },
        ],
      }),
    ({ stages }) => at(stages, 0),
    {
      name: "policy",
      version: "1.2.3",
      state: "active",
      packets: 50,
      dropped: 0,
      failures: 0,
      cyclesPerPacket: 30,
      workers: [
        { packets: 0, cyclesPerPacket: null },
        { packets: 50, cyclesPerPacket: 30 },
      ],
    },
  ],
  [
    "drops, native and of stages, the most frequent first",
    (figures) => {
      figures.drops = { "no-route": 16, "ttl-expired": 3, "martian-source": 2 };
      at(figures.stages, 0).drops = { policy: 105 };
    },
    ({ drops, dropped, stages }) => ({ drops, dropped, policy: at(stages, 0).dropped }),
    {
      drops: [
        { reason: "policy", stage: "policy", packets: 50 },
        { reason: "no-route", stage: "", packets: 2 },
        { reason: "martian-source", stage: "", packets: 1 },
      ],
      dropped: 53,
      policy: 50,
    },
  ],
  [
    "flows",
    ({ flows }) => Object.assign(flows, { active: 13, created: 120, expired: 107 }),
    ({ flows }) => flows,
    { active: 13, max: 262144, created: 10, expired: 5, evicted: 0, refused: 0 },
  ],
  [
    "a counter that went down counts from zero: the stage was swapped",
    ({ stages: [stage] }) =>
      Object.assign(stage ?? {}, { version: "2.0.0", packets: 40, cycles: 1200, drops: { policy: 2 } }),
    ({ stages }) => {
      const { version, packets, dropped, cyclesPerPacket } = at(stages, 0);
      return { version, packets, dropped, cyclesPerPacket };
    },
    { version: "2.0.0", packets: 20, dropped: 1, cyclesPerPacket: 30 },
  ],
  [
    "a new stage and a new port count from zero, one that is gone is not shown",
    (figures) => {
      figures.stages = [{ ...at(figures.stages, 0), name: "new", packets: 10 }];
      figures.ports = [{ ...at(figures.ports, 1), name: "new", rxPackets: 2 }];
    },
    ({ stages, ports }) =>
      [...stages, ...ports].map((each) => [each.name, "packets" in each ? each.packets : each.rxPackets]),
    [
      ["new", 5],
      ["new", 1],
    ],
  ],
];

describe("rates over two seconds", () => {
  test.each(ROWS)("%s", (_name, change, pick, expected) => {
    const after = status((figures) => {
      figures.uptimeMs += 2000;
      change(figures);
    });
    expect(pick(ratesBetween(status(), after))).toEqual(expected);
  });
});

test.each([
  ["another process", 43, 4000],
  ["the same pid with less time", 42, 4000],
])("%s counts since its start", (_name, pid, uptimeMs) => {
  const rates = ratesBetween(
    status(),
    status((figures) => Object.assign(figures, { uptimeMs }), pid),
  );
  expect(rates).toMatchObject({ elapsedMs: 4000, received: 500_000 });
});

test("two readings at the same moment have no rates", () => {
  expect(
    ratesBetween(
      status(),
      status(({ workers: [worker] }) => Object.assign(worker ?? {}, { received: 3e6 })),
    ),
  ).toMatchObject({
    elapsedMs: 0,
    received: 0,
  });
});

test("a frame of sluice top fits 80 columns", () => {
  const after = status((figures) => {
    figures.uptimeMs += 1000;
    Object.assign(at(figures.workers, 0), {
      received: 3_500_000,
      transmitted: 3_499_000,
      bursts: 60_000,
      busyCycles: 3e9,
    });
    Object.assign(at(figures.stages, 0), {
      packets: 1_501_000,
      cycles: 45_031_100,
      drops: { policy: 8 },
      workers: [
        { packets: 1_500_600, bursts: 9, cycles: 45_000_000 },
        { packets: 400, bursts: 4, cycles: 13_100 },
      ],
    });
    Object.assign(at(figures.ports, 0), { rxPackets: 4_734_567, rxBytes: 5e9 });
    figures.drops = { "no-route": 12, "ttl-expired": 103 };
    figures.flows.created = 110;
  });
  const text = topText(ratesBetween(status(), after));
  expect(text).toMatchInlineSnapshot(`
    "node n  up 1h 2m  generation 7  over 1.0s
    packets/s  in 1.50M  out 1.50M  dropped 103
    flows 3 of 262144  a second: new 10  expired 0  evicted 0  refused 0

    WORKER  CPU   BUSY               IN/S  OUT/S  PKTS/BURST  CYCLES/PKT
    0       3    75.0%  ########..  1.50M  1.50M       150.0      1000.0
    1       any   0.0%  ..........      0      0           -           -

    STAGE       VERSION  STATE        PACKETS/S  DROPS/S  CYCLES/PKT
    policy      1.2.3    active           1.50M      3.0        30.0
      worker 0                            1.50M                 30.0
      worker 1                                0                    -
    faulty      0.1.0    backing-off          0        0           -

    PORT                            STATE   RX/S  RX BIT/S  TX/S  TX BIT/S  ERRORS/S
    pod-1                           up     3.50M     28.0G     0         0         0
    a-port-with-quite-a-long-name…  down       0         0     0         0         0

    DROPPED FOR  BY STAGE  PACKETS/S
    ttl-expired  -               100
    policy       policy          3.0"
  `);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});
