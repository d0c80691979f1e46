import { count, duration, NARROW_WIDTH, rate, table } from "../output.js";
import type { PortRates, Rates, StageRates, WorkerRates } from "../rates.js";

/** One frame of `sluice top`, at most 80 columns wide. */
export function topText(rates: Rates): string {
  const { node, uptimeMs, generation, elapsedMs, received, transmitted, dropped, flows } = rates;
  const head = [
    `node ${node}  up ${duration(uptimeMs)}  generation ${generation}  over ${(elapsedMs / 1000).toFixed(1)}s`,
    `packets/s  in ${rate(received)}  out ${rate(transmitted)}  dropped ${rate(dropped)}`,
    `flows ${flows.active} of ${flows.max}  a second: new ${rate(flows.created)}  expired ${rate(flows.expired)}` +
      `  evicted ${rate(flows.evicted)}  refused ${rate(flows.refused)}`,
  ].join("\n");
  const parts = [workersTable(rates.workers), stagesTable(rates.stages), portsTable(rates.ports), dropsTable(rates)];
  return [head, ...parts].filter((part) => part !== "").join("\n\n");
}

function workersTable(workers: readonly WorkerRates[]): string {
  const columns = [
    { title: "WORKER" },
    { title: "CPU" },
    { title: "BUSY", right: true },
    { title: "", right: false },
    { title: "IN/S", right: true },
    { title: "OUT/S", right: true },
    { title: "PKTS/BURST", right: true },
    { title: "CYCLES/PKT", right: true },
  ];
  const rows = workers.map((worker) => [
    String(worker.id),
    worker.core < 0 ? "any" : String(worker.core),
    `${(100 * worker.busy).toFixed(1)}%`,
    "#".repeat(Math.round(worker.busy * 10)).padEnd(10, "."),
    rate(worker.received),
    rate(worker.transmitted),
    oneDigit(worker.packetsPerBurst),
    oneDigit(worker.cyclesPerPacket),
  ]);
  return table(columns, rows, NARROW_WIDTH);
}

/** With several workers a line for each below the stage's own. */
function stagesTable(stages: readonly StageRates[]): string {
  if (stages.length === 0) return "no plugins";
  const columns = [
    { title: "STAGE" },
    { title: "VERSION" },
    { title: "STATE" },
    { title: "PACKETS/S", right: true },
    { title: "DROPS/S", right: true },
    { title: "CYCLES/PKT", right: true },
  ];
  const rows = stages.flatMap((stage) => [
    [stage.name, stage.version, stage.state, rate(stage.packets), rate(stage.dropped), oneDigit(stage.cyclesPerPacket)],
    ...(stage.workers.length < 2
      ? []
      : stage.workers.map((worker, id) => [
          `  worker ${id}`,
          "",
          "",
          rate(worker.packets),
          "",
          oneDigit(worker.cyclesPerPacket),
        ])),
  ]);
  return table(columns, rows, NARROW_WIDTH);
}

function portsTable(ports: readonly PortRates[]): string {
  if (ports.length === 0) return "no ports";
  const columns = [
    { title: "PORT" },
    { title: "STATE" },
    { title: "RX/S", right: true },
    { title: "RX BIT/S", right: true },
    { title: "TX/S", right: true },
    { title: "TX BIT/S", right: true },
    { title: "ERRORS/S", right: true },
  ];
  const rows = ports.map((port) => [
    port.name,
    port.up ? "up" : "down",
    rate(port.rxPackets),
    count(port.rxBits),
    rate(port.txPackets),
    count(port.txBits),
    rate(port.errors),
  ]);
  return table(columns, rows, NARROW_WIDTH);
}

function dropsTable({ drops }: Rates): string {
  if (drops.length === 0) return "";
  const columns = [{ title: "DROPPED FOR" }, { title: "BY STAGE" }, { title: "PACKETS/S", right: true }];
  return table(
    columns,
    drops.map(({ reason, stage, packets }) => [reason, stage || "-", rate(packets)]),
    NARROW_WIDTH,
  );
}

function oneDigit(value: number | null): string {
  return value === null ? "-" : value.toFixed(1);
}
