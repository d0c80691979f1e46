import type { Figure } from "./result.js";

/** @param values one at least */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of milliseconds: the median under the name, and the 99th percentile. */
export function latencies(name: string, values: readonly number[]): Figure[] {
  return [
    { name, unit: "ms", value: quantile(values, 0.5) },
    { name: `${name}-p99`, unit: "ms", value: quantile(values, 0.99) },
  ];
}
