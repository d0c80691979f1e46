import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../errors.js";
import type { KubeApi, ObjectMeta } from "../kube/api.js";

/** What an event is about. */
export interface Subject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "uid">;
}

/** The same is not said again for this long. */
const REPEAT_MS = 600_000;
/** Said ones that are remembered, and those that wait to be said. */
const MAX_REMEMBERED = 2048;
const MAX_WAITING = 256;
/** From one event to the next: a thousand objects of a newer version are no reason to keep the API from its work. */
const GAP_MS = 50;
/** The API takes longer messages, but cuts them in its tables. */
const MAX_MESSAGE = 1000;

/** Kubernetes events, which `kubectl describe` shows with the object. They are for people: one that can't be written is lost. */
export class EventRecorder {
  readonly #api: KubeApi;
  readonly #instance: string;
  readonly #log: Logger;
  /** When something was said, in milliseconds since this process began; oldest first. */
  readonly #said = new Map<string, number>();
  readonly #waiting: { path: string; event: object }[] = [];
  #sending = false;

  constructor(api: KubeApi, instance: string, log: Logger) {
    this.#api = api;
    this.#instance = instance;
    this.#log = log;
  }

  warn(subject: Subject, reason: string, message: string): void {
    const key = createHash("sha256")
      .update(JSON.stringify([subject.metadata.uid, reason, message]))
      .digest("hex");
    const last = this.#said.get(key);
    if (last !== undefined && performance.now() - last < REPEAT_MS) return;
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#remember(key);
    // An event of a cluster-wide object is in the namespace "default".
    const namespace = subject.metadata.namespace ?? "default";
    const event = this.#event(subject, namespace, { reason, message: message.slice(0, MAX_MESSAGE) });
    this.#waiting.push({ path: `/api/v1/namespaces/${namespace}/events`, event });
    if (!this.#sending) void this.#send();
  }

  #remember(key: string): void {
    this.#said.delete(key);
    this.#said.set(key, performance.now());
    const [oldest] = this.#said.keys();
    if (this.#said.size > MAX_REMEMBERED && oldest !== undefined) this.#said.delete(oldest);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#api.create(next.path, next.event);
      } catch (error) {
        this.#log.debug({ error: messageOf(error) }, "an event was not written");
      }
      await sleep(GAP_MS);
    }
    this.#sending = false;
  }

  #event(subject: Subject, namespace: string, said: { reason: string; message: string }): object {
    const { apiVersion, kind, metadata } = subject;
    const { name, uid } = metadata;
    const place = metadata.namespace === undefined ? {} : { namespace };
    const now = new Date().toISOString();
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace, generateName: `${name}.`.slice(0, 240) },
      involvedObject: { apiVersion, kind, ...place, name, uid },
      type: "Warning",
      ...said,
      source: { component: "sluice-reflector" },
      reportingComponent: "sluice.dev/reflector",
      reportingInstance: this.#instance,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
  }
}
