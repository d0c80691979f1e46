import type { PluginInfo, StageFigures } from "../../dataplane/protocol.js";
import { count, wrap } from "../output.js";
import { metricsText } from "./metrics.js";
import { trapLines } from "./traps.js";

/** All that a node knows of a plugin. @param isVerbose with all of the last failure */
export function pluginText(plugin: PluginInfo, stage: StageFigures | undefined, isVerbose: boolean): string {
  const { name, version, digest, origin, hooks, failure, budgetUs, scope, revisions } = plugin;
  const rows: [string, string][] = [
    ["plugin", `${name} ${version}`],
    ["digest", digest],
    ["from", origin],
    ["hooks", hooks.join(", ")],
    ["sees", scope.length === 0 ? "all packets" : `packets of ${scope.join(", ")}`],
    ["on failure", `${failure}, after at most ${budgetUs} us a call`],
    ["revisions", revisions.map((each) => `${each.number} (${each.version}, ${each.appliedAt})`).join(", ")],
    ...(stage === undefined ? [] : figures(stage)),
  ];
  const parts = [
    rows.map(([key, value]) => wrap(`${key.padEnd(11)} ${value}`, 12)).join("\n"),
    ...(stage === undefined ? [] : [metricsText([stage]), trapLines(stage, isVerbose).join("\n")]),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function figures(stage: StageFigures): [string, string][] {
  const { state, packets, cycles, drops, settled, emitted, mirrored, failures, invalidOutputs } = stage;
  const perPacket = packets === 0 ? "" : `, ${(cycles / packets).toFixed(1)} cycles each`;
  const dropped = Object.entries(drops).map(([reason, value]) => `${reason} ${count(value)}`);
  return [
    ["state", state],
    ["packets", count(packets) + perPacket],
    ...(settled === 0
      ? []
      : [["settled", `${count(settled)} passed without it, their flows settled`] as [string, string]]),
    ["drops", dropped.join(", ") || "none"],
    ["sent", `${count(emitted)} of its own, ${count(mirrored)} copies`],
    ["failures", `${count(failures)}, invalid outputs ${count(invalidOutputs)}`],
  ];
}
