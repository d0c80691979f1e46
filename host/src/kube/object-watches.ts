import { Backoff } from "../backoff.js";
import { SluiceError } from "../errors.js";
import type { KubeApi } from "./api.js";
import { fromStatus } from "./errors.js";

/** One object of the API. */
export interface ObjectPath {
  /** Of its kind in its namespace, such as /api/v1/namespaces/default/configmaps. */
  readonly collection: string;
  readonly name: string;
}

/** How long the API server is asked to keep a watch. */
const WATCH_SECONDS = 300;

/**
 * Follows single objects by their names, for which the rights to get and watch those are enough. It tells that one may have changed, also
 * when changes were not told for a while; who is told reads it.
 */
export class ObjectWatches {
  readonly #api: KubeApi;
  readonly #changed: (object: ObjectPath) => void;
  readonly #running = new Map<string, { stop: AbortController; ended: Promise<void> }>();

  constructor(api: KubeApi, changed: (object: ObjectPath) => void) {
    this.#api = api;
    this.#changed = changed;
  }

  /** These and no others are followed from now on. */
  follow(objects: readonly ObjectPath[]): void {
    const wanted = new Map(objects.map((object) => [keyOf(object), object]));
    for (const [key, { stop }] of this.#running) {
      if (wanted.has(key)) continue;
      stop.abort();
      this.#running.delete(key);
    }
    for (const [key, object] of wanted) {
      if (this.#running.has(key)) continue;
      const stop = new AbortController();
      this.#running.set(key, { stop, ended: this.#run(object, stop.signal) });
    }
  }

  async close(): Promise<void> {
    const ended = [...this.#running.values()].map((each) => each.ended);
    this.follow([]);
    await Promise.all(ended);
  }

  async #run(object: ObjectPath, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(500, 10_000);
    while (!signal.aborted) {
      const started = Date.now();
      try {
        await this.#watch(object, signal);
        if (Date.now() - started > 1000) backoff.reset();
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error; // the reader's own attempt says what is wrong
      }
      await backoff.wait(signal);
      if (!signal.aborted) this.#changed(object);
    }
  }

  async #watch(object: ObjectPath, signal: AbortSignal): Promise<void> {
    const { collection, name } = object;
    // Without a resource version the object as it is comes first, where it exists.
    const query = {
      fieldSelector: `metadata.name=${name}`,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + Math.random())),
    };
    for await (const { type, object: found } of this.#api.watch(collection, query, signal)) {
      if (signal.aborted) return;
      if (type === "ERROR") throw fromStatus((found as { code?: number }).code ?? 500, found, collection);
      if (type !== "BOOKMARK") this.#changed(object);
    }
  }
}

const keyOf = ({ collection, name }: ObjectPath): string => `${collection}/${name}`;
