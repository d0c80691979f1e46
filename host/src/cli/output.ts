/** Where a command writes, and what ends it early; tests give their own. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Bytes to where `out` goes. */
  bytes(data: Uint8Array): void;
  /** Aborted when nobody reads what is written any more. */
  readonly closed: AbortSignal;
  /** Where `out` goes to a terminal. */
  readonly terminal?: Terminal;
}

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
  /** Hands on each key until the function that it returns is called. */
  keys(listener: (key: string) => void): () => void;
}

/** No table is wider. */
export const TABLE_WIDTH = 100;
/** What shows live figures and single packets is no wider. */
export const NARROW_WIDTH = 80;

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Aligned columns, two spaces apart. When they don't fit, the widest one that holds text is cut. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  maxWidth = TABLE_WIDTH,
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  let excess = widths.reduce((sum, width) => sum + width, 2 * (columns.length - 1)) - maxWidth;
  while (excess > 0) {
    const texts = columns.flatMap(({ right }, index) => (right ? [] : [index]));
    const widest = texts.reduce(
      (best, index) => ((widths[index] ?? 0) > (widths[best] ?? 0) ? index : best),
      texts[0] ?? 0,
    );
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  const line = (cells: readonly string[]) =>
    columns
      .map(({ right }, index) => {
        const width = widths[index] ?? 0;
        const cell = shorten(cells[index] ?? "", width);
        return right ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].join("\n");
}

export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** Up to six digits as they are, then k, M, G, T with three significant digits. */
export function count(value: number): string {
  if (value < 1e6) return String(Math.round(value));
  return scaled(value, 1000, ["", "k", "M", "G", "T", "P"]);
}

export function bytes(value: number): string {
  return value < 1024 ? `${value} B` : scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]);
}

/** Breaks a line between words; the lines after the first are indented. */
export function wrap(text: string, indent: number, width = NARROW_WIDTH): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = " ".repeat(indent) + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

/** With one digit after the point; "-" where there is nothing to divide by. */
export function ratio(value: number, by: number): string {
  return by === 0 ? "-" : (value / by).toFixed(1);
}

/** A rate: what is below ten with one digit after the point. */
export function rate(value: number): string {
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

/** Time of day with milliseconds. @param at Unix time in ms */
export function clock(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let unit = 0;
  let rest = value;
  while (rest >= base && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  const digits = rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)}${units[unit]}`;
}

/** "2d 3h", "4m 5s": the two largest units. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .map(([value, unit]) => `${value}${unit}`)
    .join(" ");
}
