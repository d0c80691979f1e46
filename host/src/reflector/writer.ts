import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import { messageOf, type SluiceError } from "../errors.js";
import { hasCode } from "../store/errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { type Condition, MAX_WRITES, type Write } from "../store/transaction.js";

/** Of what a key holds: 48 bits of its value's hash. */
export type Digest = number;

export function digestOf(value: string): Digest {
  return createHash("sha1").update(value).digest().readUIntBE(0, 6);
}

export interface WriterOptions {
  readonly store: EtcdStore;
  /** Holds as long as this process may write. */
  readonly fence: Condition;
  readonly log: Logger;
  /** etcd does not take the value. */
  readonly onRefused: (key: string, error: SluiceError) => void;
}

/** etcd refuses requests of more than 1.5 MiB. */
const MAX_BATCH_BYTES = 1 << 20;
/** Writes that wait: whoever wants more waits too. */
const MAX_PENDING = 4096;

/**
 * Makes keys hold values: writes only what differs from what they hold, the newest value of a key, many in one transaction.
 * Where etcd does not answer they wait.
 */
export class EtcdWriter {
  readonly #options: WriterOptions;
  /** What etcd holds, as far as is known. */
  readonly #held = new Map<string, Digest>();
  readonly #pending = new Map<string, string | undefined>();
  #flying: ReadonlyMap<string, string | undefined> = new Map();
  #wake: (() => void) | undefined;
  #settled: (() => void)[] = [];
  #writes = 0;
  /** Nothing is written any more, and nobody has to wait for it. */
  #ended = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Writes done. */
  get writes(): number {
    return this.#writes;
  }

  get pending(): number {
    return this.#pending.size + this.#flying.size;
  }

  /** How many keys hold something. */
  get size(): number {
    return this.#held.size;
  }

  /** Takes what the keys of a prefix hold from etcd. */
  async load(prefix: string): Promise<void> {
    for await (const { entries } of this.#options.store.list(prefix)) {
      for (const { key, value } of entries) this.#held.set(key, digestOf(value));
    }
  }

  /** Keys below a prefix that hold something, or will. */
  *keys(prefix: string): Generator<string> {
    for (const key of this.#held.keys()) if (key.startsWith(prefix)) yield key;
    for (const [key, value] of [...this.#pending, ...this.#flying]) {
      if (value !== undefined && key.startsWith(prefix) && !this.#held.has(key)) yield key;
    }
  }

  /** Undefined: the key is deleted. Resolves when there is room for more. */
  set(key: string, value: string | undefined): void | Promise<void> {
    if (this.#ended || this.#isSo(key, value)) return;
    this.#pending.set(key, value);
    this.#wake?.();
    if (this.#pending.size >= MAX_PENDING) return this.#whenSettled();
  }

  /** Resolves when all that was set until now is in etcd. */
  async flushed(): Promise<void> {
    while (this.pending > 0 && !this.#ended) await this.#whenSettled();
  }

  /** Writes until `signal` is aborted, or this process may no longer. @returns whether it may */
  async run(signal: AbortSignal): Promise<boolean> {
    const backoff = new Backoff();
    const wake = () => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        if (this.#pending.size === 0) await this.#untilWoken(signal);
        else if (!(await this.#flush(backoff, signal))) return false;
      }
      return true;
    } finally {
      signal.removeEventListener("abort", wake);
      this.#ended = true;
      this.#settle();
    }
  }

  #isSo(key: string, value: string | undefined): boolean {
    if (this.#pending.has(key)) return this.#pending.get(key) === value;
    if (this.#flying.has(key)) return this.#flying.get(key) === value;
    return value === undefined ? !this.#held.has(key) : this.#held.get(key) === digestOf(value);
  }

  async #untilWoken(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (signal.aborted) resolve();
    });
    this.#wake = undefined;
    await new Promise(setImmediate); // what comes in the same moment goes in the same transaction
  }

  #whenSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled.push(resolve);
    });
  }

  /** @returns false when this process may no longer write */
  async #flush(backoff: Backoff, signal: AbortSignal): Promise<boolean> {
    const batch = this.#take();
    this.#flying = batch;
    let allowed = true;
    try {
      allowed = await this.#write(batch);
      backoff.reset();
    } catch (error) {
      this.#putBack(batch);
      this.#options.log.warn({ error: messageOf(error), waiting: this.#pending.size }, "etcd takes no writes for now");
      await backoff.wait(signal);
    }
    this.#flying = new Map();
    this.#settle();
    return allowed;
  }

  #settle(): void {
    const settled = this.#settled;
    this.#settled = [];
    for (const resolve of settled) resolve();
  }

  #take(): Map<string, string | undefined> {
    const batch = new Map<string, string | undefined>();
    let bytes = 0;
    for (const [key, value] of this.#pending) {
      bytes += key.length + (value?.length ?? 0) * 2; // some characters have more than one byte
      if (batch.size === MAX_WRITES || (batch.size > 0 && bytes > MAX_BATCH_BYTES)) break;
      batch.set(key, value);
      this.#pending.delete(key);
    }
    return batch;
  }

  /** What was set meanwhile is newer. */
  #putBack(batch: ReadonlyMap<string, string | undefined>): void {
    for (const [key, value] of batch) if (!this.#pending.has(key)) this.#pending.set(key, value);
  }

  async #write(batch: ReadonlyMap<string, string | undefined>): Promise<boolean> {
    const { store, fence } = this.#options;
    const writes = [...batch].map(
      ([key, value]): Write => (value === undefined ? { delete: key } : { put: key, value }),
    );
    try {
      const { done } = await store.transaction([fence], writes);
      if (done) this.#done(batch);
      return done;
    } catch (error) {
      if (!hasCode(error, "etcd-refused")) throw error;
      return this.#oneByOne(batch, error as SluiceError);
    }
  }

  /** One value that etcd does not take keeps no others from being written. */
  async #oneByOne(batch: ReadonlyMap<string, string | undefined>, error: SluiceError): Promise<boolean> {
    const [only] = batch;
    if (batch.size === 1 && only !== undefined) {
      this.#options.onRefused(only[0], error);
      return true;
    }
    for (const [key, value] of batch) if (!(await this.#write(new Map([[key, value]])))) return false;
    return true;
  }

  #done(batch: ReadonlyMap<string, string | undefined>): void {
    this.#writes += batch.size;
    for (const [key, value] of batch) {
      if (value === undefined) this.#held.delete(key);
      else this.#held.set(key, digestOf(value));
    }
  }
}
