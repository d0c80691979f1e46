import type { Logger } from "pino";
import { mirrorKey, mirrorPrefix } from "../cluster/keys.js";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeObject } from "../kube/api.js";
import type { InformerHandler } from "../kube/informer.js";
import type { Kind } from "./kinds.js";
import type { Roster } from "./roster.js";
import type { EtcdWriter } from "./writer.js";

export interface MirrorOptions {
  readonly kind: Kind;
  readonly writer: EtcdWriter;
  readonly log: Logger;
  /** Told of what is mirrored. */
  readonly roster?: Roster<object>;
  /** All objects have been told. */
  readonly onListed: () => void;
  /** An object that can't be mirrored; its last good record stays. */
  readonly onMalformed: (kind: Kind, object: KubeObject, error: SluiceError) => void;
}

/** Keeps etcd equal to the API's objects of one kind. */
export class Mirror implements InformerHandler {
  readonly #options: MirrorOptions;
  /** Keys of the listing that is being read: what is not among them at its end is gone. */
  #seen: Set<string> | undefined;
  #synced = false;
  #failing = false;

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  /** Whether all objects have been told since the start. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Whether changes do not come for now. */
  get failing(): boolean {
    return this.#failing;
  }

  listing(): void {
    this.#seen = new Set();
    this.#options.roster?.listing();
  }

  async listed(): Promise<void> {
    const { kind, writer, roster, log, onListed } = this.#options;
    const seen = this.#seen ?? new Set();
    this.#seen = undefined;
    const gone = [...writer.keys(mirrorPrefix(kind.kind))].filter((key) => !seen.has(key));
    for (const key of gone) await writer.set(key, undefined);
    roster?.listed();
    log.info({ kind: kind.kind, objects: seen.size, gone: gone.length }, "listed");
    this.#synced = true;
    this.#failing = false;
    onListed();
  }

  changed(object: KubeObject): void | Promise<void> {
    const { kind, writer, roster, onMalformed } = this.#options;
    this.#failing = false;
    const key = this.#keyOf(object);
    let record: object | undefined;
    try {
      record = kind.record(object);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.#seen?.add(key);
      roster?.changed(object, { error });
      onMalformed(kind, object, error);
      return;
    }
    roster?.changed(object, { record });
    if (record === undefined) return writer.set(key, undefined);
    this.#seen?.add(key);
    return writer.set(key, JSON.stringify(record));
  }

  deleted(object: KubeObject): void | Promise<void> {
    this.#failing = false;
    this.#options.roster?.deleted(object.metadata.name);
    return this.#options.writer.set(this.#keyOf(object), undefined);
  }

  failed(error: SluiceError): void {
    const { kind, log } = this.#options;
    if (!this.#failing) log.warn({ kind: kind.kind, error: messageOf(error) }, "changes do not come for now");
    this.#failing = true;
  }

  #keyOf({ metadata: { name, namespace } }: KubeObject): string {
    return mirrorKey(this.#options.kind.kind, name, namespace);
  }
}
