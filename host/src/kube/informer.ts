import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../backoff.js";
import { SluiceError } from "../errors.js";
import { type KubeApi, type KubeObject, type ObjectList, PAGE_OBJECTS, type WatchEvent } from "./api.js";
import { fromStatus, hasKubeCode, unavailable } from "./errors.js";

/** Told one thing after the other: the next waits until the promise of the last is done. An error ends the informer. */
export interface InformerHandler {
  /** All objects are told next; what is not told until listed() does not exist. */
  listing(): void;
  listed(): void | Promise<void>;
  /** An object as it is now. */
  changed(object: KubeObject): void | Promise<void>;
  /** An object as it was last. */
  deleted(object: KubeObject): void | Promise<void>;
  /** Changes do not come for now; it is tried until they do. */
  failed(error: SluiceError): void;
}

/** How long the API server is asked to keep a watch; a little different for each, so that not all come back at once. */
const WATCH_SECONDS = 300;
/** How often a server that does not know an optional kind is asked for it again: it may have been upgraded. */
const UNKNOWN_MS = 60_000;

/** Keeps its handler told of all objects of a kind: listed, then watched; listed again where the watch can't be resumed. */
export class Informer {
  readonly #api: KubeApi;
  readonly #path: string;
  readonly #handler: InformerHandler;
  readonly #isOptional: boolean;
  readonly #selector: string | undefined;
  readonly #backoff = new Backoff();
  /** From where to watch; undefined: all has to be listed. */
  #version: string | undefined;

  /**
   * @param path of the kind, such as /api/v1/pods
   * @param isOptional a server that does not know the kind has nothing of it
   * @param selector of labels; absent: all objects
   */
  constructor(
    api: KubeApi,
    path: string,
    handler: InformerHandler,
    { isOptional = false, selector }: { isOptional?: boolean; selector?: string } = {},
  ) {
    this.#api = api;
    this.#path = path;
    this.#handler = handler;
    this.#isOptional = isOptional;
    this.#selector = selector;
  }

  /** Runs until `signal` is aborted. @throws what the handler throws */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const error = await this.#listAndWatch(signal);
      if (signal.aborted) return;
      if (error === undefined) continue; // the server ended the watch in its time
      if (this.#isOptional && hasKubeCode(error, "kube-not-found")) {
        await this.#unknown(signal);
        continue;
      }
      if (!hasKubeCode(error, "kube-unavailable")) this.#version = undefined;
      this.#handler.failed(error);
      await this.#backoff.wait(signal);
    }
  }

  /** @returns the API's error, if it was one */
  async #listAndWatch(signal: AbortSignal): Promise<SluiceError | undefined> {
    try {
      if (this.#version === undefined) await this.#list(signal);
      await this.#watch(signal);
      return undefined;
    } catch (error) {
      if (error instanceof SluiceError && error.problems.some(({ code }) => code.startsWith("kube-"))) return error;
      throw error;
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#handler.listing();
    let next: string | undefined;
    do {
      // Without a resource version: with "0" the server ignores the limit.
      const query = { limit: PAGE_OBJECTS, continue: next, labelSelector: this.#selector };
      const { metadata, items }: ObjectList<KubeObject> = await this.#api.get(this.#path, query);
      if (signal.aborted) return;
      for (const object of items) await this.#handler.changed(object);
      next = metadata.continue === "" ? undefined : metadata.continue;
      this.#version = next === undefined ? metadata.resourceVersion : undefined;
    } while (next !== undefined);
    await this.#handler.listed();
    this.#backoff.reset();
  }

  async #unknown(signal: AbortSignal): Promise<void> {
    this.#version = undefined;
    this.#handler.listing();
    await this.#handler.listed();
    await sleep(UNKNOWN_MS, undefined, { signal }).catch(() => undefined); // the caller looks at the signal
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const query = {
      labelSelector: this.#selector,
      resourceVersion: this.#version,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + Math.random())),
    };
    const started = Date.now();
    for await (const event of this.#api.watch(this.#path, query, signal)) {
      if (signal.aborted) return;
      await this.#event(event);
      this.#backoff.reset();
    }
    // A server that ends watches at once is not to be asked without pause.
    if (Date.now() - started < 1000) throw unavailable(new Error("the watch was ended"), this.#path);
  }

  async #event({ type, object }: WatchEvent): Promise<void> {
    if (type === "ERROR") {
      const { code = 500 } = object as { code?: number };
      throw fromStatus(code, object, this.#path);
    }
    const changed = object as KubeObject;
    if (type === "DELETED") await this.#handler.deleted(changed);
    else if (type !== "BOOKMARK") await this.#handler.changed(changed);
    this.#version = changed.metadata.resourceVersion ?? this.#version;
  }
}
