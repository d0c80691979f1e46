import type { Problem } from "../../errors.js";
import { count, NARROW_WIDTH, rate, ratio, shorten, table } from "../output.js";
import type { Rates } from "../rates.js";

/** A node's rates, or why there are none. */
export interface NodeRates {
  readonly node: string;
  readonly rates?: Rates;
  readonly problems?: readonly Problem[];
}

/** One frame of a cluster's `sluice top`, at most 80 columns wide. */
export function clusterTopText(nodes: readonly NodeRates[]): string {
  const answered = nodes.flatMap(({ rates }) => (rates === undefined ? [] : [rates]));
  const sum = (value: (rates: Rates) => number) => answered.reduce((all, rates) => all + value(rates), 0);
  const head =
    `${nodes.length} nodes  packets/s  in ${rate(sum(({ received }) => received))}  ` +
    `out ${rate(sum(({ transmitted }) => transmitted))}  dropped ${rate(sum(({ dropped }) => dropped))}`;
  const silent = nodes.flatMap(({ node, problems = [] }) =>
    problems.map(({ code, message }) => shorten(`${node}: ${code}: ${message}`, NARROW_WIDTH)),
  );
  return [head, nodesTable(nodes), stagesTable(answered), dropsTable(answered), silent.join("\n")]
    .filter((part) => part !== "")
    .join("\n\n");
}

function nodesTable(nodes: readonly NodeRates[]): string {
  const columns = [
    { title: "NODE" },
    { title: "BUSY", right: true },
    { title: "IN/S", right: true },
    { title: "OUT/S", right: true },
    { title: "DROPS/S", right: true },
    { title: "FLOWS", right: true },
    { title: "NEW/S", right: true },
    { title: "PORTS DOWN", right: true },
  ];
  const rows = nodes.map(({ node, rates }) => {
    if (rates === undefined) return [node, ...columns.slice(1).map(() => "-")];
    const { workers, received, transmitted, dropped, flows, ports } = rates;
    const busy = workers.reduce((all, worker) => all + worker.busy, 0) / Math.max(1, workers.length);
    const down = ports.filter(({ up }) => !up).length;
    return [
      node,
      `${(100 * busy).toFixed(1)}%`,
      ...[received, transmitted, dropped].map(rate),
      count(flows.active),
      rate(flows.created),
      String(down),
    ];
  });
  return table(columns, rows, NARROW_WIDTH);
}

/** A stage of the same name is the same on all nodes but while a version is rolled out. */
function stagesTable(nodes: readonly Rates[]): string {
  const names = [...new Set(nodes.flatMap(({ stages }) => stages.map(({ name }) => name)))];
  if (names.length === 0) return "no plugins";
  const columns = [
    { title: "STAGE" },
    { title: "VERSIONS" },
    { title: "NODES", right: true },
    { title: "NOT ACTIVE", right: true },
    { title: "PACKETS/S", right: true },
    { title: "DROPS/S", right: true },
    { title: "CYCLES/PKT", right: true },
  ];
  const rows = names.map((name) => {
    const all = nodes.flatMap(({ stages }) => stages.filter((stage) => stage.name === name));
    const packets = all.reduce((sum, stage) => sum + stage.packets, 0);
    const cycles = all.reduce((sum, stage) => sum + stage.packets * (stage.cyclesPerPacket ?? 0), 0);
    return [
      name,
      [...new Set(all.map(({ version }) => version))].join(","),
      String(all.length),
      String(all.filter(({ state }) => state !== "active").length),
      rate(packets),
      rate(all.reduce((sum, stage) => sum + stage.dropped, 0)),
      ratio(cycles, packets),
    ];
  });
  return table(columns, rows, NARROW_WIDTH);
}

function dropsTable(nodes: readonly Rates[]): string {
  const rows = nodes
    .flatMap(({ node, drops }) => drops.map((drop) => ({ node, ...drop })))
    .sort((a, b) => b.packets - a.packets)
    .map(({ node, reason, stage, packets }) => [reason, stage || "-", node, rate(packets)]);
  if (rows.length === 0) return "";
  const columns = [{ title: "DROPPED FOR" }, { title: "BY STAGE" }, { title: "NODE" }];
  return table([...columns, { title: "PACKETS/S", right: true }], rows, NARROW_WIDTH);
}
