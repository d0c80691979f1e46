import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import { INSTANCE_KEY } from "../cluster/keys.js";
import type { SluiceError } from "../errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { MAX_WRITES, type Write } from "../store/transaction.js";
import type { PrefixWatch } from "../store/watch.js";

export interface EtcdReportOptions {
  readonly store: EtcdStore;
  /** What is below them is the agent's alone. */
  readonly prefixes: readonly string[];
  /** All that is to be there now, by key. */
  readonly wanted: () => ReadonlyMap<string, string>;
  readonly log: Logger;
}

/** Changes that come within this time are written together. */
const GATHER_MS = 50;
/** Keeps a part of etcd as the agent says, whatever becomes of the connection. */
export class EtcdReport {
  /** What etcd has, as far as it is known. */
  private written: ReadonlyMap<string, string> = new Map();
  private isKnown = false;
  private isDirty = true;
  /** Tells of another etcd: what was written is not in it. */
  private readonly instance: PrefixWatch;
  private wake = () => {};
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private readonly backoff = new Backoff();

  constructor(private readonly options: EtcdReportOptions) {
    this.running = this.run();
    this.instance = options.store.watch(INSTANCE_KEY, { changed: () => this.replaced() });
  }

  touch(): void {
    this.isDirty = true;
    this.wake();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.wake();
    await this.instance.close();
    await this.running;
  }

  private replaced(): void {
    this.isKnown = false;
    this.touch();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      if (!this.isDirty) await this.pause();
      await this.pause(GATHER_MS);
      if (signal.aborted) return;
      this.isDirty = false;
      try {
        await this.write();
        this.backoff.reset();
      } catch (error) {
        this.isKnown = false;
        this.isDirty = true;
        this.options.log.warn(
          { problems: (error as SluiceError).problems },
          "etcd does not take the node's report for now",
        );
        await this.backoff.wait(signal);
      }
    }
  }

  private async write(): Promise<void> {
    const { store, wanted } = this.options;
    if (!this.isKnown) {
      this.isKnown = true; // until another etcd is told of, maybe while this one is read
      this.written = await this.read();
    }
    const target = wanted();
    const writes: Write[] = [];
    for (const [key, value] of target) if (this.written.get(key) !== value) writes.push({ put: key, value });
    for (const key of this.written.keys()) if (!target.has(key)) writes.push({ delete: key });
    for (let at = 0; at < writes.length; at += MAX_WRITES) {
      await store.transaction([], writes.slice(at, at + MAX_WRITES));
    }
    this.written = new Map(target);
  }

  private async read(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const prefix of this.options.prefixes) {
      for await (const { entries } of this.options.store.list(prefix)) {
        for (const { key, value } of entries) found.set(key, value);
      }
    }
    return found;
  }

  /** Until something changes, or for `ms`. */
  private pause(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.wake = () => {
        if (ms !== undefined && !this.stopping.signal.aborted) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
