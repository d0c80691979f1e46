import type { StageTrap } from "@sluice/native";
import type { NativeFigures } from "./protocol.js";
import { failuresOf } from "./stage-failures.js";

/** Failures of stages between two readings; a counter that went down was started anew. */
export function failuresSince(
  before: NativeFigures,
  after: NativeFigures,
  plugins: readonly string[],
): { name: string; failures: number; last: string; trap: StageTrap | null }[] {
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
