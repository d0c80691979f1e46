import type { StageFigures } from "../../dataplane/protocol.js";
import { count, NARROW_WIDTH, table } from "../output.js";

/** Stages' counters, gauges and histograms. */
export function metricsText(stages: readonly StageFigures[]): string {
  return [countersTable(stages), gaugesTable(stages), histogramsText(stages)]
    .filter((part) => part !== "")
    .join("\n\n");
}

export function countersTable(stages: readonly StageFigures[]): string {
  return valuesTable("COUNTER", stages, ({ counters }) => counters);
}

function gaugesTable(stages: readonly StageFigures[]): string {
  return valuesTable("GAUGE", stages, ({ gauges }) => gauges);
}

function valuesTable(
  title: string,
  stages: readonly StageFigures[],
  valuesOf: (stage: StageFigures) => Readonly<Record<string, number>>,
): string {
  const rows = stages.flatMap((stage) =>
    Object.entries(valuesOf(stage)).map(([name, value]) => [stage.name, name, count(value)]),
  );
  if (rows.length === 0) return "";
  return table([{ title: "STAGE" }, { title }, { title: "VALUE", right: true }], rows);
}

const BAR = 30;

/** A line a bound, with bars as long as the counts. */
function histogramsText(stages: readonly StageFigures[]): string {
  return stages
    .flatMap(({ name, histograms }) =>
      Object.entries(histograms).map(([histogram, values]) => histogramText(`${name} ${histogram}`, values)),
    )
    .join("\n\n");
}

function histogramText(title: string, { bounds, counts, sum }: StageFigures["histograms"][string]): string {
  const all = counts.reduce((total, value) => total + value, 0);
  const most = Math.max(1, ...counts);
  const columns = [{ title: "UP TO", right: true }, { title: "COUNT", right: true }, { title: "" }];
  const rows = counts.map((value, index) => [
    bounds[index] === undefined ? "above" : count(bounds[index]),
    count(value),
    "#".repeat(Math.round((BAR * value) / most)),
  ]);
  const mean = all === 0 ? "" : `  mean ${(sum / all).toFixed(1)}`;
  return `${title}: ${count(all)} values${mean}\n${table(columns, rows, NARROW_WIDTH)}`;
}
