import { join } from "node:path";
import type { Logger } from "pino";
import type { PluginReport } from "../cluster/records.js";
import { type NodePlugin, nodePlugin } from "../cluster/versions.js";
import type { NodeSpec, PluginSpec } from "../config/schema.js";
import type { StageFigures } from "../dataplane/protocol.js";
import type { Problem } from "../errors.js";
import { latest } from "../latest.js";
import { type Chosen, chooseRelease, lastInstead, type Release } from "../translate/releases.js";
import type { NodeStages } from "../translate/stages.js";
import type { ClusterView, ViewChange } from "./cluster-view.js";
import { ModuleCache } from "./module-cache.js";
import type { NodeState } from "./node-state.js";
import { PluginTrials } from "./plugin-trials.js";
import { PluginVerdicts } from "./plugin-verdicts.js";
import { type PipelineReport, pipelineReport, pluginReports } from "./reports.js";
import { UserPlugins } from "./user-plugins.js";

export interface UserStagesOptions {
  /** The agent's own. */
  readonly folder: string;
  readonly view: ClusterView;
  readonly state: NodeState;
  /** A module of the cluster, verified. */
  readonly module: (digest: string) => Promise<Uint8Array>;
  readonly log: Logger;
  /** The node's stages with these of users. */
  readonly stages: (users: Chosen) => NodeStages;
  /**
   * Compares stages with those that run, on copies of packets.
   * @returns why they are not to run. @throws SluiceError
   */
  readonly compare: (
    version: NodePlugin,
    stages: readonly PluginSpec[],
    signal: AbortSignal,
  ) => Promise<Problem | undefined>;
  /** Told when the node may have to be another one. */
  readonly changed: () => void;
  /** Told when what is reported has changed. */
  readonly reported: () => void;
}

/** The users' part of the node: which versions of Plugins it runs, in which order, and what becomes of them. */
export class UserStages {
  private readonly trials: PluginTrials;
  private readonly verdicts: PluginVerdicts;
  private readonly plugins: UserPlugins;
  /** Of the state that is being sent, and of the one that the dataplane has. */
  private sending: Chosen = { plugins: [], pipeline: undefined };
  private programmed: Chosen = this.sending;
  /** When it was begun to send it, Unix time in ms. */
  private sendingSince = 0;

  constructor(private readonly options: UserStagesOptions) {
    const { folder, module, log, changed, reported } = options;
    this.verdicts = new PluginVerdicts(join(folder, "plugins.json"), log);
    this.trials = new PluginTrials(() => {
      this.verdicts.save(this.trials);
      reported();
    });
    this.plugins = new UserPlugins({
      cache: new ModuleCache(join(folder, "modules"), module),
      trials: this.trials,
      compare: (plugin, signal) => this.compare(plugin, signal),
      log,
      changed: () => {
        reported();
        changed();
      },
    });
  }

  /** What earlier processes have seen. */
  async restore(): Promise<void> {
    await this.verdicts.restore(this.trials);
    await this.plugins.keep(this.verdicts.release?.plugins ?? []);
  }

  changed(change: ViewChange): void {
    if (change.aspect !== "plugins") return;
    const { name, record } = change;
    this.plugins.set(name, record && nodePlugin(record, this.options.view.node));
  }

  /** Whether what stages count matters soon. */
  get areOnTrial(): boolean {
    return !this.trials.isEmpty;
  }

  /** Resolves once each Plugin was tried to be had. */
  tried(): Promise<void> {
    return this.plugins.tried();
  }

  wasm(digest: string): Uint8Array | undefined {
    return this.plugins.wasm(digest);
  }

  /** The node with what of users can run together. A new version that does not fit the others leaves the one before in place. */
  fitted(build: (users: Chosen) => NodeSpec): NodeSpec {
    this.sendingSince = Date.now();
    for (;;) {
      this.sending = this.chosen();
      let spec = build(this.sending);
      const { release } = this.sending;
      const problem = this.options.state.problems.find(({ path }) => path.startsWith("/pipelines/"));
      if (release !== undefined && problem !== undefined) {
        const message = `release ${release.pipeline.spec.release} can't be: ${problem.message}`;
        this.sending = lastInstead(release, this.plugins.usable, this.verdicts.release, message);
        spec = build(this.sending);
      }
      if (!this.refusesUnfit()) return spec;
    }
  }

  /** The dataplane has the state that was sent last. */
  confirm(): void {
    if (this.programmed === this.sending) return;
    this.programmed = this.sending;
    this.plugins.confirm(this.programmed.plugins, this.sendingSince);
    this.keepRelease();
    this.options.reported();
  }

  /** The dataplane refuses a stage of what was sent last. @returns false: it is none of the users' */
  refuse(stage: string, problem: Problem): boolean {
    const owner = this.options.state.ownerOf(stage) ?? stage;
    const sent = this.sending.plugins.find(({ name }) => name === owner);
    return sent !== undefined && this.plugins.refuse(sent, problem);
  }

  /** Takes what the dataplane has counted. */
  look(stages: readonly StageFigures[]): void {
    const ownerOf = (stage: string) => this.options.state.ownerOf(stage);
    for (const { plugin, problem } of this.trials.look(stages, ownerOf, Date.now())) {
      this.plugins.refuse(plugin, problem);
    }
    this.keepRelease();
  }

  reports(): { plugins: PluginReport[]; pipeline: PipelineReport } {
    return {
      plugins: pluginReports({
        wanted: this.options.view.plugins.keys(),
        programmed: this.programmed.plugins,
        trials: this.trials,
        problemOf: (name) => this.problemOf(name),
      }),
      pipeline: pipelineReport(this.programmed, this.options.state.problems),
    };
  }

  async close(): Promise<void> {
    await this.plugins.close();
    await this.verdicts.close();
  }

  /** The same until something of it changes. */
  private chosen(): Chosen {
    const { view, state } = this.options;
    return this.choose(this.plugins.usable, view.pipelineChanges, state.node?.labels, this.verdicts.release);
  }

  private readonly choose = latest(
    (
      plugins: readonly NodePlugin[],
      _pipelines: number,
      labels: Readonly<Record<string, string>> | undefined,
      last: Release | undefined,
    ) => chooseRelease({ labels: labels ?? {}, pipelines: this.options.view.pipelines.values(), plugins, last }),
  );

  /** A release that has run well is what the node goes back to. */
  private keepRelease(): void {
    const { release } = this.programmed;
    if (release === undefined || release === this.verdicts.release) return;
    if (!release.plugins.every((plugin) => this.trials.isGood(plugin))) return;
    this.verdicts.release = release;
    this.verdicts.save(this.trials);
    void this.plugins.keep(release.plugins);
  }

  private refusesUnfit(): boolean {
    return this.sending.plugins.some((plugin) => {
      const problem = this.trials.isGood(plugin) ? undefined : this.options.state.problemOf(plugin.name);
      return problem !== undefined && this.plugins.refuse(plugin, problem);
    });
  }

  private compare(plugin: NodePlugin, signal: AbortSignal): Promise<Problem | undefined> {
    const { pipeline, plugins } = this.sending;
    const others = plugins.filter(({ name }) => name !== plugin.name);
    const stages = this.options.stages({ pipeline, plugins: [...others, plugin] });
    return this.options.compare(
      plugin,
      stages.plugins.filter(({ name }) => stages.owners.get(name) === plugin.name),
      signal,
    );
  }

  private problemOf(plugin: string): Problem | undefined {
    const { waiting, plugins } = this.sending;
    const usable = this.plugins.usable.find(({ name }) => name === plugin);
    const waits = waiting !== undefined && usable !== undefined && !plugins.includes(usable);
    const problem = this.plugins.problemOf(plugin) ?? this.options.state.problemOf(plugin);
    return problem ?? (waits ? { code: "waits", path: `/plugins/${plugin}`, message: waiting } : undefined);
  }
}
