import type { Logger } from "pino";
import type { Snapshot, Store } from "./store.js";

/** A changed node is written to the store this much later, together with what changes meanwhile. */
const WRITE_MS = 500;

export interface StateWriterOptions {
  readonly store: Store;
  readonly log: Logger;
  /** What is live; undefined: nothing is. */
  readonly current: () => Snapshot | undefined;
}

/** Who writes snapshots, one after the other. */
export class StateWriter {
  private waiting: NodeJS.Timeout | undefined;
  private turns: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: StateWriterOptions) {}

  /** What is live will be written in a moment. Transactions go on meanwhile: of a large node it takes a while. */
  later(): void {
    this.waiting ??= setTimeout(() => {
      this.turn(() => this.write()).catch((error: unknown) => {
        this.options.log.error({ err: error }, "the node's state was not written; a restart begins with an older one");
      });
    }, WRITE_MS);
  }

  /** Does what uses the store when nobody else does. */
  turn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.turns.then(work);
    this.turns = done.catch(() => undefined);
    return done;
  }

  /** All that was live up to now has been written. */
  written(): void {
    clearTimeout(this.waiting);
    this.waiting = undefined;
  }

  /** Writes what waits for it. */
  flush(): Promise<void> {
    return this.turn(() => this.write());
  }

  private async write(): Promise<void> {
    const snapshot = this.waiting === undefined ? undefined : this.options.current();
    this.written();
    if (snapshot === undefined) return;
    const pending = await this.options.store.prepare(snapshot, new Map());
    await pending.commit();
  }
}
