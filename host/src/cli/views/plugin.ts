import type { PluginInfo, StageFigures } from "../../dataplane/protocol.js";
import { count, wrap } from "../output.js";
import { metricsText } from "./metrics.js";
import { trapLines } from "./traps.js";

type Row = [key: string, value: string];

/** What nodes that run the same have in common. */
export type SharedInfo = Omit<PluginInfo, "revisions" | "scope">;

export function infoRows({ name, version, digest, origin, hooks, failure, budgetUs }: SharedInfo): Row[] {
  return [
    ["plugin", `${name} ${version}`],
    ["digest", digest],
    ["from", origin],
    ["hooks", hooks.join(", ")],
    ["on failure", `${failure}, after at most ${budgetUs} us a call`],
  ];
}

export const rowsText = (rows: readonly Row[]): string =>
  rows.map(([key, value]) => wrap(`${key.padEnd(11)} ${value}`, 12)).join("\n");

/** All that a node knows of a plugin. @param isVerbose with all of the last failure */
export function pluginText(plugin: PluginInfo, stage: StageFigures | undefined, isVerbose: boolean): string {
  const { scope, revisions } = plugin;
  const rows: Row[] = [
    ...infoRows(plugin),
    ["sees", scope.length === 0 ? "all packets" : `packets of ${scope.join(", ")}`],
    ["revisions", revisions.map((each) => `${each.number} (${each.version}, ${each.appliedAt})`).join(", ")],
    ...(stage === undefined ? [] : figures(stage)),
  ];
  const parts = [
    rowsText(rows),
    ...(stage === undefined ? [] : [metricsText([stage]), trapLines(stage, isVerbose).join("\n")]),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function figures(stage: StageFigures): Row[] {
  const { state, packets, cycles, drops, settled, emitted, mirrored, failures, invalidOutputs } = stage;
  const perPacket = packets === 0 ? "" : `, ${(cycles / packets).toFixed(1)} cycles each`;
  const dropped = Object.entries(drops).map(([reason, value]) => `${reason} ${count(value)}`);
  return [
    ["state", state],
    ["packets", count(packets) + perPacket],
    ...(settled === 0 ? [] : [["settled", `${count(settled)} passed without it, their flows settled`] as Row]),
    ["drops", dropped.join(", ") || "none"],
    ["sent", `${count(emitted)} of its own, ${count(mirrored)} copies`],
    ["failures", `${count(failures)}, invalid outputs ${count(invalidOutputs)}`],
  ];
}
