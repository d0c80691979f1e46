import { HttpMethod, IsomorphicFetchHttpLibrary, KubeConfig, RequestContext } from "@kubernetes/client-node";
import { messageOf, SluiceError } from "../errors.js";
import { fromStatus, unavailable } from "./errors.js";
import { jsonLines } from "./lines.js";

// The client's own list and watch calls make a class instance of every field of every object, and a new connection for each
// request; its watch drops what its callback throws. Of the client the configuration, the credentials and the transport are used.

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
}

/** Which object of a kind that has namespaces. */
export interface NamespacedName {
  readonly namespace: string;
  readonly name: string;
}

/** What all objects of the API have. What else one holds is for its reader to check. */
export interface KubeObject {
  readonly metadata: ObjectMeta;
}

export interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: unknown;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Objects of one answer: memory is bounded by it. */
export const PAGE_OBJECTS = 500;
const REQUEST_MS = 30_000;
/** What the client falls back to where it finds no configuration at all. */
const NO_SERVER = "http://localhost:8080";
/** Bookmarks come each minute: a watch without them has lost its server. */
const WATCH_SILENCE_MS = 150_000;
/** Certificates in files may be renewed: connections are made with those of not long ago. */
const DISPATCHER_MS = 300_000;

type Dispatcher = NonNullable<ReturnType<RequestContext["getDispatcher"]>>;

/** The Kubernetes API. All methods throw SluiceError, with KubeErrorCode's codes. */
export class KubeApi {
  readonly #config: KubeConfig;
  readonly #server: string;
  readonly #http = new IsomorphicFetchHttpLibrary();
  #dispatcher: { readonly made: Dispatcher | undefined; readonly until: number } | undefined;

  private constructor(config: KubeConfig, server: string) {
    this.#config = config;
    this.#server = server;
  }

  /**
   * @param kubeconfig absent: that of the pod this runs in, or what kubectl would use
   * @param context of it; absent: its current one
   * @throws SluiceError "kubeconfig"
   */
  static load(kubeconfig?: string, context?: string): KubeApi {
    const config = new KubeConfig();
    try {
      if (kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(kubeconfig);
    } catch (error) {
      throw SluiceError.of("kubeconfig", kubeconfig ?? "", messageOf(error), { cause: error });
    }
    if (context !== undefined) {
      const known = config.getContexts().map(({ name }) => name);
      if (!known.includes(context)) {
        throw SluiceError.of("kubeconfig", context, `no such context; there are: ${known.join(", ")}`);
      }
      config.setCurrentContext(context);
    }
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) {
      throw SluiceError.of("kubeconfig", kubeconfig ?? "", "its current context names no cluster");
    }
    if (kubeconfig === undefined && server === NO_SERVER) {
      const remedy = "there is none; name one with --kubeconfig, or in KUBECONFIG as for kubectl";
      throw SluiceError.of("kubeconfig", "", remedy);
    }
    return new KubeApi(config, server.replace(/\/$/, ""));
  }

  /** For connections that are no requests, such as those into containers. */
  get config(): KubeConfig {
    return this.#config;
  }

  /** The API server's URL, without a slash at its end. */
  get server(): string {
    return this.#server;
  }

  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#request(HttpMethod.GET, path, query);
  }

  /** All objects of a kind, a page at a time. @param path such as /api/v1/pods */
  async list<T>(path: string, query: Query = {}): Promise<T[]> {
    const all: T[] = [];
    let next: string | undefined;
    do {
      const page: ObjectList<T> = await this.get(path, { ...query, limit: PAGE_OBJECTS, continue: next });
      all.push(...page.items);
      next = page.metadata.continue === "" ? undefined : page.metadata.continue;
    } while (next !== undefined);
    return all;
  }

  /** What is no JSON, such as a container's log. */
  async text(path: string, query: Query = {}): Promise<string> {
    const { httpStatusCode, body } = await this.#answer(HttpMethod.GET, path, query);
    if (httpStatusCode >= 300) throw fromStatus(httpStatusCode, parsed(body), path);
    return body;
  }

  /** Deletes an object; finalizers may keep it for a while. */
  async delete(path: string, query: Query = {}): Promise<void> {
    await this.#request(HttpMethod.DELETE, path, query);
  }

  create<T>(path: string, object: object): Promise<T> {
    return this.#request(HttpMethod.POST, path, {}, object);
  }

  /** On condition of the object's resource version, where it has one. */
  replace<T>(path: string, object: object): Promise<T> {
    return this.#request(HttpMethod.PUT, path, {}, object);
  }

  /** A JSON merge patch (RFC 7386). */
  patch<T>(path: string, patch: object): Promise<T> {
    return this.#request(HttpMethod.PATCH, path, {}, patch, "application/merge-patch+json");
  }

  /** Changes from a resource version on, as they come; the next is read when the last has been dealt with. */
  async *watch(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const abort = new AbortController();
    const silence = setTimeout(
      () => abort.abort(SluiceError.of("kube-unavailable", path, "the API server sent nothing for too long")),
      WATCH_SILENCE_MS,
    );
    try {
      const context = await this.#context(HttpMethod.GET, path, { ...query, watch: true });
      context.setSignal(AbortSignal.any([signal, abort.signal]));
      const response = await this.#http.send(context).toPromise();
      if (response.httpStatusCode !== 200) {
        throw fromStatus(response.httpStatusCode, parsed(await response.body.text()), path);
      }
      const body = response.body.stream();
      if (body === null) return;
      for await (const event of jsonLines(body, () => silence.refresh())) yield event as WatchEvent;
    } catch (error) {
      if (signal.aborted) return;
      throw unavailable(abort.signal.aborted ? abort.signal.reason : error, path);
    } finally {
      clearTimeout(silence);
      abort.abort(); // also when the reader has enough
    }
  }

  async #request<T>(method: HttpMethod, path: string, query: Query, body?: object, contentType?: string): Promise<T> {
    const answer = await this.#answer(method, path, query, body, contentType);
    const value = parsed(answer.body);
    if (answer.httpStatusCode >= 300) throw fromStatus(answer.httpStatusCode, value, path);
    return value as T;
  }

  async #answer(
    method: HttpMethod,
    path: string,
    query: Query,
    body?: object,
    contentType?: string,
  ): Promise<{ httpStatusCode: number; body: string }> {
    try {
      const context = await this.#context(method, path, query);
      context.setSignal(AbortSignal.timeout(REQUEST_MS));
      if (body !== undefined) {
        context.setHeaderParam("Content-Type", contentType ?? "application/json");
        context.setBody(JSON.stringify(body));
      }
      const { httpStatusCode, body: answered } = await this.#http.send(context).toPromise();
      return { httpStatusCode, body: await answered.text() };
    } catch (error) {
      throw unavailable(error, path);
    }
  }

  async #context(method: HttpMethod, path: string, query: Query): Promise<RequestContext> {
    const context = new RequestContext(`${this.#server}${path}`, method);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) context.setQueryParam(name, String(value));
    }
    context.setHeaderParam("Accept", "application/json");
    await this.#config.applySecurityAuthentication(context);
    if (this.#dispatcher === undefined || this.#dispatcher.until < Date.now()) {
      this.#dispatcher = { made: context.getDispatcher(), until: Date.now() + DISPATCHER_MS };
    }
    if (this.#dispatcher.made !== undefined) context.setDispatcher(this.#dispatcher.made);
    return context;
  }
}

/** What is no JSON comes from something between here and the API server; the status tells enough. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
