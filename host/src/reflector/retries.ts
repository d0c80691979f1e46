import type { SluiceError } from "../errors.js";

/** What may be otherwise next time. Mistakes of a source are not. */
const PASSING = /^(fetch-failed|kube-.*|etcd-.*|not-found|not-readable|bad-pull-secret)$/;
const PASSING_MS = 5_000;
/** Most often it is the source's doing, and each time takes all that a compiler may use. */
const CRASHED = "compile-crashed";
const CRASHED_MS = 10_000;
const CRASHED_MOST_MS = 600_000;

/**
 * How long a version that could not be made is left alone; undefined: until the Plugin, or what it is made of, changes.
 * @param failures how many times in a row, of the same Plugin and sources
 */
export function retryAfterMs(error: SluiceError, failures: number): number | undefined {
  if (isCrash(error)) return Math.min(CRASHED_MS * 2 ** (failures - 1), CRASHED_MOST_MS);
  return error.problems.some(({ code }) => PASSING.test(code)) ? PASSING_MS : undefined;
}

/** Whether it is the compiler that ended, and not a mistake that it found. */
export const isCrash = ({ problems }: SluiceError): boolean => problems.some(({ code }) => code === CRASHED);
