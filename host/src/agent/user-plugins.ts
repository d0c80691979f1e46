import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import type { NodePlugin } from "../cluster/versions.js";
import { messageOf, type Problem, SluiceError } from "../errors.js";
import type { ModuleCache } from "./module-cache.js";
import type { PluginTrials } from "./plugin-trials.js";

export interface UserPluginsOptions {
  readonly cache: ModuleCache;
  readonly trials: PluginTrials;
  readonly log: Logger;
  /** Compares a version with the one that runs, on copies of packets. @returns why it is not to run. @throws SluiceError */
  readonly compare: (plugin: NodePlugin, signal: AbortSignal) => Promise<Problem | undefined>;
  /** Told when what is usable has changed. */
  readonly changed: () => void;
}

/**
 * The users' Plugins as far as the node can run them: a version whose module is not there yet, or that has failed, leaves the last good one
 * running.
 */
export class UserPlugins {
  /** As the cluster says. */
  private readonly wanted = new Map<string, NodePlugin>();
  private readonly ready = new Map<string, NodePlugin>();
  /** What the dataplane runs. */
  private running = new Map<string, NodePlugin>();
  private kept: readonly NodePlugin[] = [];
  private readonly modules = new Map<string, Uint8Array>();
  /** What is to be usable, and is not yet. Undefined: it is to go. */
  private readonly waiting = new Map<string, NodePlugin | undefined>();
  /** Ids of versions that were compared with the one before, or are being so, by name. */
  private readonly compared = new Map<string, { id: string; isDone: boolean }>();
  private readonly comparing = new Set<Promise<void>>();
  private readonly untried = new Set<string>();
  private onTried: (() => void)[] = [];
  private list: readonly NodePlugin[] | undefined;
  private readonly failures = new Map<string, Problem>();
  private readonly stopping = new AbortController();
  private wake = () => {};
  private readonly loop: Promise<void>;

  constructor(private readonly options: UserPluginsOptions) {
    this.loop = this.run();
  }

  /** The same list until it changes. */
  get usable(): readonly NodePlugin[] {
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
    return this.failures.get(name) ?? this.options.trials.refused(name)?.problem;
  }

  /** Versions whose modules are to be at hand besides. Resolves once they are, or can't be got. */
  async keep(plugins: readonly NodePlugin[]): Promise<void> {
    this.kept = plugins;
    for (const plugin of plugins) await this.load(plugin).catch((error) => this.failed(plugin.name, error));
  }

  wasm(digest: string): Uint8Array | undefined {
    return this.modules.get(digest);
  }

  /** The dataplane has taken all of these. @param since when it was told to, Unix time in ms */
  confirm(plugins: readonly NodePlugin[], since: number): void {
    this.running = new Map(plugins.map((plugin) => [plugin.name, plugin]));
    this.options.trials.programmed(plugins, since);
  }

  /**
   * It can't run, or must not go on: the last good version is usable again, until another one comes; without one what ran before.
   * What has been set in its place meanwhile is not to blame. @returns false: no version of it is usable
   */
  refuse({ name, version }: NodePlugin, problem: Problem): boolean {
    const plugin = this.ready.get(name);
    if (plugin === undefined) return false;
    if (plugin.version.id !== version.id) return true;
    const { log, trials } = this.options;
    const last = trials.good(name) ?? this.running.get(name);
    if (last === undefined || last.version.id === plugin.version.id) this.ready.delete(name);
    else this.ready.set(name, last);
    this.list = undefined;
    const { id, generation } = version;
    const message = `generation ${generation} does not run, what ran before goes on: ${problem.message}`;
    log.warn({ plugin: name, code: problem.code, version: id }, message);
    trials.refuse(plugin, { ...problem, path: `/plugins/${name}`, message });
    this.options.changed();
    return true;
  }

  set(name: string, plugin: NodePlugin | undefined): void {
    const { trials } = this.options;
    const isSame = plugin !== undefined && this.wanted.get(name)?.version.id === plugin.version.id;
    if (isSame) return; // other nodes' part of a roll-out
    if (plugin === undefined) this.wanted.delete(name);
    else this.wanted.set(name, plugin);
    if (plugin !== undefined && trials.refused(name)?.id !== plugin.version.id) trials.forgive(name);
    this.waiting.set(name, plugin);
    this.untried.add(name);
    this.failures.delete(name);
    this.wake();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.wake();
    for (const done of this.onTried.splice(0)) done();
    await Promise.all([this.loop, ...this.comparing]);
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
    for (const [name, plugin] of [...this.waiting]) {
      try {
        await this.take(name, plugin);
      } catch (error) {
        this.failed(name, error);
      }
      if (this.waiting.get(name) === plugin || !this.waiting.has(name)) this.untried.delete(name);
    }
    this.list = undefined;
    for (const done of this.onTried.splice(0)) done();
    if (this.waiting.size === before) return;
    const { cache, trials, changed } = this.options;
    const known = [this.usable, this.wanted.values(), this.running.values(), trials.verdicts.good, this.kept];
    const plugins = known.flatMap((each) => [...each]);
    const kept = new Set(plugins.map(({ version }) => version.digest));
    for (const digest of this.modules.keys()) if (!kept.has(digest)) this.modules.delete(digest);
    changed();
    if (this.waiting.size === 0) await cache.prune(kept);
  }

  private async take(name: string, plugin: NodePlugin | undefined): Promise<void> {
    const { trials } = this.options;
    if (plugin !== undefined && !this.ready.has(name)) await this.takeGood(name);
    const isRefused = plugin !== undefined && trials.refused(name)?.id === plugin.version.id;
    if (plugin !== undefined && !isRefused) await this.load(plugin);
    if (this.waiting.get(name) !== plugin) return; // a newer one has come meanwhile
    this.waiting.delete(name);
    this.failures.delete(name);
    if (plugin === undefined) {
      this.ready.delete(name);
      trials.forget(name);
    } else if (!isRefused && this.isCompared(plugin)) this.ready.set(name, plugin);
  }

  /** What ran well before the agent was started: the node goes on with it until the version that is wanted is there. */
  private async takeGood(name: string): Promise<void> {
    const good = this.options.trials.good(name);
    if (good === undefined) return;
    try {
      await this.load(good);
      this.ready.set(name, good);
    } catch (error) {
      this.options.log.warn(
        { plugin: name, error: messageOf(error) },
        "the module that ran last is not there any more",
      );
    }
  }

  private async load({ version: { digest } }: NodePlugin): Promise<void> {
    this.modules.set(digest, this.modules.get(digest) ?? (await this.options.cache.get(digest)));
  }

  /** One that is to be compared first is set again once it has been. */
  private isCompared(plugin: NodePlugin): boolean {
    const { name, version } = plugin;
    const before = this.ready.get(name);
    if (version.rollout.strategy !== "Shadow" || before === undefined) return true;
    if (before.version.id === version.id || this.options.trials.isGood(plugin)) return true;
    const known = this.compared.get(name);
    if (known?.id === version.id) return known.isDone;
    this.compared.set(name, { id: version.id, isDone: false });
    const work = this.compare(plugin).finally(() => this.comparing.delete(work));
    this.comparing.add(work);
    return false;
  }

  private async compare(plugin: NodePlugin): Promise<void> {
    const { name, version } = plugin;
    const { signal } = this.stopping;
    const backoff = new Backoff(100, 5000);
    const isWanted = () => !signal.aborted && this.wanted.get(name)?.version.id === version.id;
    while (isWanted()) {
      try {
        const problem = await this.options.compare(plugin, signal);
        if (!isWanted()) return;
        this.compared.set(name, { id: version.id, isDone: true });
        this.failures.delete(name);
        if (problem !== undefined) this.options.trials.refuse(plugin, problem);
        this.waiting.set(name, plugin);
        this.wake();
        return;
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        this.failures.set(name, {
          ...(error.problems[0] as Problem),
          message: `it can't be compared yet: ${error.message}`,
        });
        this.options.changed();
        await backoff.wait(signal);
      }
    }
  }

  private failed(name: string, error: unknown): void {
    const message = `its module can't be got, what ran before goes on: ${messageOf(error)}`;
    const code = error instanceof SluiceError ? (error.problems[0]?.code ?? "module-cache") : "module-cache";
    if (this.failures.get(name)?.message !== message) this.options.log.warn({ plugin: name, code }, message);
    this.failures.set(name, { code, path: `/plugins/${name}`, message });
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.stopping.signal.aborted || this.waiting.size > 0) resolve();
    });
  }
}
