/** A benchmark's figure, as `npm run bench -- --json FILE` writes it. */
export interface Figure {
  name: string;
  unit: string;
  value: number;
  /** What it is compared with, measured in the same run on the same core. */
  reference?: { name: string; value: number };
  /** value / reference. */
  ratio?: number;
}

/** What is to be reached: at most or at least so much, of the value or of the ratio. */
interface Mark {
  of: "value" | "ratio";
  most?: number;
  least?: number;
}

/** First marks, not the goal. */
const marks: Record<string, Mark> = {
  "stage-empty-b32": { of: "value", most: 10 },
  "stage-nat-b32": { of: "ratio", most: 1.45 },
  "stage-nat-b256": { of: "ratio", most: 1.3 },
  "service-path-10k": { of: "value", most: 150 },
  "hot-swap": { of: "value", most: 0 },
  "hot-swap-stall": { of: "value", most: 100 },
  "scale-2": { of: "ratio", least: 1.8 },
  "flows-memory": { of: "value", most: 256 },
};

const number = (value: number): string =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));

function wanted({ of, most, least }: Mark): string {
  return `${of === "ratio" ? "ratio " : ""}${most === undefined ? `at least ${least}` : `at most ${most}`}`;
}

/** "reached", "missed", or "" where nothing is to be reached. */
export function judge(figure: Figure): string {
  const mark = marks[figure.name];
  const measured = mark?.of === "ratio" ? figure.ratio : figure.value;
  if (!mark || measured === undefined) return "";
  return measured <= (mark.most ?? Number.POSITIVE_INFINITY) && measured >= (mark.least ?? 0) ? "reached" : "missed";
}

/** One line of the table: name, value with unit, reference, ratio, mark. */
export function line(figure: Figure): string {
  const { name, unit, value, reference, ratio } = figure;
  const mark = marks[name];
  return [
    name.padEnd(18),
    `${number(value)} ${unit}`.padEnd(24),
    (reference ? `${reference.name} ${number(reference.value)}` : "").padEnd(28),
    (ratio === undefined ? "" : ratio.toFixed(2)).padEnd(6),
    mark ? `${wanted(mark)}: ${judge(figure)}` : "",
  ]
    .join(" ")
    .trimEnd();
}
