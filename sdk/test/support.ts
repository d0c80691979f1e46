import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { NodeStage } from "@sluice/sdk/testing";

export const fixture = (name: string): string => fileURLToPath(new URL(`assembly/${name}.ts`, import.meta.url));

/** Builds a fixture and loads it into Node. */
export async function stageOf(name: string): Promise<NodeStage> {
  return new NodeStage((await buildPlugin({ entry: fixture(name) })).wasm);
}

/** Numbers that look random and are the same in each run. */
export function* numbers(seed: number): Generator<number, never> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}
