import { randomUUID } from "node:crypto";
import type { Dataplane, Manifest } from "@sluice/native";
import type { Logger } from "pino";
import { checkNode } from "../config/checks.js";
import { parseNodeSpec } from "../config/load.js";
import type { NodeSpec, PluginSpec } from "../config/schema.js";
import { type Problem, SluiceError } from "../errors.js";
import { type History, recordRevision } from "../plugins/history.js";
import { type Changed, changePlugins, type Histories, parsePlugin } from "./changes.js";
import { parseDifference, withDifference } from "./difference.js";
import { LoadedModules } from "./loaded-modules.js";
import { fromNative } from "./native-errors.js";
import type { PluginSources } from "./plugin-sources.js";
import { failingOn, failuresSince, rolledBack } from "./probation.js";
import type {
  ApplyResponse,
  ChangePluginsRequest,
  ChangePluginsResponse,
  DigestResponse,
  NativeFigures,
  PluginInfo,
  Probation,
  Shadow,
  ShadowReport,
} from "./protocol.js";
import { inParts, shadowProblem } from "./shadow-parts.js";
import { specDigest } from "./spec-digest.js";
import { refuseRestartSettings, withStartSettings } from "./start-settings.js";
import { type DesiredState, desiredState } from "./state.js";
import { type InForce, type StateText, stateText } from "./state-change.js";
import { StateWriter } from "./state-writer.js";
import type { Modules, PendingSnapshot, Snapshot, Store } from "./store.js";
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

/**
 * The control side of one dataplane: transactions on the addon, with a record of what is live in the store.
 * Transactions run one after the other; each is all or nothing.
 */
export class Shell {
  private live: Live | undefined;
  private readonly loaded: LoadedModules;
  private inForce: InForce | undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private readonly process = randomUUID();
  private transactions = 0;
  private readonly writer: StateWriter;

  constructor(private readonly options: ShellOptions) {
    this.loaded = new LoadedModules(options);
    const { store, log } = options;
    this.writer = new StateWriter({ store, log, current: () => this.live && snapshotOf(this.live) });
  }

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
      const spec = adjust(parseNodeSpec(withStartSettings(snapshot.spec, this.options.started)));
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

  /** Has the addon open lost ports again that can return; nothing else changes. @throws SluiceError when the addon refuses */
  async reopenPorts(): Promise<void> {
    return this.exclusive(async () => {
      if (this.live === undefined) return;
      const state = desiredState(this.live.spec, this.loaded.manifests);
      const { text, configs } = stateText(state, this.inForce);
      try {
        const { generation } = await this.options.native.apply(text, configs);
        this.inForce = { state, generation };
      } catch (error) {
        throw fromNative(error);
      }
    });
  }

  /** @throws SluiceError "not-running" */
  digest(): DigestResponse {
    return { revision: this.revision, digest: specDigest(this.current().spec) };
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
        const beforePublish = async (state: StateText) => {
          if (request.shadow !== undefined)
            shadows.push(...(await this.shadow(state, changed.touched, request.shadow)));
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

  /**
   * Compares plugins with the live ones of their names; those that are not live are not compared. Other transactions are done between parts of
   * the run. @throws SluiceError when one of them can't run. @returns the reports, whatever they say
   */
  async compare(pluginsJson: readonly string[], modules: Modules, limits: Shadow): Promise<ShadowReport[]> {
    const plugins = pluginsJson.map(parsePlugin);
    const reports: ShadowReport[] = [];
    for (const plugin of plugins) {
      const report = await inParts(plugin.name, limits, (part) =>
        this.exclusive(() => this.comparePart(plugin, modules, part)),
      );
      reports.push(report);
    }
    return reports;
  }

  /** @returns undefined where it is not live */
  private async comparePart(plugin: PluginSpec, modules: Modules, limits: Shadow): Promise<ShadowReport | undefined> {
    const { spec } = this.current();
    if (!spec.plugins.some(({ name }) => name === plugin.name)) return undefined;
    const plugins = spec.plugins.map((live) => (live.name === plugin.name ? plugin : live));
    const next = parseNodeSpec({ ...spec, plugins });
    try {
      const wasms = await this.loaded.gather(next, modules);
      this.loaded.checkConfigs(next);
      await this.loaded.load(next, wasms);
      const { text, configs } = stateText(desiredState(next, this.loaded.manifests), this.inForce);
      return { ...(await this.options.native.shadow(text, configs, plugin.name, limits)), plugin: plugin.name };
    } catch (error) {
      const known = error instanceof SluiceError ? error : fromNative(error);
      throw known instanceof SluiceError ? new SluiceError(byName(known.problems, next), { cause: known }) : known;
    }
  }

  plugins(): PluginInfo[] {
    const { spec, histories } = this.current();
    return spec.plugins.map((plugin) => {
      const { name, digest, origin, budgetUs, scope } = plugin;
      const manifest = this.loaded.manifestOf(digest);
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
      await this.writer.flush();
      this.live = undefined;
    });
  }

  private async transact(
    next: Changed,
    modules: Modules,
    { beforePublish, writesLater = false }: TransactOptions = {},
  ): Promise<ApplyResponse> {
    refuseRestartSettings(this.options.started, next.spec);
    const wasms = await this.loaded.gather(next.spec, modules);
    this.loaded.checkConfigs(next.spec);
    const state = desiredState(next.spec, this.loaded.manifests);
    const change = stateText(state, this.inForce);
    await this.loaded.load(next.spec, wasms);
    await beforePublish?.(change);

    const live = { spec: next.spec, histories: this.recorded(next) };
    const publish = (pending?: PendingSnapshot) => this.publish(live, state, change, pending);
    if (!writesLater) {
      return this.writer.turn(async () => publish(await this.options.store.prepare(snapshotOf(live), wasms)));
    }
    const response = await publish();
    this.writer.later();
    return response;
  }

  /** Makes it live in the addon, then in the store where a snapshot is pending. @throws SluiceError, and nothing has changed */
  private async publish(
    live: Live,
    state: DesiredState,
    { text, configs }: StateText,
    pending?: PendingSnapshot,
  ): Promise<ApplyResponse> {
    const { native, log, uplinks } = this.options;
    let taken: string[] = [];
    let result: Awaited<ReturnType<Dataplane["apply"]>>;
    try {
      taken = await uplinks.take(live.spec);
      result = await native.apply(text, configs);
    } catch (error) {
      await pending?.abort();
      await uplinks.giveBack(taken);
      throw fromNative(error);
    }
    this.inForce = { state, generation: result.generation };
    await uplinks.giveBackOthers(live.spec);
    this.live = live;
    this.transactions++;
    this.loaded.keepOnly(live.spec);
    await pending?.commit();
    if (pending !== undefined) this.writer.written();
    log.info({ generation: result.generation, plugins: result.plugins }, "applied");
    return { ...result, revision: this.revision };
  }

  private async shadow(
    { text, configs }: StateText,
    plugins: readonly string[],
    limits: Shadow,
  ): Promise<ShadowReport[]> {
    const reports: ShadowReport[] = [];
    for (const plugin of plugins) {
      try {
        reports.push({ ...(await this.options.native.shadow(text, configs, plugin, limits)), plugin });
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
    probation: Probation,
    plugins: readonly string[],
    counted: NativeFigures,
    before: Live,
  ): Promise<void> {
    const failing = await failingOn(probation, () => failuresSince(counted, this.status(), plugins));
    if (failing.length === 0) return;
    // The places first: the module that failed is forgotten with its version.
    const problems = await rolledBack(failing, probation, this.options.sources);
    await this.transact({ ...before, touched: [] }, new Map());
    throw new SluiceError(problems);
  }

  private recorded({ spec, histories }: Changed): Histories {
    const now = new Date().toISOString();
    return Object.fromEntries(
      spec.plugins.map((plugin) => {
        const { version } = this.loaded.manifestOf(plugin.digest);
        return [plugin.name, recordRevision(histories[plugin.name] ?? [], plugin, version, now)];
      }),
    );
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

interface TransactOptions {
  /** Called when all is prepared; what it throws ends the transaction. */
  readonly beforePublish?: (state: StateText) => Promise<void>;
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
