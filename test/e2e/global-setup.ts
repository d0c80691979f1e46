import { removeLeftovers } from "../support/leftovers.js";

/** What killed runs left behind goes before the tests, what this run's killed workers left goes after them. */
export async function setup(): Promise<void> {
  await removeLeftovers();
}

export async function teardown(): Promise<void> {
  await removeLeftovers();
}
