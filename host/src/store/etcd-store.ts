import { randomUUID } from "node:crypto";
import type { Etcd3 } from "etcd3";
import { INSTANCE_KEY } from "../cluster/keys.js";
import { SluiceError } from "../errors.js";
import { connect, type EtcdOptions } from "./connection.js";
import { fromEtcd } from "./errors.js";
import type { Entry, Page } from "./listing.js";
import { type Condition, compareOf, requestOf, type Write } from "./transaction.js";
import { PrefixWatch, type WatchHandler } from "./watch.js";

export interface TransactionResult {
  /** Whether the conditions held; where not, nothing was written. */
  readonly done: boolean;
  readonly revision: number;
}

/** What an answer is to hold: memory is bounded by it. */
const PAGE_BYTES = 1 << 20;
/** For each page etcd goes through all keys that are left, so pages are as large as may be; the first finds out. */
const PAGE_ENTRIES = { first: 500, most: 4000 };

/**
 * Sluice's etcd. Requests are tried once, at most 10 s long; a write that ended with "etcd-unavailable", "etcd-timeout"
 * or "etcd-failed" may have been done. All methods throw SluiceError, with EtcdErrorCode's codes.
 */
export class EtcdStore {
  #endpoints = "";
  #client: Etcd3 | undefined;
  readonly #watches = new Set<PrefixWatch>();

  private constructor() {}

  /** Does not wait for etcd. @throws SluiceError "etcd-endpoint", "etcd-tls" */
  static open(options: EtcdOptions): EtcdStore {
    const store = new EtcdStore();
    store.use(options);
    return store;
  }

  /** One of which it is not known yet where it is: requests fail until use(). */
  static unplaced(): EtcdStore {
    return new EtcdStore();
  }

  /** For messages. */
  get endpoints(): string {
    return this.#endpoints;
  }

  /**
   * Goes on with these: etcd is elsewhere, or has other certificates. Watches go on, and requests in work may fail.
   * @throws SluiceError "etcd-endpoint", "etcd-tls": it goes on as before
   */
  use(options: EtcdOptions): void {
    const client = connect(options);
    const endpoints = options.endpoints.join(",");
    const isElsewhere = endpoints !== this.#endpoints;
    this.#client?.close();
    this.#client = client;
    this.#endpoints = endpoints;
    // Of a client that is closed the streams last as long as their server.
    if (isElsewhere) for (const watch of this.#watches) watch.reconnect();
  }

  async get(key: string): Promise<Entry | undefined> {
    const { kvs } = await this.#call((client) => client.kv.range({ key: Buffer.from(key) }));
    return kvs.map(entryOf)[0];
  }

  /**
   * All entries whose keys begin with `prefix`, in the keys' order, page by page.
   * @throws SluiceError "etcd-compacted" when it takes longer than etcd keeps the revision: begin again
   */
  async *list(prefix: string): AsyncGenerator<Page> {
    const end = prefixEnd(prefix);
    let start = Buffer.from(prefix);
    let revision: number | undefined;
    let limit = PAGE_ENTRIES.first;
    for (;;) {
      const request = { key: start, range_end: end, limit, revision: revision ?? 0 };
      const { kvs, more, header } = await this.#call((client) => client.kv.range(request));
      revision ??= Number(header.revision);
      yield { entries: kvs.map(entryOf), revision };
      const last = kvs.at(-1);
      if (!more || last === undefined) return;
      start = Buffer.concat([last.key, Buffer.of(0)]);
      limit = nextLimit(limit, kvs);
    }
  }

  /** @returns the revision */
  async put(key: string, value: string): Promise<number> {
    return (await this.transaction([], [{ put: key, value }])).revision;
  }

  /** No error where there is none. @returns the revision */
  async delete(key: string): Promise<number> {
    return (await this.transaction([], [{ delete: key }])).revision;
  }

  /** Does all `writes`, at most MAX_WRITES and one a key, or nothing where a condition does not hold. */
  async transaction(conditions: readonly Condition[], writes: readonly Write[]): Promise<TransactionResult> {
    const request = { compare: conditions.map(compareOf), success: writes.map(requestOf) };
    const { succeeded, header } = await this.#call((client) => client.kv.txn(request));
    return { done: succeeded, revision: Number(header.revision) };
  }

  /**
   * Tells all entries below `prefix` and every change, until it is closed.
   * @param whenPresent a key without which nothing is told of what etcd holds: neither at the start nor after it was emptied
   */
  watch(prefix: string, handler: WatchHandler, whenPresent?: string): PrefixWatch {
    const watch = new PrefixWatch({
      prefix,
      end: prefixEnd(prefix),
      handler,
      list: () => this.list(prefix),
      stream: () => this.#call((client) => client.watchClient.watch()),
      instance: () => this.#instance(),
      complete: async () => whenPresent === undefined || (await this.get(whenPresent)) !== undefined,
      errorOf: (error) => fromEtcd(error, this.endpoints),
    });
    this.#watches.add(watch);
    void watch.ended.catch(() => undefined).then(() => this.#watches.delete(watch)); // its owner looks at `ended`
    return watch;
  }

  /** Ends its watches too. */
  async close(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch.close()));
    this.#client?.close();
  }

  async #instance(): Promise<string> {
    const known = await this.get(INSTANCE_KEY);
    if (known !== undefined) return known.value;
    await this.transaction([{ key: INSTANCE_KEY, is: "absent" }], [{ put: INSTANCE_KEY, value: randomUUID() }]);
    return this.#instance();
  }

  async #call<T>(request: (client: Etcd3) => Promise<T>): Promise<T> {
    if (this.#client === undefined) {
      throw SluiceError.of("etcd-unavailable", "", "it is not known yet where etcd is; it is looked for");
    }
    try {
      return await request(this.#client);
    } catch (error) {
      throw fromEtcd(error, this.endpoints);
    }
  }
}

function entryOf(kv: { key: Buffer; value: Buffer; mod_revision: string }): Entry {
  return { key: kv.key.toString(), value: kv.value.toString(), revision: Number(kv.mod_revision) };
}

/** Grows step by step: the next records may be larger. */
function nextLimit(limit: number, page: readonly { value: Buffer }[]): number {
  const bytes = page.reduce((sum, { value }) => sum + value.length, 1);
  const fitting = Math.floor((page.length * PAGE_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, limit * 2, PAGE_ENTRIES.most));
}

/** The first key after all that begin with the prefix, which is not empty and ASCII. */
function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}
