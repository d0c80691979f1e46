import type { ApplyResult, PortStatus, WorkerStatus } from "@sluice/native";
import type { Figures, PluginInfo, ShadowReport, StageFigures, StatusResponse } from "../dataplane/protocol.js";
import { failuresOf } from "../dataplane/stage-failures.js";
import { sum } from "./counts.js";
import { bytes, count, duration, ratio, table } from "./output.js";
import { countersTable, metricsText } from "./views/metrics.js";
import { trapLines } from "./views/traps.js";

// What commands print for people. One function a table; each gives lines of at most 100 columns.

/** @param isVerbose with gauges and histograms, and all of stages' last failures */
export function statusText({ name, pid, version, native, observers }: StatusResponse, isVerbose = false): string {
  const { generation, uptimeMs, memoryMb, hugepages, buffers } = native;
  const head = [
    `node ${name}  sluice ${version}  pid ${pid}  up ${duration(uptimeMs)}  generation ${generation}`,
    `memory ${memoryMb} MiB ${hugepages ? "in hugepages" : "without hugepages"}  ` +
      `buffers free ${buffers.packetsFree} of ${buffers.packets}, jumbo ${buffers.jumbosFree} of ${buffers.jumbos}`,
    ...(observers === 0 ? [] : [`${observers} traces and captures are in work`]),
  ].join("\n");
  return [
    head,
    portsTable(native.ports),
    lostPorts(native.ports),
    stagesTable(native.stages, isVerbose),
    isVerbose ? metricsText(native.stages) : countersTable(native.stages),
    workersTable(native),
    dropsTable(native),
    flowsLine(native),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function portsTable(ports: readonly PortStatus[]): string {
  if (ports.length === 0) return "no ports";
  const columns = [
    { title: "PORT" },
    { title: "KIND" },
    { title: "STATE" },
    { title: "MTU", right: true },
    { title: "RX", right: true },
    { title: "RX BYTES", right: true },
    { title: "TX", right: true },
    { title: "TX BYTES", right: true },
    { title: "ERRORS", right: true },
  ];
  const rows = ports.map((port) => [
    port.name,
    port.kind,
    port.up ? "up" : "down",
    String(port.mtu),
    count(port.rxPackets),
    bytes(port.rxBytes),
    count(port.txPackets),
    bytes(port.txBytes),
    count(port.rxErrors + port.txErrors),
  ]);
  return table(columns, rows);
}

function lostPorts(ports: readonly PortStatus[]): string {
  return ports
    .filter(({ lost }) => lost !== "")
    .map(({ name, lost }) => `lost port ${name}:\n  ${lost}`)
    .join("\n");
}

function stagesTable(stages: readonly StageFigures[], isVerbose: boolean): string {
  if (stages.length === 0) return "no plugins";
  const columns = [
    { title: "STAGE" },
    { title: "VERSION" },
    { title: "STATE" },
    { title: "HOOKS" },
    { title: "PACKETS", right: true },
    { title: "CYCLES/PKT", right: true },
    { title: "DROPS", right: true },
    { title: "FAILURES", right: true },
  ];
  const rows = stages.map((stage) => [
    stage.name,
    stage.version,
    stage.state,
    stage.hooks.join(","),
    count(stage.packets),
    ratio(stage.cycles, stage.packets),
    count(sum(stage.drops)),
    count(failuresOf(stage)),
  ]);
  return [table(columns, rows), ...stages.flatMap((stage) => trapLines(stage, isVerbose))].join("\n");
}

function workersTable({ workers, tscHz, uptimeMs }: Figures): string {
  const columns = [
    { title: "WORKER" },
    { title: "CPU" },
    { title: "RECEIVED", right: true },
    { title: "SENT", right: true },
    { title: "PKTS/BURST", right: true },
    { title: "CYCLES/PKT", right: true },
    { title: "BUSY", right: true },
  ];
  const elapsed = (tscHz * uptimeMs) / 1000;
  const rows = workers.map((worker: WorkerStatus) => [
    String(worker.id),
    worker.core < 0 ? "any" : String(worker.core),
    count(worker.received),
    count(worker.transmitted),
    ratio(worker.received, worker.bursts),
    ratio(worker.busyCycles, worker.received),
    elapsed === 0 ? "-" : `${((100 * worker.busyCycles) / elapsed).toFixed(1)}%`,
  ]);
  return table(columns, rows);
}

/** Stages' drops stand beside the native ones, with the stage that dropped. */
function dropsTable({ drops, stages }: Figures): string {
  const all = [
    ...Object.entries(drops).map(([reason, packets]) => ({ reason, by: "-", packets })),
    ...stages.flatMap(({ name, drops: own }) =>
      Object.entries(own).map(([reason, packets]) => ({ reason, by: name, packets })),
    ),
  ].filter(({ packets }) => packets > 0);
  if (all.length === 0) return "no drops";
  const rows = all.sort((a, b) => b.packets - a.packets).map(({ reason, by, packets }) => [reason, by, count(packets)]);
  return table([{ title: "DROPPED FOR" }, { title: "BY STAGE" }, { title: "PACKETS", right: true }], rows);
}

function flowsLine({ flows }: Figures): string {
  const { active, max, created, expired, evicted, refused, restored } = flows;
  const figures = { restored, created, expired, evicted, refused };
  const parts = Object.entries(figures).map(([what, flowCount]) => `${what} ${count(flowCount)}`);
  return `flows ${active} of ${max}: ${parts.join("  ")}`;
}

export function outcomesText({ generation, plugins }: ApplyResult): string {
  const done = `applied: generation ${generation}`;
  if (plugins.length === 0) return done;
  const columns = [{ title: "PLUGIN" }, { title: "CHANGE" }, { title: "FLOW STATE" }];
  return `${table(
    columns,
    plugins.map(({ name, action, flowState }) => [name, action, flowState]),
  )}\n${done}`;
}

export function shadowsText(reports: readonly ShadowReport[]): string {
  const columns = [
    { title: "SHADOW" },
    { title: "PACKETS", right: true },
    { title: "DIFFERENCES", right: true },
    { title: "FAILURES", right: true },
  ];
  const rows = reports.map((report) => [
    report.plugin,
    count(report.packets),
    count(report.differences),
    count(report.failures),
  ]);
  return table(columns, rows);
}

export function pluginsText(plugins: readonly PluginInfo[]): string {
  if (plugins.length === 0) return "no plugins";
  const columns = [
    { title: "PLUGIN" },
    { title: "VERSION" },
    { title: "DIGEST" },
    { title: "HOOKS" },
    { title: "ON FAILURE" },
    { title: "SCOPE" },
    { title: "REVISIONS" },
  ];
  const rows = plugins.map((plugin) => [
    plugin.name,
    plugin.version,
    plugin.digest.slice(0, 12),
    plugin.hooks.join(","),
    plugin.failure,
    plugin.scope.join(",") || "all",
    revisionsText(plugin),
  ]);
  return table(columns, rows);
}

/** "1 2 [3]": the live one in brackets. */
function revisionsText({ revisions }: PluginInfo): string {
  return revisions
    .map(({ number }, index) => (index === revisions.length - 1 ? `[${number}]` : String(number)))
    .join(" ");
}
