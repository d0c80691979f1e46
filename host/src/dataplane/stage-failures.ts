import type { StageStatus } from "@sluice/native";

/** All that a stage did wrong: calls that failed, and packets whose output was refused. */
export function failuresOf({ failures, invalidOutputs }: Pick<StageStatus, "failures" | "invalidOutputs">): number {
  return failures + invalidOutputs;
}
