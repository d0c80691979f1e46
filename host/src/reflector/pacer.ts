import { setTimeout as sleep } from "node:timers/promises";

/** Runs passes over a state: soon after it is poked, and every now and then without. Never two at a time. */
export class Pacer {
  readonly #gatherMs: number;
  readonly #revisitMs: number;
  #wake: (() => void) | undefined;
  #poked = false;

  /**
   * @param gatherMs what changes within this time is dealt with in one pass
   * @param revisitMs the longest time between two passes: what failed, and what only time makes due
   */
  constructor(gatherMs: number, revisitMs: number) {
    this.#gatherMs = gatherMs;
    this.#revisitMs = revisitMs;
  }

  /** Something has changed. */
  poke(): void {
    this.#poked = true;
    this.#wake?.();
  }

  async run(pass: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#untilDue(signal);
      if (signal.aborted) return;
      this.#poked = false;
      await pass();
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    const due = new AbortController();
    this.#wake = () => due.abort();
    signal.addEventListener("abort", this.#wake);
    if (!this.#poked) await sleep(this.#revisitMs, undefined, { signal: due.signal }).catch(() => undefined); // woken
    signal.removeEventListener("abort", this.#wake);
    this.#wake = undefined;
    await sleep(this.#gatherMs);
  }
}
