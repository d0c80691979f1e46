import type { Caller, Family, Outcome, Transport } from "../../connectivity/checks.js";
import { TABLE_WIDTH, table, wrap } from "../output.js";

const COLUMNS: readonly [Transport, Family, string][] = [
  ["tcp", "v4", "TCP IPv4"],
  ["udp", "v4", "UDP IPv4"],
  ["tcp", "v6", "TCP IPv6"],
  ["udp", "v6", "UDP IPv6"],
];

/** A row for each path, and below what failed, with what to look at. @param seconds that it took */
export function connectivityText(namespace: string, outcomes: readonly Outcome[], seconds: number): string {
  const rows = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const { path, from, to } = outcome.check;
    const key = JSON.stringify([path, callerText(from), to]);
    rows.set(key, [...(rows.get(key) ?? []), outcome]);
  }
  const columns = [{ title: "PATH" }, { title: "FROM" }, { title: "TO" }, ...COLUMNS.map(([, , title]) => ({ title }))];
  const matrix = table(
    columns,
    [...rows].map(([key, own]) => [...(JSON.parse(key) as string[]), ...COLUMNS.map((column) => cell(own, column))]),
  );
  const failed = outcomes.filter(({ ok }) => !ok);
  const took = `in ${seconds.toFixed(0)} s`;
  const foot =
    failed.length === 0
      ? `all ${outcomes.length} calls went as they should, ${took}`
      : `${failed.length} of ${outcomes.length} calls did not go as they should, ${took}:`;
  return [matrix, [foot, ...failed.flatMap((outcome) => failureLines(namespace, outcome))].join("\n")].join("\n\n");
}

/** A call of no one family, such as one by a name, stands in the first column of its transport. */
function cell(outcomes: readonly Outcome[], [transport, family]: (typeof COLUMNS)[number]): string {
  const own = outcomes.filter(({ check }) => check.transport === transport && (check.family ?? "v4") === family);
  if (own.length === 0) return "-";
  return own.every(({ ok }) => ok) ? "ok" : "FAIL";
}

export const callerText = (from: Caller): string => ("pod" in from ? from.pod : `node ${from.node}`);

function failureLines(namespace: string, { check, error }: Outcome): string[] {
  const { path, from, to, transport, family, probe } = check;
  const target = probe.kind === "url" ? probe.host : `${probe.host} port ${probe.port}`;
  const over = [transport.toUpperCase(), family === undefined ? "" : `IP${family}`].filter(Boolean).join(" over ");
  return [
    wrap(`  ${path}, ${callerText(from)} to ${to} (${target}), ${over}: ${error}`, 6, TABLE_WIDTH),
    wrap(`    look at: ${lookAt(namespace, check).join("; ")}`, 6, TABLE_WIDTH),
  ];
}

/** What tells most of a path that fails. `--keep` leaves the pods to try it with. */
function lookAt(namespace: string, { path, from, allowed, probe }: Outcome["check"]): string[] {
  const pod = "pod" in from ? ` --pod ${namespace}/${from.pod}` : "";
  if (!allowed) return ["kubectl get networkpolicy -A", "sluice plugin show egress-policy --name NODE"];
  if (path.endsWith("by DNS"))
    return ["kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide", "kubectl get svc -A"];
  const trace = probe.kind === "url" ? "sluice trace" : `sluice trace host ${probe.host}`;
  return [`sluice observe --verdict dropped${pod}`, trace, "sluice status"];
}
