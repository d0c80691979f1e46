import { Script } from "node:vm";

/** A call into a stage that did not return in time. */
export class StageTimeout extends Error {
  override readonly name = "StageTimeout";
  constructor(milliseconds: number) {
    super(`the stage did not return within ${milliseconds} ms`);
  }
}

/** What a call into a stage may take unless said otherwise, ms. It is no measure of speed: a busy machine may hold it up for a second. */
export const DEFAULT_TIME_LIMIT = 5000;

// V8 ends WebAssembly as it ends JavaScript; node:vm's time limit does that to whatever the script calls.
const script = new Script("globalThis[Symbol.for('sluice.limited')]()");
const key = Symbol.for("sluice.limited");
const scope = globalThis as { [key]?: () => void };

/**
 * Calls `work` and ends it, in the middle of what it does, after so many milliseconds (0: no limit): throws StageTimeout.
 * Costs 70 us a call.
 */
export function withTimeLimit(milliseconds: number, work: () => void): void {
  if (milliseconds === 0) {
    work();
    return;
  }
  const outer = scope[key];
  scope[key] = work;
  try {
    script.runInThisContext({ timeout: milliseconds });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") throw new StageTimeout(milliseconds);
    throw error;
  } finally {
    if (outer) scope[key] = outer;
    else delete scope[key];
  }
}
