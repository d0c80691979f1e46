import type { StageFigures, Trap } from "../../dataplane/protocol.js";
import { ownPlace, placeText } from "../../dataplane/traps.js";
import { clock, wrap } from "../output.js";
import { hexDump, packetSummary } from "../packets.js";

/**
 * Why a stage failed last: where in its source, and with which packet. @param isVerbose with all
 * frames, not only those down to the plugin's own code, and with the packet's bytes
 */
export function trapLines({ name, lastFailure, lastTrap }: StageFigures, isVerbose: boolean): string[] {
  if (lastTrap === null) return lastFailure === "" ? [] : [wrap(`${name} failed last: ${lastFailure}`, 2)];
  const { code, message, version, hook, worker, at, frames, packetHex, packetSummary: summary } = lastTrap;
  const own = frames.findIndex(isOwn);
  const shown = isVerbose ? frames : frames.slice(0, Math.max(own, 0) + 1);
  return [
    wrap(`${name} ${version} failed last ${clock(at)} in ${hook}, worker ${worker}: ${code}: ${message}`, 2),
    ...shown.map(frameText),
    wrap(`  packet ${packetSummary(packetHex, summary)}`, 4),
    ...(isVerbose ? hexDump(packetHex, 4) : []),
  ];
}

function isOwn({ source }: Trap["frames"][number]): boolean {
  return source !== null && (source.near !== null || !source.file.startsWith("~"));
}

function frameText({ source, function: compiled, offset }: Trap["frames"][number]): string {
  if (source === null) return `  in ${compiled} at offset ${offset}`;
  const library = source.near === null ? "" : ` (from ${placeText(source)})`;
  return wrap(`  at ${ownPlace(source)} in ${source.function}${library}`, 4);
}
