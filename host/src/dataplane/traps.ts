import type { StageTrap } from "@sluice/native";
import type { Logger } from "pino";
import type { PluginSources } from "./plugin-sources.js";
import type { Figures, NativeFigures, Place, Source, Trap } from "./protocol.js";

/** The figures with the frames of each stage's last trap placed in its source. */
export async function withSources(figures: NativeFigures, sources: PluginSources): Promise<Figures> {
  const stages = await Promise.all(
    figures.stages.map(async (stage) => ({
      ...stage,
      lastTrap: stage.lastTrap && (await placeTrap(stage.lastTrap, sources)),
    })),
  );
  return { ...figures, stages };
}

/** At the end of an abort's message: the place of the "throw" or "assert". */
const OWN_PLACE = / at \S+:\d+:\d+$/;

/** The message without its own place where the frames have one: theirs is the plugin's own line also where the library aborts. */
export async function placeTrap(trap: StageTrap, sources: PluginSources): Promise<Trap> {
  const frames = await sources.place(trap.digest, trap.frames);
  const isPlaced = trap.code === "abort" && frames.some(({ source }) => source !== null);
  return { ...trap, frames, message: isPlaced ? trap.message.replace(OWN_PLACE, "") : trap.message };
}

/** Why a stage failed, where in its source and with which packet, as far as that is known. */
export interface Failure {
  readonly message: string;
  /** "assembly/index.ts:13:20 in process" */
  readonly source?: string | undefined;
  readonly packet?: string | undefined;
}

export function failureOf(trap: Trap): Failure {
  const { code, message, packetSummary } = trap;
  const source = sourceOfTrap(trap);
  return {
    message: message.startsWith(code) ? message : `${code}: ${message}`,
    ...(source === undefined ? {} : { source: `${ownPlace(source)} in ${source.function}` }),
    ...(packetSummary === "" ? {} : { packet: packetSummary }),
  };
}

/** "abort: no room at guard.ts:5:3 in process, with packet IPv4 ..." */
export function failureText({ message, source, packet }: Failure): string {
  const at = source === undefined ? "" : ` at ${source}`;
  return `${message}${at}${packet === undefined ? "" : `, with packet ${packet}`}`;
}

/** Of the innermost frame that has one. */
function sourceOfTrap(trap: Trap): Source | undefined {
  return trap.frames.find(({ source }) => source !== null)?.source ?? undefined;
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
