import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import type { PluginRecord } from "../cluster/records.js";
import { messageOf, type Problem, SluiceError } from "../errors.js";
import type { ModuleCache } from "./module-cache.js";

export interface UserPluginsOptions {
  readonly node: string;
  readonly cache: ModuleCache;
  readonly log: Logger;
  /** Told when what is usable has changed. */
  readonly changed: () => void;
}

/** The users' Plugins as far as their modules are on the node: a version whose module is not there yet leaves the one before it running. */
export class UserPlugins {
  private readonly ready = new Map<string, PluginRecord>();
  /** What the dataplane has taken last. */
  private readonly good = new Map<string, PluginRecord>();
  private readonly modules = new Map<string, Uint8Array>();
  /** What is to be usable, and is not yet. Undefined: it is to go. */
  private readonly waiting = new Map<string, PluginRecord | undefined>();
  private readonly untried = new Set<string>();
  private onTried: (() => void)[] = [];
  private list: readonly PluginRecord[] | undefined;
  private readonly failures = new Map<string, Problem>();
  private readonly stopping = new AbortController();
  private wake = () => {};
  private readonly running: Promise<void>;

  constructor(private readonly options: UserPluginsOptions) {
    this.running = this.run();
  }

  /** The same list until it changes. */
  get usable(): readonly PluginRecord[] {
    this.list ??= [...this.ready.values()];
    return this.list;
  }

  /** Resolves once all that was set has been tried: a start must not take what runs for what is to go. */
  async tried(): Promise<void> {
    while (this.untried.size > 0 && !this.stopping.signal.aborted) {
      await new Promise<void>((done) => this.onTried.push(done));
    }
  }

  /** Why a Plugin is not as it is set, or undefined. */
  problemOf(name: string): Problem | undefined {
    return this.failures.get(name);
  }

  /** Of Plugins whose module could not be got. */
  get problems(): readonly Problem[] {
    return [...this.failures.values()];
  }

  wasm(digest: string): Uint8Array | undefined {
    return this.modules.get(digest);
  }

  /** The dataplane has taken all of these. */
  confirm(records: readonly PluginRecord[]): void {
    this.good.clear();
    for (const record of records) this.good.set(record.name, record);
  }

  /** The dataplane can't run it: what it took last is usable again, until another version comes. @returns false: it is not usable */
  refuse(name: string, problem: Problem): boolean {
    const record = this.ready.get(name);
    if (record === undefined) return false;
    const last = this.good.get(name);
    if (last === undefined || last === record) this.ready.delete(name);
    else this.ready.set(name, last);
    this.list = undefined;
    const message = `the dataplane refused it, what ran before goes on: ${problem.message}`;
    this.options.log.warn({ plugin: name, code: problem.code }, message);
    this.failures.set(name, { code: problem.code, path: `/plugins/${name}`, message });
    return true;
  }

  set(name: string, record: PluginRecord | undefined): void {
    this.waiting.set(name, record);
    this.untried.add(name);
    this.failures.delete(name);
    this.wake();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.wake();
    for (const done of this.onTried.splice(0)) done();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const backoff = new Backoff(100, 5000);
    while (!signal.aborted) {
      if (this.waiting.size === 0) await this.woken();
      await this.takeAll();
      if (this.waiting.size === 0) backoff.reset();
      // What is set meanwhile does not wait for what fails.
      else await Promise.race([backoff.wait(signal), new Promise<void>((wake) => (this.wake = wake))]);
    }
  }

  private async takeAll(): Promise<void> {
    const before = this.waiting.size;
    for (const [name, record] of [...this.waiting]) {
      try {
        await this.take(name, record);
      } catch (error) {
        this.failed(name, error);
      }
      if (this.waiting.get(name) === record || !this.waiting.has(name)) this.untried.delete(name);
    }
    this.list = undefined;
    for (const done of this.onTried.splice(0)) done();
    if (this.waiting.size === before) return;
    const kept = new Set([...this.usable, ...this.good.values()].flatMap((record) => this.digestsOf(record)));
    for (const digest of this.modules.keys()) if (!kept.has(digest)) this.modules.delete(digest);
    this.options.changed();
    if (this.waiting.size === 0) await this.options.cache.prune(kept);
  }

  private async take(name: string, record: PluginRecord | undefined): Promise<void> {
    const digests = record === undefined ? [] : this.digestsOf(record);
    for (const digest of digests) {
      this.modules.set(digest, this.modules.get(digest) ?? (await this.options.cache.get(digest)));
    }
    if (this.waiting.get(name) !== record) return; // a newer one has come meanwhile
    this.waiting.delete(name);
    this.failures.delete(name);
    if (record === undefined) this.ready.delete(name);
    else this.ready.set(name, record);
  }

  private failed(name: string, error: unknown): void {
    const message = `its module can't be got, what ran before goes on: ${messageOf(error)}`;
    const code = error instanceof SluiceError ? (error.problems[0]?.code ?? "module-cache") : "module-cache";
    if (this.failures.get(name)?.message !== message) this.options.log.warn({ plugin: name, code }, message);
    this.failures.set(name, { code, path: `/plugins/${name}`, message });
  }

  /** Of the version that the node is to run. */
  private digestsOf({ live, next }: PluginRecord): string[] {
    const version = next?.nodes.includes(this.options.node) ? next.version : live;
    return version === undefined ? [] : [version.digest];
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.stopping.signal.aborted || this.waiting.size > 0) resolve();
    });
  }
}
