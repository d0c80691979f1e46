import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import { Backoff } from "../backoff.js";
import { SluiceError } from "../errors.js";
import { hasCode } from "./errors.js";
import type { Page } from "./listing.js";

// etcd3's own watcher is not used: it takes the revision of an answer's header for that of the events it got, so that a
// connection that breaks while it catches up loses events; it throws from the stream's callbacks, where nobody can catch it;
// and after a compaction it ends.

export interface Change {
  readonly key: string;
  /** Absent: the key is deleted. */
  readonly value?: string;
  readonly revision: number;
}

/** Told one thing after the other: the next waits until the promise of the last is done. An error ends the watch. */
export interface WatchHandler {
  /** In the order of revisions. While a listing is read, what did not change since the last one is not told again. */
  changed(changes: readonly Change[]): void | Promise<void>;
  /** All entries of a moment have been told, and those that are gone. Told again after each new listing. */
  synced?(): void | Promise<void>;
  /** Changes do not come for now; it is tried until they do. */
  lost?(error: SluiceError): void;
  /** Changes come again, none missed. */
  restored?(): void;
}

export interface WatchOptions {
  readonly prefix: string;
  /** The first key that is not watched. */
  readonly end: Buffer;
  readonly handler: WatchHandler;
  readonly list: () => AsyncIterable<Page>;
  readonly stream: () => Promise<IDuplexStream<IWatchRequest, IWatchResponse>>;
  /** Of etcd's data: another one when etcd was emptied. */
  readonly instance: () => Promise<string>;
  /** Whether what etcd holds can be taken for all there is. */
  readonly complete: () => Promise<boolean>;
  readonly errorOf: (error: unknown) => SluiceError;
}

/** etcd answers the request at once; a stream whose connection was closed meanwhile never says so. */
const CREATED_MS = 10_000;

/** A failure of the handler, kept apart from those of etcd. */
class HandlerError extends Error {}

/** Changes below a prefix without a gap: listed, then watched from the listing's revision; listed again where that is lost. */
export class PrefixWatch {
  /** Resolves when the first snapshot has been told; rejects if the watch ends before. */
  readonly synced: Promise<void>;
  /** Resolves after close(); rejects with the handler's error. */
  readonly ended: Promise<void>;
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff();
  /** Revisions of what the handler has been told. */
  readonly #known = new Map<string, number>();
  #instance: string | undefined;
  /** From which revision on changes are missing; undefined: nothing can be resumed. */
  #next: number | undefined;
  #lost = false;
  #cancel: () => void = () => undefined;
  #onSynced: () => void = () => undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    const first = new Promise<void>((resolve) => {
      this.#onSynced = resolve;
    });
    this.ended = this.#run();
    this.synced = Promise.race([
      first,
      this.ended.then(() => {
        throw SluiceError.of("etcd-closed", options.prefix, "the watch was closed before all was read");
      }),
    ]);
    // Both are also seen by whoever waits for them.
    this.ended.catch(() => undefined);
    this.synced.catch(() => undefined);
  }

  /** After it the handler is told nothing more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.ended.catch(() => undefined); // told to whoever waits for `ended`
  }

  /** Goes on by a new stream: the one that it has leads elsewhere. */
  reconnect(): void {
    this.#cancel();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#next === undefined) this.#next = await this.#snapshot();
        if (!signal.aborted) await this.#follow(this.#next);
      } catch (error) {
        if (error instanceof HandlerError) throw error.cause;
        this.#failed(this.#options.errorOf(error));
        await this.#backoff.wait(signal);
      }
    }
  }

  #failed(error: SluiceError): void {
    if (hasCode(error, "etcd-compacted")) this.#next = undefined;
    if (this.#stop.signal.aborted) return;
    this.#lost = true;
    this.#options.handler.lost?.(error);
  }

  #restored(): void {
    this.#backoff.reset();
    if (this.#lost) this.#options.handler.restored?.();
    this.#lost = false;
  }

  /** @returns the revision to watch from */
  async #snapshot(): Promise<number> {
    const instance = await this.#options.instance();
    if (!(await this.#options.complete())) {
      const message = "the reflector has not filled it yet; what is known stays";
      throw SluiceError.of("etcd-incomplete", this.#options.prefix, message);
    }
    // Revisions of another etcd say nothing about what is known.
    if (instance !== this.#instance) for (const key of this.#known.keys()) this.#known.set(key, -1);
    this.#instance = instance;
    const seen = new Set<string>();
    let listed = 0;
    for await (const { entries, revision } of this.#options.list()) {
      listed = revision;
      for (const { key } of entries) seen.add(key);
      await this.#tell(entries.filter((entry) => this.#known.get(entry.key) !== entry.revision));
      if (this.#stop.signal.aborted) return listed;
    }
    if ((await this.#options.instance()) !== instance) throw this.#replaced();
    const gone = [...this.#known.keys()].filter((key) => !seen.has(key));
    await this.#tell(gone.map((key) => ({ key, revision: listed })));
    await this.#handle(() => this.#options.handler.synced?.());
    this.#onSynced();
    return listed + 1;
  }

  /** Tells changes until the stream ends, which is always with an error, or the watch is closed. */
  async #follow(from: number): Promise<void> {
    const { prefix, end, stream: open } = this.#options;
    const stream = (await open()) as ClientDuplexStream<IWatchRequest, IWatchResponse>;
    stream.on("error", () => undefined); // a cancelled stream still reports so; reading it gives the first error
    const cancel = () => {
      stream.end(); // first, or etcd3 takes the cancellation for a broken connection and closes it for all
      stream.cancel();
    };
    this.#stop.signal.addEventListener("abort", cancel);
    this.#cancel = cancel;
    const overdue = setTimeout(cancel, CREATED_MS);
    try {
      // Progress notifications are not asked for: etcd before 3.4.25 and 3.5.8 may send them ahead of events.
      const create_request = { key: Buffer.from(prefix), range_end: end, start_revision: from, fragment: true };
      stream.write({ create_request });
      for await (const response of stream) {
        if (this.#stop.signal.aborted) return;
        this.#checkCancelled(response);
        if (response.created) {
          clearTimeout(overdue);
          await this.#checkInstance(Number(response.header.revision), from);
          this.#restored();
        }
        await this.#events(response);
      }
      if (!this.#stop.signal.aborted) throw SluiceError.of("etcd-unavailable", prefix, "the watch was ended");
    } catch (error) {
      if (!this.#stop.signal.aborted || error instanceof HandlerError) throw error;
    } finally {
      clearTimeout(overdue);
      this.#stop.signal.removeEventListener("abort", cancel);
      cancel();
    }
  }

  #checkCancelled({ canceled, cancel_reason, compact_revision }: IWatchResponse): void {
    if (!canceled) return;
    const compacted = Number(compact_revision) > 0;
    throw SluiceError.of(
      compacted ? "etcd-compacted" : "etcd-failed",
      this.#options.prefix,
      compacted ? `changes up to revision ${compact_revision} are no longer held; all is read again` : cancel_reason,
    );
  }

  /** @throws SluiceError when this is not the etcd that was listed, or one set back */
  async #checkInstance(revision: number, from: number): Promise<void> {
    const instance = await this.#options.instance();
    if (instance === this.#instance && revision >= from - 1) return;
    this.#instance = undefined;
    this.#next = undefined;
    throw this.#replaced();
  }

  #replaced(): SluiceError {
    return SluiceError.of("etcd-compacted", this.#options.prefix, "etcd's data was replaced; all is read again");
  }

  async #events({ events, fragment }: IWatchResponse): Promise<void> {
    if (events.length === 0) return;
    const changes = events.map(({ type, kv }): Change => {
      const change = { key: kv.key.toString(), revision: Number(kv.mod_revision) };
      return type === "Delete" || String(type).toUpperCase() === "DELETE"
        ? change
        : { ...change, value: kv.value.toString() };
    });
    await this.#tell(changes);
    // Of a revision that comes in several fragments all are told again if the connection breaks between them.
    const last = changes.at(-1)?.revision ?? 0;
    this.#next = fragment ? last : last + 1;
  }

  async #tell(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#handle(() => this.#options.handler.changed(changes));
    for (const { key, value, revision } of changes) {
      if (value === undefined) this.#known.delete(key);
      else this.#known.set(key, revision);
    }
  }

  async #handle(tell: () => void | Promise<void> | undefined): Promise<void> {
    if (this.#stop.signal.aborted) return;
    try {
      await tell();
    } catch (error) {
      throw new HandlerError("the watch's handler failed", { cause: error });
    }
  }
}
