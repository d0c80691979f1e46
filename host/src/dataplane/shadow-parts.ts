import type { Problem } from "../errors.js";
import type { Shadow, ShadowReport } from "./protocol.js";

/** Longest part of a shadow run: a pod that is added meanwhile waits for it. */
const PART_MS = 250;

/**
 * A shadow run made of short ones. @param run one of them; undefined: there is nothing to compare with (any more)
 * @returns what they saw together; it has not passed once there were more differences than allowed, or a failure
 */
export async function inParts(
  plugin: string,
  { packets, maxDifferences, timeoutMs }: Shadow,
  run: (limits: Shadow) => Promise<ShadowReport | undefined>,
): Promise<ShadowReport> {
  const end = performance.now() + timeoutMs;
  let all: ShadowReport = { plugin, passed: true, packets: 0, differences: 0, failures: 0, first: "" };
  for (;;) {
    const left = end - performance.now();
    if (!all.passed || all.packets >= packets || left <= 0) return all;
    const part = await run({
      packets: packets - all.packets,
      maxDifferences: maxDifferences - all.differences,
      timeoutMs: Math.ceil(Math.min(left, PART_MS)),
    });
    if (part === undefined) return all;
    all = together(all, part, maxDifferences);
  }
}

/** A part that ended before enough packets came has not passed, and says no more of the version than what it saw. */
function together(all: ShadowReport, part: ShadowReport, maxDifferences: number): ShadowReport {
  const differences = all.differences + part.differences;
  const failures = all.failures + part.failures;
  const isNews = part.differences + part.failures > 0;
  return {
    plugin: all.plugin,
    passed: failures === 0 && differences <= maxDifferences,
    packets: all.packets + part.packets,
    differences,
    failures,
    first: all.first || (isNews ? part.first : ""),
  };
}

/** Of a run that has not passed. */
export function shadowProblem(report: ShadowReport): Problem {
  const { plugin, packets, differences, failures, first } = report;
  const seen = `${packets} packets: ${differences} treated otherwise, ${failures} failures`;
  return { code: "shadow-refused", path: `/plugins/${plugin}`, message: `${seen}; first: ${first}` };
}
