import { afterAll, afterEach, beforeAll, type TestContext } from "vitest";
import { Cleanup } from "../support/cleanup.js";

/** What a suite's tests have in common: made before them, gone after them, and told of when one of them failed. */
export function sharedWorld<World>(
  start: (cleanup: Cleanup) => Promise<World>,
  diagnosis: (world: World) => Promise<string>,
): () => World {
  const cleanup = new Cleanup();
  let started: World | undefined;

  beforeAll(async () => {
    started = await start(cleanup);
  });

  afterAll(() => cleanup.close());

  /** What is worth knowing of a cluster when a test on it failed. */
  afterEach(async ({ task }: TestContext) => {
    if (task.result?.state === "fail" && started !== undefined) console.log(await diagnosis(started));
  });

  return () => {
    if (started === undefined) throw new Error("the cluster did not come up");
    return started;
  };
}
