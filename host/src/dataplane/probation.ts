import type { StageTrap } from "@sluice/native";
import type { Problem } from "../errors.js";
import type { PluginSources } from "./plugin-sources.js";
import type { NativeFigures, Probation } from "./protocol.js";
import { failuresOf } from "./stage-failures.js";
import { failureOf, failureText, placeTrap } from "./traps.js";

const WATCH_MS = 50;

export interface StageFailures {
  readonly name: string;
  readonly failures: number;
  /** The last one, in words. */
  readonly last: string;
  readonly trap: StageTrap | null;
}

/** Failures of stages between two readings; a counter that went down was started anew. */
export function failuresSince(
  before: NativeFigures,
  after: NativeFigures,
  plugins: readonly string[],
): StageFailures[] {
  return after.stages
    .filter(({ name }) => plugins.includes(name))
    .map((stage) => {
      const old = before.stages.find(({ name }) => name === stage.name);
      const base = old === undefined ? 0 : failuresOf(old);
      const now = failuresOf(stage);
      return {
        name: stage.name,
        failures: now < base ? now : now - base,
        last: stage.lastFailure,
        trap: stage.lastTrap,
      };
    });
}

/** Looks at stages' failures until some are too many, or the probation is over: then there are none. */
export async function failingOn(
  { durationMs, maxFailures }: Probation,
  counted: () => readonly StageFailures[],
): Promise<StageFailures[]> {
  const end = Date.now() + durationMs;
  for (;;) {
    const failing = counted().filter(({ failures }) => failures > maxFailures);
    const left = end - Date.now();
    if (failing.length > 0 || left <= 0) return failing;
    await new Promise((wake) => setTimeout(wake, Math.min(left, WATCH_MS)));
  }
}

/** What whoever changed the plugins is told, with the places of traps in their sources. */
export function rolledBack(
  failing: readonly StageFailures[],
  { maxFailures }: Probation,
  sources: PluginSources,
): Promise<Problem[]> {
  const problemOf = async ({ name, failures, last, trap }: StageFailures): Promise<Problem> => {
    const why = trap === null ? last : failureText(failureOf(await placeTrap(trap, sources)));
    const message = `failed ${failures} times on probation (allowed: ${maxFailures}), the previous version is live again: ${why}`;
    return { code: "rolled-back", path: `/plugins/${name}`, message };
  };
  return Promise.all(failing.map(problemOf));
}
