import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Dataplane, Manifest } from "@sluice/native";
import type { Logger } from "pino";
import { checkNode } from "../config/checks.js";
import { parseNodeSpec } from "../config/load.js";
import type { NodeSpec, PluginSpec } from "../config/schema.js";
import { type Problem, SluiceError } from "../errors.js";
import { checkPluginConfig } from "../plugins/config-schema.js";
import { type History, recordRevision } from "../plugins/history.js";
import { type Changed, changePlugins, type Histories } from "./changes.js";
import { parseDifference, withDifference } from "./difference.js";
import { fromNative } from "./native-errors.js";
import type { PluginSources } from "./plugin-sources.js";
import { failuresSince } from "./probation.js";
import type {
  ApplyResponse,
  ChangePluginsRequest,
  ChangePluginsResponse,
  NativeFigures,
  PluginInfo,
  Probation,
  Shadow,
  ShadowReport,
} from "./protocol.js";
import { desiredState } from "./state.js";
import type { Modules, Snapshot, Store } from "./store.js";
import { trapPlace } from "./traps.js";
import type { Uplinks } from "./uplinks.js";

export interface ShellOptions {
  readonly native: Dataplane;
  readonly store: Store;
  readonly log: Logger;
  /** What the running process was started with; settings of the start can't change under it. */
  readonly started: NodeSpec;
  /** Reads and checks a module's manifest without running it. @throws SluiceError */
  readonly inspect: (wasm: Uint8Array, origin: string) => Promise<Manifest>;
  /** Of the store's modules. */
  readonly sources: PluginSources;
  readonly uplinks: Pick<Uplinks, "take" | "giveBack" | "giveBackOthers">;
}

/** What is live: nothing before the first apply. */
interface Live {
  readonly spec: NodeSpec;
  readonly histories: Histories;
}

/** A changed node is written to the store this much later, together with what changes meanwhile. */
const WRITE_MS = 500;

/**
 * The control side of one dataplane: transactions on the addon, with a record of what is live in the store.
 * Transactions run one after the other; each is all or nothing.
 */
export class Shell {
  private live: Live | undefined;
  private readonly manifests = new Map<string, Manifest>();
  /** Digests of the modules that the addon holds. */
  private loaded = new Set<string>();
  /** Configurations that fit their manifests. */
  private readonly checked = new WeakSet<PluginSpec>();
  private queue: Promise<unknown> = Promise.resolve();
  private readonly process = randomUUID();
  private transactions = 0;
  private writing: NodeJS.Timeout | undefined;

  constructor(private readonly options: ShellOptions) {}

  /** As ApplyResponse's. */
  get revision(): string {
    return `${this.process}.${this.transactions}`;
  }

  /**
   * Makes the node what the last process of this state directory had made it, but for settings of the start.
   * @param adjust takes off what can't be had again. @returns false when there is no such state
   */
  async resume(adjust: (spec: NodeSpec) => NodeSpec = (spec) => spec): Promise<boolean> {
    return this.exclusive(async () => {
      const snapshot = await this.options.store.load();
      if (snapshot === undefined) return false;
      const { started } = this.options;
      const settings = Object.fromEntries(START_SETTINGS.map((key) => [key, started[key]]));
      const conntrack = { ...snapshot.spec.conntrack, maxFlows: started.conntrack.maxFlows };
      const spec = adjust(parseNodeSpec({ ...snapshot.spec, ...settings, conntrack }));
      await this.transact({ spec, histories: snapshot.histories, touched: [] }, new Map());
      return true;
    });
  }

  /** @param specJson as ApplyRequest's. @throws SluiceError, and nothing has changed */
  async apply(specJson: unknown, modules: Modules): Promise<ApplyResponse> {
    return this.exclusive(async () => {
      const spec = parseNodeSpec(specJson);
      const before = this.live?.histories ?? (await this.options.store.load())?.histories ?? {};
      const names = new Set(spec.plugins.map(({ name }) => name));
      const histories = Object.fromEntries(Object.entries(before).filter(([name]) => names.has(name)));
      return this.transact({ spec, histories, touched: [] }, modules);
    });
  }

  /**
   * Changes the node's ports, routes, neighbours and plugins. What it is then is written to the store a moment later: who
   * updates a node knows by the revision when a restart has lost the last changes.
   * @param differenceJson as UpdateRequest's. @throws SluiceError, and nothing has changed
   */
  async update(base: string, differenceJson: unknown, modules: Modules): Promise<ApplyResponse> {
    const difference = parseDifference(differenceJson);
    return this.exclusive(async () => {
      const before = this.current();
      if (base !== this.revision) {
        const message = `found ${base}; the node is at ${this.revision}: apply all of the state`;
        throw SluiceError.of("stale-base", "/base", message);
      }
      const spec = withDifference(before.spec, difference);
      try {
        const problems = checkNode(spec);
        if (problems.length > 0) throw new SluiceError(problems.map(({ problem }) => problem));
        const histories = followed(before.histories, spec.plugins);
        return await this.transact({ spec, histories, touched: [] }, modules, { writesLater: modules.size === 0 });
      } catch (error) {
        throw error instanceof SluiceError ? new SluiceError(byName(error.problems, spec), { cause: error }) : error;
      }
    });
  }

  /** @throws SluiceError, and nothing has changed (or, after a probation, it has changed back) */
  async change(request: ChangePluginsRequest, modules: Modules): Promise<ChangePluginsResponse> {
    return this.exclusive(async () => {
      const before = this.current();
      const changed = changePlugins(before.spec, before.histories, request.changes);
      try {
        const spec = parseNodeSpec(changed.spec);
        const shadows: ShadowReport[] = [];
        const counted = this.status();
        const beforePublish = async (stateJson: string) => {
          if (request.shadow !== undefined)
            shadows.push(...(await this.shadow(stateJson, changed.touched, request.shadow)));
        };
        const result = await this.transact({ ...changed, spec }, modules, { beforePublish });
        if (request.probation !== undefined) await this.probation(request.probation, changed.touched, counted, before);
        return { ...result, shadows };
      } catch (error) {
        throw error instanceof SluiceError
          ? new SluiceError(byName(error.problems, changed.spec), { cause: error })
          : error;
      }
    });
  }

  plugins(): PluginInfo[] {
    const { spec, histories } = this.current();
    return spec.plugins.map((plugin) => {
      const { name, digest, origin, budgetUs, scope } = plugin;
      const manifest = this.manifestOf(digest);
      const revisions = (histories[name] ?? []).map((revision) => ({
        number: revision.number,
        version: revision.version,
        digest: revision.plugin.digest,
        origin: revision.plugin.origin,
        appliedAt: revision.appliedAt,
      }));
      const failure = plugin.failure ?? manifest.failure;
      return {
        name,
        digest,
        origin,
        budgetUs,
        scope,
        version: manifest.version,
        hooks: manifest.hooks,
        failure,
        revisions,
      };
    });
  }

  /** Reading it takes the addon's messages, which go to the log. */
  status(): NativeFigures {
    const { messages, ...figures } = this.options.native.status();
    for (const message of messages) this.options.log.warn(message);
    return figures;
  }

  /** Waits for the transaction in work, then refuses all others. */
  async close(): Promise<void> {
    await this.exclusive(async () => {
      await this.write();
      this.live = undefined;
    });
  }

  private async transact(
    next: Changed,
    modules: Modules,
    { beforePublish, writesLater = false }: TransactOptions = {},
  ): Promise<ApplyResponse> {
    const { native, store, log, uplinks } = this.options;
    refuseRestartSettings(this.options.started, next.spec);
    const wasms = await this.gather(next.spec, modules);
    this.checkConfigs(next.spec);
    const stateJson = JSON.stringify(desiredState(next.spec, this.manifests));
    await this.load(next.spec, wasms);
    await beforePublish?.(stateJson);

    const live = { spec: next.spec, histories: this.recorded(next) };
    const pending = writesLater ? undefined : await store.prepare(snapshotOf(live), wasms);
    let taken: string[] = [];
    let result: Awaited<ReturnType<Dataplane["apply"]>>;
    try {
      taken = await uplinks.take(next.spec);
      result = await native.apply(stateJson);
    } catch (error) {
      await pending?.abort();
      await uplinks.giveBack(taken);
      throw fromNative(error);
    }
    await uplinks.giveBackOthers(next.spec);
    this.live = live;
    this.transactions++;
    this.loaded = new Set(next.spec.plugins.map(({ digest }) => digest));
    for (const digest of this.manifests.keys()) if (!this.loaded.has(digest)) this.manifests.delete(digest);
    await pending?.commit();
    this.writeLater(pending === undefined);
    log.info({ generation: result.generation, plugins: result.plugins }, "applied");
    return { ...result, revision: this.revision };
  }

  /** Everything written takes what was to be written later with it. */
  private writeLater(isWaiting: boolean): void {
    if (!isWaiting) {
      clearTimeout(this.writing);
      this.writing = undefined;
      return;
    }
    this.writing ??= setTimeout(() => {
      this.exclusive(() => this.write()).catch((error: unknown) => {
        this.options.log.error({ err: error }, "the node's state was not written; a restart begins with an older one");
      });
    }, WRITE_MS);
  }

  private async write(): Promise<void> {
    if (this.writing === undefined || this.live === undefined) return;
    clearTimeout(this.writing);
    this.writing = undefined;
    const pending = await this.options.store.prepare(snapshotOf(this.live), new Map());
    await pending.commit();
  }

  /** The bytes of the modules that the addon lacks, checked; their manifests are known after it. */
  private async gather(spec: NodeSpec, sent: Modules): Promise<Map<string, Uint8Array>> {
    const wasms = new Map<string, Uint8Array>();
    for (const { digest, origin } of spec.plugins) {
      if (this.loaded.has(digest) || wasms.has(digest)) continue;
      const wasm = sent.get(digest) ?? (await this.options.store.module(digest));
      if (!this.manifests.has(digest)) this.manifests.set(digest, await this.options.inspect(wasm, origin));
      wasms.set(digest, wasm);
    }
    return wasms;
  }

  private checkConfigs(spec: NodeSpec): void {
    const problems = spec.plugins.flatMap((plugin, index) =>
      this.checked.has(plugin)
        ? []
        : checkPluginConfig(this.manifestOf(plugin.digest), plugin.config, `/plugins/${index}/config`),
    );
    if (problems.length > 0) throw new SluiceError(problems);
    for (const plugin of spec.plugins) this.checked.add(plugin);
  }

  private async load(spec: NodeSpec, wasms: Modules): Promise<void> {
    for (const [digest, wasm] of wasms) {
      const origin = spec.plugins.find((plugin) => plugin.digest === digest)?.origin ?? "";
      try {
        this.manifests.set(digest, await this.options.native.addModule(digest, wasm));
        this.loaded.add(digest);
      } catch (error) {
        throw fromNative(error, origin);
      }
    }
  }

  private async shadow(stateJson: string, plugins: readonly string[], limits: Shadow): Promise<ShadowReport[]> {
    const reports: ShadowReport[] = [];
    for (const plugin of plugins) {
      try {
        reports.push({ ...(await this.options.native.shadow(stateJson, plugin, limits)), plugin });
      } catch (error) {
        throw fromNative(error);
      }
    }
    const problems = reports.filter(({ passed }) => !passed).map(shadowProblem);
    if (problems.length > 0) throw new SluiceError(problems);
    return reports;
  }

  /** Watches changed stages for a while; on too many failures what was live before is live again. */
  private async probation(
    { durationMs, maxFailures }: Probation,
    plugins: readonly string[],
    counted: NativeFigures,
    before: Live,
  ): Promise<void> {
    const end = Date.now() + durationMs;
    for (;;) {
      const failing = failuresSince(counted, this.status(), plugins).filter(({ failures }) => failures > maxFailures);
      if (failing.length > 0) {
        const problems = failing.map(async ({ name, failures, last, trap }) => ({
          code: "rolled-back",
          path: `/plugins/${name}`,
          message: `failed ${failures} times on probation (allowed: ${maxFailures}), the previous version is live again: ${last}${await trapPlace(trap, this.options.sources)}`,
        }));
        // The places first: the module that failed is forgotten with its version.
        const placed = await Promise.all(problems);
        await this.transact({ ...before, touched: [] }, new Map());
        throw new SluiceError(placed);
      }
      const left = end - Date.now();
      if (left <= 0) return;
      await new Promise((wake) => setTimeout(wake, Math.min(left, 50)));
    }
  }

  private recorded({ spec, histories }: Changed): Histories {
    const now = new Date().toISOString();
    return Object.fromEntries(
      spec.plugins.map((plugin) => {
        const { version } = this.manifestOf(plugin.digest);
        return [plugin.name, recordRevision(histories[plugin.name] ?? [], plugin, version, now)];
      }),
    );
  }

  private manifestOf(digest: string): Manifest {
    const manifest = this.manifests.get(digest);
    if (manifest === undefined) throw new Error(`no manifest of module ${digest}`);
    return manifest;
  }

  private current(): Live {
    if (this.live === undefined)
      throw SluiceError.of("not-running", "", "the dataplane is starting or stopping; try again");
    return this.live;
  }

  private exclusive<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }
}

/** Settings that the addon takes at its start only. */
const START_SETTINGS = [
  "name",
  "workers",
  "workerCores",
  "busyPoll",
  "memory",
  "stateDir",
  "cacheDir",
  "logLevel",
] as const;

function refuseRestartSettings(started: NodeSpec, next: NodeSpec): void {
  const problems = START_SETTINGS.filter((key) => !isDeepStrictEqual(started[key], next[key])).map((key) => ({
    code: "restart-required",
    path: `/${key}`,
    message: `found ${JSON.stringify(next[key])}; the running dataplane was started with ${JSON.stringify(started[key])}, and a restart is needed to change it`,
  }));
  if (problems.length > 0) throw new SluiceError(problems);
}

function shadowProblem(report: ShadowReport): Problem {
  const { plugin, packets, differences, failures, first } = report;
  const seen = `${packets} packets: ${differences} treated otherwise, ${failures} failures`;
  return { code: "shadow-refused", path: `/plugins/${plugin}`, message: `${seen}; first: ${first}` };
}

interface TransactOptions {
  /** Called when all is prepared; what it throws ends the transaction. */
  readonly beforePublish?: (stateJson: string) => Promise<void>;
  /** The store gets the new state a moment later. */
  readonly writesLater?: boolean;
}

/** "/plugins/2/config" as "/plugins/nat/config": who changes a node has no node file at hand. */
function byName(problems: readonly Problem[], spec: NodeSpec): Problem[] {
  return problems.map((problem) => ({
    ...problem,
    path: problem.path.replace(/^\/(ports|plugins)\/(\d+)/, (whole, list: "ports" | "plugins", index: string) => {
      const name = spec[list][Number(index)]?.name;
      return name === undefined ? whole : `/${list}/${name}`;
    }),
  }));
}

/** A configuration that follows a cluster's state is no version of its own to roll back to: it takes the last one's place. */
function followed(histories: Histories, plugins: readonly PluginSpec[]): Histories {
  const follow = (history: History, plugin: PluginSpec): History => {
    const live = history.at(-1);
    return live?.plugin.digest === plugin.digest ? [...history.slice(0, -1), { ...live, plugin }] : history;
  };
  return Object.fromEntries(plugins.map((plugin) => [plugin.name, follow(histories[plugin.name] ?? [], plugin)]));
}

function snapshotOf({ spec, histories }: Live): Snapshot {
  return { format: 1, spec, histories: mutable(histories) };
}

function mutable(histories: Histories) {
  return Object.fromEntries(Object.entries(histories).map(([name, history]) => [name, [...history]]));
}
