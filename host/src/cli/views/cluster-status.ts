import type { ClusterHealth, NodeHealth, PartHealth, PluginHealth } from "../cluster/health.js";
import { count, duration, TABLE_WIDTH, table, wrap } from "../output.js";

/** What `sluice status` prints of a cluster. */
export function clusterStatusText(health: ClusterHealth): string {
  return [
    nodesTable(health.nodes),
    partsTable(health),
    pluginsTable(health.plugins),
    poolsTable(health.pools),
    problemsText(health),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function nodesTable(nodes: readonly NodeHealth[]): string {
  const columns = [
    { title: "NODE" },
    { title: "READY" },
    { title: "AGENT" },
    { title: "DATAPLANE" },
    { title: "VERSION" },
    { title: "UP" },
    { title: "PORTS", right: true },
    { title: "STAGES", right: true },
    { title: "FLOWS", right: true },
    { title: "DROPS", right: true },
    { title: "RESTARTS", right: true },
  ];
  const figure = (value: number | undefined) => (value === undefined ? "-" : count(value));
  const rows = nodes.map((node) => [
    node.name,
    node.ready ? "yes" : "no",
    node.agent,
    node.dataplane,
    node.version ?? "-",
    node.uptimeMs === undefined ? "-" : duration(node.uptimeMs),
    figure(node.ports),
    figure(node.stages),
    figure(node.flows),
    figure(node.drops),
    String(node.restarts),
  ]);
  return table(columns, rows);
}

function partsTable({ reflectors, etcds }: ClusterHealth): string {
  const row = (part: string) => (pod: PartHealth) => [part, pod.name, pod.node || "-", pod.state, String(pod.restarts)];
  const rows = [...reflectors.map(row("reflector")), ...etcds.map(row("etcd"))];
  if (rows.length === 0) return "";
  const columns = [{ title: "PART" }, { title: "POD" }, { title: "NODE" }, { title: "STATE" }];
  return table([...columns, { title: "RESTARTS", right: true }], rows);
}

export function pluginsTable(plugins: readonly PluginHealth[]): string {
  if (plugins.length === 0) return "";
  const columns = [
    { title: "PLUGIN" },
    { title: "READY" },
    { title: "REASON" },
    { title: "NODES" },
    { title: "DIGEST" },
  ];
  const rows = plugins.map(({ name, ready, reason, nodes, readyNodes, digest }) => [
    name,
    ready,
    reason || "-",
    `${readyNodes} of ${nodes}`,
    digest.slice(0, 12) || "-",
  ]);
  return table(columns, rows);
}

function poolsTable(pools: ClusterHealth["pools"]): string {
  if (pools.length === 0) return "";
  const rows = pools.map(({ name, cidr, blocks, capacity }) => [name, cidr, `${blocks} of ${capacity || "?"}`]);
  return table([{ title: "POOL" }, { title: "CIDR" }, { title: "BLOCKS" }], rows);
}

function problemsText({ problems, healthy }: ClusterHealth): string {
  if (healthy) return "all is well";
  const lines = problems.flatMap(({ where, what, remedy }) => [
    wrap(`${where}: ${what.replace(/\s*\n\s*/g, " ")}`, 4, TABLE_WIDTH),
    wrap(`  look at: ${remedy}`, 4, TABLE_WIDTH),
  ]);
  return [`${problems.length} ${problems.length === 1 ? "problem" : "problems"}:`, ...lines].join("\n");
}
