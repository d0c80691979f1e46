import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { PLUGINS_PREFIX, pluginKey } from "../cluster/keys.js";
import { type PluginRecord, pluginRecord } from "../cluster/records.js";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeObject } from "../kube/api.js";
import type { InformerHandler } from "../kube/informer.js";
import { type Parsed, parsePlugin } from "../resources/parse.js";
import type { PluginSpecification } from "../resources/plugin.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { ModuleStore } from "../store/module-store.js";
import type { Condition } from "../store/transaction.js";
import { Pacer } from "./pacer.js";
import type { PluginVersions } from "./plugin-versions.js";
import { type Member, Roster } from "./roster.js";

export interface PluginPublisherOptions {
  readonly store: EtcdStore;
  readonly modules: ModuleStore;
  readonly versions: PluginVersions;
  /** On which all is written. */
  readonly fence: Condition;
  readonly log: Logger;
  /** Told when a status may be another one now. */
  readonly changed: () => void;
}

/** What became of a Plugin's generation. */
export interface Outcome {
  readonly generation: number;
  /** Why there is no version of it; nodes run the one before. */
  readonly error?: SluiceError;
  /** When it was made, in milliseconds of this process. */
  readonly at: number;
}

const GATHER_MS = 20;
const REVISIT_MS = 10_000;
/** How often a tag of pull policy Always is resolved. */
const RESOLVE_MS = 300_000;
/** What may be otherwise next time. Mistakes of a source are not. */
const PASSING = /^(fetch-failed|kube-.*|etcd-.*|not-found|not-readable|bad-pull-secret|compile-crashed)$/;

/** Makes what nodes run equal to the Plugins: a version that can't be made leaves the last one in place. */
export class PluginPublisher implements InformerHandler {
  readonly #options: PluginPublisherOptions;
  readonly #pacer = new Pacer(GATHER_MS, REVISIT_MS);
  readonly #roster = new Roster<Parsed<PluginSpecification>>(true, () => {
    this.#pacer.poke();
    this.#options.changed();
  });
  readonly #outcomes = new Map<string, Outcome>();
  /** As etcd has them. */
  readonly #records = new Map<string, PluginRecord>();
  readonly #busy = new Map<string, Promise<void>>();
  /** Modules may be in etcd that no record has. */
  #hasOld = true;

  constructor(options: PluginPublisherOptions) {
    this.#options = options;
  }

  get complete(): boolean {
    return this.#roster.complete;
  }

  get members(): ReadonlyMap<string, Member<Parsed<PluginSpecification>>> {
    return this.#roster.members;
  }

  outcome(name: string): Outcome | undefined {
    return this.#outcomes.get(name);
  }

  record(name: string): PluginRecord | undefined {
    return this.#records.get(name);
  }

  listing(): void {
    this.#roster.listing();
  }

  listed(): void {
    this.#roster.listed();
  }

  changed(object: KubeObject): void {
    try {
      this.#roster.changed(object, { record: parsePlugin(object) });
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.#roster.changed(object, { error });
    }
  }

  deleted(object: KubeObject): void {
    this.#roster.deleted(object.metadata.name);
  }

  failed(error: SluiceError): void {
    this.#options.log.warn({ error: messageOf(error) }, "changes of Plugins do not come for now");
  }

  /** Until `signal` is aborted. @throws SluiceError when etcd can't be read at its start */
  async run(signal: AbortSignal): Promise<void> {
    await this.#load();
    await this.#pacer.run(() => this.#pass(), signal);
  }

  async #load(): Promise<void> {
    const { store, log } = this.#options;
    for await (const { entries } of store.list(PLUGINS_PREFIX)) {
      for (const { key, value } of entries) {
        const parsed = pluginRecord.safeParse(JSON.parse(value));
        if (parsed.success) this.#records.set(parsed.data.name, parsed.data);
        else log.warn({ key }, "a record of a Plugin can't be used; it is written anew");
      }
    }
  }

  async #pass(): Promise<void> {
    if (!this.#roster.complete) return;
    for (const name of [...this.#records.keys()].filter((each) => !this.members.has(each))) await this.#remove(name);
    for (const [name, member] of this.members) {
      const plugin = member.record;
      if (plugin === undefined || member.error !== undefined || this.#busy.has(name) || !this.#isDue(plugin)) continue;
      // Not waited for: a registry that stalls keeps no other Plugin from its nodes.
      const work = this.#publish(plugin, member).finally(() => {
        this.#busy.delete(name);
        if (this.members.get(name)?.metadata.generation !== plugin.generation) this.#pacer.poke();
        this.#options.changed();
      });
      this.#busy.set(name, work);
    }
    if (this.#hasOld && this.#busy.size === 0) await this.#sweep();
  }

  /** Not while a version is made: its module is written before its record. */
  async #sweep(): Promise<void> {
    const { modules, fence, log } = this.#options;
    const records = [...this.#records.values()];
    const used = new Set(
      records.flatMap(({ live, previousDigest }) => [live?.digest ?? [], previousDigest ?? []].flat()),
    );
    try {
      this.#hasOld = !(await modules.sweep(used, [fence]));
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      log.warn({ error: error.message }, "modules that are not used are not removed yet; it is tried again");
    }
  }

  #isDue({ name, generation, spec }: Parsed<PluginSpecification>): boolean {
    const outcome = this.#outcomes.get(name);
    if (outcome?.generation !== generation) return true;
    const age = performance.now() - outcome.at;
    if (outcome.error?.problems.some(({ code }) => PASSING.test(code))) return age >= REVISIT_MS / 2;
    if (spec.configFrom !== undefined || spec.source.configMap !== undefined) return age >= REVISIT_MS / 2;
    return spec.source.oci?.pullPolicy === "Always" && age >= RESOLVE_MS;
  }

  async #publish(plugin: Parsed<PluginSpecification>, { metadata }: Member<unknown>): Promise<void> {
    const { name, uid, generation } = plugin;
    let error: SluiceError | undefined;
    try {
      const { strategy } = plugin.spec.rollout;
      if (strategy !== "AllAtOnce") {
        const message = `found ${strategy}; allowed for now: AllAtOnce`;
        throw SluiceError.of("not-supported", "/spec/rollout/strategy", message);
      }
      const last = this.#records.get(name);
      // A Plugin that was deleted and made anew has nothing of the one before but its module.
      const live = await this.#options.versions.make(plugin, last?.live);
      const previousDigest = live.digest === last?.live?.digest ? last.previousDigest : last?.live?.digest;
      const record = { name, uid, createdAt: metadata.creationTimestamp ?? "", live };
      await this.#write(previousDigest === undefined ? record : { ...record, previousDigest });
    } catch (reason) {
      if (!(reason instanceof SluiceError)) throw reason;
      error = reason;
      this.#options.log.warn(
        { plugin: name, generation, error: reason.message },
        "no version of it; the last one stays",
      );
    }
    this.#outcomes.set(name, { generation, at: performance.now(), ...(error === undefined ? {} : { error }) });
  }

  async #write(record: PluginRecord): Promise<void> {
    if (isDeepStrictEqual(record, this.#records.get(record.name))) return;
    const { store, fence, log } = this.#options;
    const write = { put: pluginKey(record.name), value: JSON.stringify(record) };
    const { done } = await store.transaction([fence], [write]);
    if (!done) return; // another one writes: this one is about to end
    this.#records.set(record.name, record);
    this.#hasOld = true;
    log.info({ plugin: record.name, generation: record.live?.generation, digest: record.live?.digest }, "published");
  }

  async #remove(name: string): Promise<void> {
    const { store, fence, log } = this.#options;
    if (this.#busy.has(name)) return; // what it is about to write goes with the next pass
    try {
      const { done } = await store.transaction([fence], [{ delete: pluginKey(name) }]);
      if (!done) return;
      this.#records.delete(name);
      this.#outcomes.delete(name);
      this.#hasOld = true;
      log.info({ plugin: name }, "removed");
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      log.warn({ plugin: name, error: error.message }, "not removed yet; it is tried again");
    }
  }
}
