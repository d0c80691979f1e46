/** What became of lines: a mark (" ", "-" or "+") before each. */
export type DiffLine = `${" " | "-" | "+"}${string}`;

/** Lines around what differs that are shown. */
const CONTEXT = 3;

/** A shortest way from one text to another, by lines (Myers, "An O(ND) Difference Algorithm", 1986). */
export function lineDiff(before: readonly string[], after: readonly string[]): DiffLine[] {
  const traces = shortestEdit(before, after);
  const lines: DiffLine[] = [];
  let [x, y] = [before.length, after.length];
  for (let edits = traces.length - 1; edits >= 0; edits--) {
    const reach = traces[edits] as Map<number, number>;
    const k = x - y;
    const down = k === -edits || (k !== edits && reached(reach, k - 1) < reached(reach, k + 1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = edits === 0 ? 0 : reached(reach, fromK);
    const fromY = edits === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY) {
      lines.push(` ${before[--x] ?? ""}`);
      y--;
    }
    if (edits === 0) break;
    if (down) lines.push(`+${after[--y] ?? ""}`);
    else lines.push(`-${before[--x] ?? ""}`);
  }
  return lines.reverse();
}

const reached = (reach: ReadonlyMap<number, number>, k: number) => reach.get(k) ?? -1;

/** For each number of edits how far it had been on each diagonal before. */
function shortestEdit(before: readonly string[], after: readonly string[]): Map<number, number>[] {
  const reach = new Map<number, number>([[1, 0]]);
  const traces: Map<number, number>[] = [];
  for (let edits = 0; ; edits++) {
    traces.push(new Map(reach));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && reached(reach, k - 1) < reached(reach, k + 1));
      let x = down ? reached(reach, k + 1) : reached(reach, k - 1) + 1;
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x++;
      reach.set(k, x);
      if (x >= before.length && x - k >= after.length) return traces;
    }
  }
}

/** The lines that differ, with those around them; what is left out is marked. Empty: nothing differs. */
export function changedLines(lines: readonly DiffLine[]): string[] {
  const isShown = lines.map((_line, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some((near) => !near.startsWith(" ")),
  );
  return lines.flatMap((line, at) => {
    if (isShown[at] === true) return [line];
    return isShown[at - 1] === true && at < lines.length - 1 ? ["..."] : [];
  });
}
