import type { StageTrap } from "@sluice/native";
import type { Logger } from "pino";
import type { PluginSources } from "./plugin-sources.js";
import type { Figures, NativeFigures, Place, Source, Trap } from "./protocol.js";

/** The figures with the frames of each stage's last trap placed in its source. */
export async function withSources(figures: NativeFigures, sources: PluginSources): Promise<Figures> {
  const stages = await Promise.all(
    figures.stages.map(async (stage) => ({ ...stage, lastTrap: await placed(stage.lastTrap, sources) })),
  );
  return { ...figures, stages };
}

async function placed(trap: StageTrap | null, sources: PluginSources): Promise<Trap | null> {
  return trap && { ...trap, frames: await sources.place(trap.digest, trap.frames) };
}

/** Where a stage failed last, for the end of a line: " at assembly/index.ts:13:20 in process"; empty when unknown. */
export async function trapPlace(trap: StageTrap | null, sources: PluginSources): Promise<string> {
  const source = sourceOfTrap(await placed(trap, sources));
  return source === undefined ? "" : ` at ${ownPlace(source)} in ${source.function}`;
}

/** Of the innermost frame that has one. */
function sourceOfTrap(trap: Trap | null): Source | undefined {
  return trap?.frames.find(({ source }) => source !== null)?.source ?? undefined;
}

/** "assembly/index.ts:13:20"; of a place in the library the plugin's own line that led there. */
export function ownPlace(source: Source): string {
  return placeText(source.near ?? source);
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** Writes each trap to the log, once. */
export class TrapLog {
  /** Time of the last one written, by stage. */
  private readonly written = new Map<string, number>();

  constructor(private readonly log: Logger) {}

  write({ stages }: Figures): void {
    for (const { name, lastTrap, failures } of stages) {
      if (lastTrap === null || this.written.get(name) === lastTrap.at) continue;
      this.written.set(name, lastTrap.at);
      const { code, message, version, hook, worker, packetSummary, packetHex } = lastTrap;
      const source = sourceOfTrap(lastTrap);
      const at = source && { source: ownPlace(source), function: source.function };
      const packet = { summary: packetSummary, hex: packetHex };
      this.log.error({ stage: name, version, hook, worker, code, ...at, packet, failures }, `stage failed: ${message}`);
    }
  }
}
