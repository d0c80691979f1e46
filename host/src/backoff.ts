import { setTimeout as sleep } from "node:timers/promises";

/** Waits between attempts: twice as long each time, jittered so that those who lost the same server don't return at once. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #failures = 0;

  constructor(minMs = 100, maxMs = 3000) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  /** After a success: the next wait is a short one again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Between half and all of the attempt's share. Ends early, without an error, when `signal` is aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = Math.min(this.#maxMs, this.#minMs * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures = Math.min(this.#failures + 1, 16);
    await sleep(ms, undefined, { signal }).catch(() => undefined); // the caller looks at the signal
  }
}
