// What a stage counted, from the cells of its COUNTERS region.

import type { Manifest } from "../build/manifest.js";

/** Values by name. */
export interface Metrics {
  counters: Record<string, number>;
  gauges: Record<string, number>;
  histograms: Record<string, HistogramValue>;
}
/** What a histogram has counted. */
export interface HistogramValue {
  /** Ascending. */
  bounds: number[];
  /** Of each bound, the values that are at most it and above the one before; then those above the last. */
  counts: number[];
  /** Of all values. */
  sum: number;
}

/** Cells are in the manifest's order: counters, gauges, then each histogram's counts and sum. */
export function readMetrics(manifest: Manifest, cells: BigUint64Array): Metrics {
  let at = 0;
  const next = () => cells[at++] ?? 0n;
  const counters = Object.fromEntries(manifest.counters.map((name) => [name, Number(next())]));
  const gauges = Object.fromEntries(manifest.gauges.map((name) => [name, Number(BigInt.asIntN(64, next()))]));
  const histograms = Object.fromEntries(
    manifest.histograms.map(({ name, bounds }) => {
      const counts = Array.from({ length: bounds.length + 1 }, () => Number(next()));
      return [name, { bounds, counts, sum: Number(next()) }];
    }),
  );
  return { counters, gauges, histograms };
}

/** What two instances, one after the other, counted: gauges are the later one's. */
export function addMetrics(past: Metrics, current: Metrics): Metrics {
  const counters = Object.fromEntries(
    Object.entries(current.counters).map(([name, value]) => [name, value + (past.counters[name] ?? 0)]),
  );
  const histograms = Object.fromEntries(
    Object.entries(current.histograms).map(([name, value]) => [name, addHistograms(past.histograms[name], value)]),
  );
  return { counters, gauges: current.gauges, histograms };
}

function addHistograms(past: HistogramValue | undefined, { bounds, counts, sum }: HistogramValue): HistogramValue {
  if (!past || past.bounds.join() !== bounds.join()) return { bounds, counts, sum };
  return { bounds, counts: counts.map((count, i) => count + (past.counts[i] ?? 0)), sum: sum + past.sum };
}
