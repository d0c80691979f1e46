import { isLeftover, removeLeftovers } from "../support/leftovers.js";
import { takeDown } from "./take-down.js";

/** What killed runs left behind goes before the tests, what this run's killed workers left goes after them. */
export async function setup(): Promise<void> {
  await takeDown(isLeftover);
  await removeLeftovers();
}

export const teardown = setup;
