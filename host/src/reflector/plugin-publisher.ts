import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { PLUGINS_PREFIX, pluginKey, ROLLOUTS_PREFIX, rolloutKey } from "../cluster/keys.js";
import { pluginRecord, type RolloutRecord, rolloutRecord } from "../cluster/records.js";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi, KubeObject } from "../kube/api.js";
import type { InformerHandler } from "../kube/informer.js";
import { type ObjectPath, ObjectWatches } from "../kube/object-watches.js";
import { type Parsed, parsePlugin } from "../resources/parse.js";
import type { PluginSpecification } from "../resources/plugin.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { ModuleStore } from "../store/module-store.js";
import type { Condition } from "../store/transaction.js";
import { Pacer } from "./pacer.js";
import { type Made, type PluginVersions, sourcesOf } from "./plugin-versions.js";
import { retryAfterMs } from "./retries.js";
import { advanced, type NodeProgress, offered, type Rollout } from "./rollout.js";
import { type Member, Roster } from "./roster.js";

export interface PluginPublisherOptions {
  readonly api: KubeApi;
  readonly store: EtcdStore;
  readonly modules: ModuleStore;
  readonly versions: PluginVersions;
  /** On which all is written. */
  readonly fence: Condition;
  readonly log: Logger;
  /** How far the nodes that a selector selects have got with a Plugin, by their names; undefined: not all is known yet. */
  readonly progress: (plugin: string, nodeSelector: Readonly<Record<string, string>>) => NodeProgress[] | undefined;
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
  /** Where there is an error: how many times in a row there was, and for how long from `at` on it is not tried again. */
  readonly failures?: number;
  readonly retryAfterMs?: number | undefined;
}

const GATHER_MS = 20;
const REVISIT_MS = 10_000;
/** How often a tag of pull policy Always is resolved. */
const RESOLVE_MS = 300_000;

/** Makes what nodes run equal to the Plugins: a version that can't be made leaves the last one in place. */
export class PluginPublisher implements InformerHandler {
  readonly #options: PluginPublisherOptions;
  readonly #pacer = new Pacer({ gatherMs: GATHER_MS, revisitMs: REVISIT_MS, isPrompt: true });
  readonly #roster = new Roster<Parsed<PluginSpecification>>(true, () => {
    this.#pacer.poke();
    this.#options.changed();
  });
  readonly #outcomes = new Map<string, Outcome>();
  /** As etcd has them. */
  readonly #rollouts = new Map<string, Rollout>();
  /** One write follows the other: each is made of what the last one left. */
  #writing: Promise<unknown> = Promise.resolve();
  readonly #busy = new Map<string, Promise<void>>();
  /** ConfigMaps and Secrets. */
  readonly #sources: ObjectWatches;
  /** Names of Plugins whose sources may be others than their versions were made of. */
  readonly #stale = new Set<string>();
  /** Modules may be in etcd that no record has. */
  #hasOld = true;

  constructor(options: PluginPublisherOptions) {
    this.#options = options;
    this.#sources = new ObjectWatches(options.api, (source) => this.#sourceChanged(source));
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

  rollout(name: string): Rollout | undefined {
    return this.#rollouts.get(name);
  }

  /** Nodes may have got further. */
  poke(): void {
    this.#pacer.poke();
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
    try {
      await this.#pacer.run(() => this.#pass(), signal);
    } finally {
      await this.#sources.close();
    }
  }

  #sourceChanged({ collection, name }: ObjectPath): void {
    for (const [plugin, { record }] of this.members) {
      const sources = record === undefined ? [] : sourcesOf(record.spec);
      if (sources.some((each) => each.collection === collection && each.name === name)) this.#stale.add(plugin);
    }
    this.#pacer.poke();
  }

  async #load(): Promise<void> {
    const { store, log } = this.#options;
    const pasts = new Map<string, RolloutRecord>();
    for await (const { entries } of store.list(ROLLOUTS_PREFIX)) {
      for (const { key, value } of entries) {
        const parsed = rolloutRecord.safeParse(JSON.parse(value));
        if (parsed.success) pasts.set(parsed.data.name, parsed.data);
        else log.warn({ key }, "a record of versions can't be used; it is begun anew");
      }
    }
    for await (const { entries } of store.list(PLUGINS_PREFIX)) {
      for (const { key, value } of entries) {
        const parsed = pluginRecord.safeParse(JSON.parse(value));
        if (!parsed.success) {
          log.warn({ key }, "a record of a Plugin can't be used; it is written anew");
          continue;
        }
        const { name, uid } = parsed.data;
        this.#rollouts.set(name, { record: parsed.data, past: pasts.get(name) ?? { name, uid, history: [] } });
      }
    }
  }

  async #pass(): Promise<void> {
    if (!this.#roster.complete) return;
    this.#sources.follow([...this.members.values()].flatMap(({ record }) => (record ? sourcesOf(record.spec) : [])));
    for (const name of [...this.#rollouts.keys()].filter((each) => !this.members.has(each))) await this.#remove(name);
    for (const [name, member] of this.members) {
      await this.#advance(name);
      const plugin = member.record;
      if (plugin === undefined || member.error !== undefined || this.#busy.has(name) || !this.#isDue(plugin)) continue;
      // Not waited for: a registry that stalls keeps no other Plugin from its nodes.
      const work = this.#publish(plugin, member).finally(() => {
        this.#busy.delete(name);
        this.#pacer.poke();
        this.#options.changed();
      });
      this.#busy.set(name, work);
    }
    if (this.#hasOld && this.#busy.size === 0) await this.#sweep();
  }

  /** Not while a version is made: its module is written before its record. */
  async #sweep(): Promise<void> {
    const { modules, fence, log } = this.#options;
    const used = new Set([...this.#rollouts.values()].flatMap(digestsOf));
    try {
      this.#hasOld = !(await modules.sweep(used, [fence]));
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      log.warn({ error: error.message }, "modules that are not used are not removed yet; it is tried again");
    }
  }

  #isDue({ name, generation, spec }: Parsed<PluginSpecification>): boolean {
    const outcome = this.#outcomes.get(name);
    if (outcome?.generation !== generation || this.#stale.has(name)) return true;
    const age = performance.now() - outcome.at;
    if (outcome.retryAfterMs !== undefined) return age >= outcome.retryAfterMs;
    return spec.source.oci?.pullPolicy === "Always" && age >= RESOLVE_MS;
  }

  async #publish(plugin: Parsed<PluginSpecification>, { metadata }: Member<unknown>): Promise<void> {
    const { name, uid, generation } = plugin;
    const before = this.#outcomes.get(name);
    const isSame = before?.generation === generation && !this.#stale.has(name);
    let failed: Pick<Outcome, "error" | "failures" | "retryAfterMs"> = {};
    this.#stale.delete(name);
    try {
      const version = await this.#options.versions.make(plugin, this.#madeFor(name));
      const about = { name, uid, createdAt: metadata.creationTimestamp ?? "" };
      await this.#change(name, (before) => offered(before, about, version, new Date()));
    } catch (reason) {
      if (!(reason instanceof SluiceError)) throw reason;
      const failures = (isSame ? (before.failures ?? 0) : 0) + 1;
      failed = { error: reason, failures, retryAfterMs: retryAfterMs(reason, failures) };
      const { message } = reason;
      this.#options.log.warn(
        { plugin: name, generation, failures, error: message },
        "no version of it; the last one stays",
      );
    }
    this.#outcomes.set(name, { generation, at: performance.now(), ...failed });
  }

  /** What two Plugins have in common is made once. */
  #madeFor(name: string): Made {
    const known = [...this.#rollouts.values()].flatMap(({ record: { live, next }, past: { refused } }) =>
      [live, next?.version, refused].flatMap((each) => each ?? []),
    );
    const { record, past } = this.#rollouts.get(name) ?? {};
    // Of a Plugin that had a history in another etcd, or has none, what it runs is there.
    const earlier = [...(past?.history ?? []), ...(record?.live === undefined ? [] : [record.live])];
    return {
      digestOf: (source) => known.find((each) => each.source === source)?.digest,
      earlier: earlier.map(({ digest }) => digest),
    };
  }

  async #advance(name: string): Promise<void> {
    const version = this.#rollouts.get(name)?.record.next?.version;
    if (version === undefined) return;
    const nodes = this.#options.progress(name, version.placement.nodeSelector);
    if (nodes === undefined) return;
    try {
      await this.#change(name, (rollout) => rollout && advanced(rollout, nodes, new Date()));
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.#options.log.warn({ plugin: name, error: error.message }, "its roll-out does not go on for now");
    }
  }

  /** Writes what `change` makes of what etcd has. @throws SluiceError when etcd does not take it */
  #change(name: string, change: (before: Rollout | undefined) => Rollout | undefined): Promise<void> {
    const done = this.#writing.then(async () => {
      const before = this.#rollouts.get(name);
      const after = change(before);
      if (after !== undefined && !isDeepStrictEqual(after, before)) await this.#write(after);
    });
    this.#writing = done.catch(() => undefined); // who asked for it handles it
    return done;
  }

  async #write(rollout: Rollout): Promise<void> {
    const { record, past } = rollout;
    const { store, fence, log, changed } = this.#options;
    const writes = [
      { put: pluginKey(record.name), value: JSON.stringify(record) },
      { put: rolloutKey(record.name), value: JSON.stringify(past) },
    ];
    const { done } = await store.transaction([fence], writes);
    if (!done) return; // another one writes: this one is about to end
    this.#rollouts.set(record.name, rollout);
    this.#hasOld = true;
    changed();
    const { next, live } = record;
    const last = past.history.at(-1);
    const progress = { live: live?.generation, next: next?.version.generation, through: next?.through };
    log.info({ plugin: record.name, ...progress, outcome: last?.outcome, message: last?.message }, "published");
  }

  async #remove(name: string): Promise<void> {
    const { store, fence, log } = this.#options;
    if (this.#busy.has(name)) return; // what it is about to write goes with the next pass
    try {
      const { done } = await store.transaction([fence], [{ delete: pluginKey(name) }, { delete: rolloutKey(name) }]);
      if (!done) return;
      this.#rollouts.delete(name);
      this.#outcomes.delete(name);
      this.#stale.delete(name);
      this.#hasOld = true;
      log.info({ plugin: name }, "removed");
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      log.warn({ plugin: name, error: error.message }, "not removed yet; it is tried again");
    }
  }
}

/** Of the modules that nodes run, may go back to, or that a user may take again. */
function digestsOf({ record: { live, next, previousDigest }, past: { history } }: Rollout): string[] {
  const versions = [...history, ...(live === undefined ? [] : [live]), ...(next === undefined ? [] : [next.version])];
  return [...versions.map(({ digest }) => digest), ...(previousDigest === undefined ? [] : [previousDigest])];
}
