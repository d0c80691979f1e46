import { median } from "./median.js";
import type { Figure } from "./result.js";

/** What is compared, and in what unit. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly reference: string;
  readonly value: () => Promise<number>;
  readonly referenceValue: () => Promise<number>;
}

/** Measures both in turns, `rounds` times each; the medians count. */
export async function compare(
  { name, unit, reference, value, referenceValue }: Comparison,
  rounds: number,
): Promise<Figure> {
  const values: number[] = [];
  const references: number[] = [];
  for (let round = 0; round < rounds; round++) {
    values.push(await value());
    references.push(await referenceValue());
  }
  const [ours, theirs] = [median(values), median(references)];
  return { name, unit, value: ours, reference: { name: reference, value: theirs }, ratio: ours / theirs };
}
