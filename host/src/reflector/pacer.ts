import { setTimeout as sleep } from "node:timers/promises";

export interface PacerOptions {
  /** What changes within this time is dealt with in one pass. */
  readonly gatherMs: number;
  /** The longest time between two passes: what failed, and what only time makes due. */
  readonly revisitMs: number;
  /** The first change after a time of quiet does not wait for others. */
  readonly isPrompt?: boolean;
}

/** Runs passes over a state: soon after it is poked, and every now and then without. Never two at a time. */
export class Pacer {
  readonly #options: PacerOptions;
  #wake: (() => void) | undefined;
  #poked = false;
  /** When the last pass began, in milliseconds of this process. */
  #begun = 0;

  constructor(options: PacerOptions) {
    this.#options = options;
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
      this.#begun = performance.now();
      await pass();
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    const due = new AbortController();
    this.#wake = () => due.abort();
    signal.addEventListener("abort", this.#wake);
    if (!this.#poked) await sleep(this.#options.revisitMs, undefined, { signal: due.signal }).catch(() => undefined); // woken
    signal.removeEventListener("abort", this.#wake);
    this.#wake = undefined;
    const { gatherMs, isPrompt = false } = this.#options;
    const waited = isPrompt ? performance.now() - this.#begun : 0;
    if (waited < gatherMs) await sleep(gatherMs - waited);
  }
}
