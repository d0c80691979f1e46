export interface StepResult {
  title: string;
  passed: boolean;
  /** What was seen, or why it failed: the first line goes into the table. */
  seen: string;
  seconds: number;
}

const WIDTH = { title: 34, result: 6, seconds: 7 };

/** The summary: one row a step, then figures as they were measured. */
export function summary(results: readonly StepResult[], totalSeconds: number): string {
  const rule = "─".repeat(100);
  const rows = results.map((result) =>
    row(result.title, result.passed ? "ok" : "FAILED", result.seconds.toFixed(1), result.seen),
  );
  const failed = results.filter((result) => !result.passed).length;
  const verdict = failed === 0 ? `All ${results.length} steps passed` : `${failed} of ${results.length} steps FAILED`;
  return [
    rule,
    row("step", "result", "s", "what was seen"),
    rule,
    ...rows,
    rule,
    `${verdict} in ${totalSeconds.toFixed(0)} s.`,
  ].join("\n");
}

function row(title: string, result: string, seconds: string, seen: string): string {
  const [first = "", ...more] = seen.split("\n");
  const indent = " ".repeat(WIDTH.title + WIDTH.result + WIDTH.seconds + 3);
  const head = `${title.padEnd(WIDTH.title)} ${result.padEnd(WIDTH.result)} ${seconds.padStart(WIDTH.seconds - 1)}  ${first}`;
  return [head.trimEnd(), ...more.map((line) => `${indent}${line}`)].join("\n");
}
