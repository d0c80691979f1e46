/** What a step saw: one line for the table, and more for the reader of the run. */
export interface Seen {
  headline: string;
  details: string[];
}

export interface StepResult {
  title: string;
  passed: boolean;
  /** Of a failed step: why it failed. */
  seen: Seen;
  seconds: number;
}

const TITLE_WIDTH = 27;
const RULE = "─".repeat(110);

/** The table at the end: a row a step. */
export function summary(results: readonly StepResult[], totalSeconds: number): string {
  const failed = results.filter((result) => !result.passed).length;
  const verdict = failed === 0 ? `All ${results.length} steps passed` : `${failed} of ${results.length} steps FAILED`;
  const rows = results.map(({ title, passed, seconds, seen }) =>
    row(title, passed ? "ok" : "FAILED", seconds.toFixed(1), seen.headline),
  );
  return [
    RULE,
    row("step", "result", "s", "what was seen"),
    RULE,
    ...rows,
    RULE,
    `${verdict} in ${totalSeconds.toFixed(0)} s.`,
  ].join("\n");
}

function row(title: string, result: string, seconds: string, headline: string): string {
  return `${title.padEnd(TITLE_WIDTH)} ${result.padEnd(6)} ${seconds.padStart(5)}  ${headline}`.trimEnd();
}
