import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { PodRecord } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import type { NodeSpec, PluginSpec } from "../config/schema.js";
import { DataplaneClient } from "../dataplane/client.js";
import { shadowProblem } from "../dataplane/shadow-parts.js";
import { readSettings, type StartSettings, startedFile, startFile, writeSettings } from "../dataplane/start-file.js";
import { formatProblem, type Problem, SluiceError } from "../errors.js";
import { attachmentId } from "../ipam/attachment.js";
import { Ipam } from "../ipam/ipam.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { ModuleStore } from "../store/module-store.js";
import { ClusterPlugins } from "./cluster-plugins.js";
import { ClusterView } from "./cluster-view.js";
import { ClusterWatch } from "./cluster-watch.js";
import type { CniNode } from "./cni/service.js";
import { type Condition, conditions } from "./conditions.js";
import { DataplaneSync, type SyncState } from "./dataplane-sync.js";
import { podMtu, portName } from "./desired.js";
import { EtcdReport } from "./etcd-report.js";
import { LostPods } from "./lost-pods.js";
import { startSettings } from "./node-config.js";
import { NodeState } from "./node-state.js";
import { loadModules, type OwnModules } from "./plugins.js";
import { reportPrefixes, reports } from "./reports.js";
import { readSnapshot } from "./snapshot.js";
import { SnapshotSaver } from "./snapshot-saver.js";
import { UplinkWatch } from "./uplink-watch.js";
import { UserStages } from "./user-stages.js";

export interface AgentOptions {
  readonly node: string;
  /** Its owner closes it after the agent. */
  readonly store: EtcdStore;
  /** Of the dataplane. */
  readonly socket: string;
  /** Of the node: the settings of the dataplane's start are in it, the agent's own files in its folder "agent". */
  readonly stateDir: string;
  /** It is not the default, and the dataplane was told so too. */
  readonly isOwnStateDir: boolean;
  readonly serviceCidrs: readonly string[];
  readonly coolDownMs: number;
  readonly logLevel: StartSettings["logLevel"];
  readonly log: Logger;
}

/** How long etcd is waited for before the agent goes on with what was known when it ended. */
const ETCD_WAIT_MS = 5000;
/** Changes of the cluster that come within this time become one transaction. */
const GATHER_MS = 20;
/** How often the uplink, the dataplane's settings and pods' namespaces are looked at. */
const LOOK_MS = 1000;
const POD_LOOK_MS = 20;
const STATUS_MS = 10_000;
/** How long the first state waits for the users' modules, which are on the disk where they ran before. */
const MODULES_WAIT_MS = 3000;

/** A node's agent: makes the dataplane what the cluster and the pods of the node ask for. */
export class Agent implements CniNode {
  readonly without = new Map<string, SluiceError | undefined>();
  readonly view: ClusterView;
  private readonly modules: OwnModules = loadModules();
  private readonly users: UserStages;
  private hasTriedUsers = false;
  private readonly plugins: ClusterPlugins;
  private readonly state: NodeState;
  private readonly store: EtcdStore;
  private readonly client: DataplaneClient;
  private readonly snapshot: SnapshotSaver;
  private readonly lostPods: LostPods;
  private watch: ClusterWatch | undefined;
  private report: EtcdReport | undefined;
  private sync: DataplaneSync | undefined;
  private syncState: SyncState = { status: undefined, problems: [] };
  private settings: StartSettings | undefined;
  /** Whether enough is known of the cluster to say what the node should be. */
  private isKnown = false;
  private gathering: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private last: readonly Condition[] = [];
  private lastTranslation: readonly Problem[] = [];
  private readonly stopping = new AbortController();

  private constructor(
    private readonly options: AgentOptions,
    readonly ipam: Ipam,
    private readonly uplinks: UplinkWatch,
  ) {
    const { node, stateDir, isOwnStateDir, serviceCidrs, log } = options;
    this.view = new ClusterView(node, (change) => {
      this.state.changed(change);
      this.plugins.changed(change);
      this.users.changed(change);
    });
    this.plugins = new ClusterPlugins(this.view, this.modules);
    const where = isOwnStateDir ? { stateDir } : {};
    this.state = new NodeState({ view: this.view, plugins: this.plugins, serviceCidrs, ...where });
    this.store = options.store;
    const modules = new ModuleStore(this.store);
    this.users = new UserStages({
      folder: join(stateDir, "agent"),
      view: this.view,
      state: this.state,
      module: (digest) => modules.get(digest),
      log,
      stages: (users) => this.state.stages(this.uplinks.uplink, this.ipam.all(), users),
      compare: (plugin, stages, signal) => this.compare(plugin, stages, signal),
      changed: () => this.sync?.touch(),
      reported: () => this.report?.touch(),
    });
    this.client = new DataplaneClient(options.socket);
    this.snapshot = new SnapshotSaver(join(stateDir, "agent", "snapshot"), this.view, log);
    this.lostPods = new LostPods({ ipam, pod: (key) => this.view.pods.record(key), log });
  }

  /** @throws SluiceError when the folder or the journal can't be used */
  static async open(options: AgentOptions): Promise<Agent> {
    const folder = join(options.stateDir, "agent");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const ipam = await Ipam.open({ folder, coolDownMs: options.coolDownMs });
    const agent = new Agent(options, ipam, await UplinkWatch.open(join(folder, "uplink.json"), options.log));
    await agent.users.restore();
    return agent;
  }

  /** Resolves once it works, with etcd or without. */
  async start(): Promise<void> {
    const { node, log } = this.options;
    this.watch = this.watchCluster();
    if (!(await this.isReadBy(this.watch, Date.now() + ETCD_WAIT_MS))) await this.startFromSnapshot(this.watch);
    this.isKnown ||= this.watch.isRead;
    this.report = new EtcdReport({
      store: this.store,
      prefixes: reportPrefixes(node),
      wanted: () => this.reported(),
      log,
    });
    this.sync = new DataplaneSync({
      client: this.client,
      log,
      desired: () => this.desired(),
      module: (digest) => this.wasm(digest),
      leaveOut: (port, problem) => this.leaveOut(port, problem),
      leaveOutPlugin: (stage, problem) => this.plugins.refused(stage, problem) || this.users.refuse(stage, problem),
      isWatchful: () => this.users.areOnTrial,
      changed: (state) => {
        if (state.status !== this.syncState.status) this.users.look(state.status?.native.stages ?? []);
        if (state.problems !== this.syncState.problems && state.problems.length === 0) this.users.confirm();
        this.syncState = state;
        this.reportConditions();
      },
    });
    this.looking = this.look();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.gathering);
    await this.looking;
    await this.sync?.close();
    await this.watch?.close();
    await this.users.close();
    await this.report?.close();
    await this.snapshot.close();
    await this.ipam.close();
    this.client.close();
  }

  flush(): Promise<void> {
    if (this.sync === undefined) return Promise.reject(SluiceError.of("not-running", "", "the agent is starting"));
    return this.sync.flush();
  }

  async pod(namespace: string, name: string, uid: string, waitMs: number): Promise<PodRecord | undefined> {
    const end = Date.now() + waitMs;
    for (;;) {
      const pod = this.view.pods.get(namespace, name);
      if (pod !== undefined && (uid === "" || pod.uid === uid)) return pod;
      if (Date.now() >= end || this.watch?.problem !== undefined || this.watch?.isRead !== true) return undefined;
      await sleep(POD_LOOK_MS);
    }
  }

  podMtu(): number {
    const { uplink } = this.uplinks;
    const { addresses, config } = this.state;
    return podMtu({ config: config.spec, addresses, ...(uplink === undefined ? {} : { uplink }) });
  }

  async portsUp(): Promise<ReadonlySet<string>> {
    const { native } = await this.client.call("status", {}, STATUS_MS);
    return new Set(native.ports.filter(({ up }) => up).map(({ name }) => name));
  }

  unready(): string | undefined {
    const problem = this.conditions().find(({ type, status }) => type === "Programmed" && status !== "True");
    if (problem !== undefined) return problem.message;
    return this.ipam.unready();
  }

  isReady(): boolean {
    return this.conditions().every(({ status }) => status === "True");
  }

  get syncFailures(): number {
    return this.sync?.failures ?? 0;
  }

  /** Conditions that are not met, each in one line; of `only` one, where that is given. */
  unreadyReasons(only?: Condition["type"]): string[] {
    return this.conditions().flatMap(({ type, status, reason, message }) =>
      status === "True" || (only ?? type) !== type ? [] : [`${type}: ${reason}: ${message}`],
    );
  }

  changed(): void {
    this.report?.touch();
  }

  /** A large cluster takes longer to read; it is waited for as long as etcd answers. */
  private async isReadBy(watch: ClusterWatch, end: number): Promise<boolean> {
    while (!watch.isRead && (Date.now() < end || watch.problem === undefined)) {
      if (this.stopping.signal.aborted) return false;
      await sleep(POD_LOOK_MS);
    }
    return watch.isRead;
  }

  /** @param hasOld the view has records of a snapshot, of which etcd may have no more */
  private watchCluster(hasOld = false): ClusterWatch {
    return new ClusterWatch({
      hasOld,
      store: this.store,
      view: this.view,
      log: this.options.log,
      changed: () => this.clusterChanged(),
    });
  }

  private clusterChanged(): void {
    if (this.watch?.isRead === true) this.isKnown = true;
    this.ipam.setBlocks(this.state.ownBlocks, this.state.pools);
    // Half a view would take the place of a whole one.
    if (this.watch?.isRead === true) this.snapshot.touch();
    this.report?.touch();
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.sync?.touch();
    }, GATHER_MS);
  }

  private async startFromSnapshot(watch: ClusterWatch): Promise<void> {
    const { log, stateDir } = this.options;
    await watch.close();
    try {
      this.isKnown = await readSnapshot(join(stateDir, "agent", "snapshot"), this.view);
      log.warn({ isKnown: this.isKnown }, "etcd does not answer yet: starting with what was known before");
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      log.error({ problems: error.problems }, "no snapshot to start with; waiting for etcd");
    }
    this.ipam.setBlocks(this.state.ownBlocks, this.state.pools);
    this.watch = this.watchCluster(true);
  }

  private async desired(): Promise<NodeSpec | undefined> {
    const { settings, state } = this;
    if (!this.isKnown || settings === undefined || state.node === undefined) return undefined;
    if (!this.hasTriedUsers) await Promise.race([this.users.tried(), sleep(MODULES_WAIT_MS)]);
    this.hasTriedUsers = true;
    const attachments = this.lostPods.without(this.ipam.all(), this.without);
    const spec = this.users.fitted((users) => state.spec(settings, this.uplinks.uplink, attachments, users));
    this.tellTranslation();
    return spec;
  }

  private async compare(
    { version }: NodePlugin,
    stages: readonly PluginSpec[],
    signal: AbortSignal,
  ): Promise<Problem | undefined> {
    const { packets, maxDifferences, timeoutSeconds } = version.rollout.shadow;
    const request = {
      pluginsJson: stages.map((stage) => JSON.stringify(stage)),
      modules: [{ digest: version.digest, wasm: this.wasm(version.digest) }],
      limits: { packets, maxDifferences, timeoutMs: timeoutSeconds * 1000 },
    };
    const timeoutMs = stages.length * timeoutSeconds * 1000 + STATUS_MS;
    const { shadows } = await this.client.call("shadow", request, timeoutMs, signal);
    return shadows.filter(({ passed }) => !passed).map(shadowProblem)[0];
  }

  /** @returns whether it is a pod's port, which is left out until its next ADD */
  private leaveOut(port: string, problem: Problem): boolean {
    const found = this.ipam.all().find((each) => each.interfaces.some(({ name }) => portName(each, name) === port));
    if (found === undefined) return false;
    this.options.log.warn({ port, pod: found.pod, problem }, "the dataplane refused a pod's port; it is left out");
    this.without.set(attachmentId(found), new SluiceError([problem]));
    return true;
  }

  private wasm(digest: string): Uint8Array {
    const found = Object.values(this.modules).find((module) => module.digest === digest);
    const wasm = found?.wasm ?? this.users.wasm(digest);
    if (wasm === undefined) throw new Error(`no module ${digest}`);
    return wasm;
  }

  private async look(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      if (await this.lookOnce()) this.sync?.touch();
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns whether the desired node may be another one now */
  private async lookOnce(): Promise<boolean> {
    const { node } = this.state;
    if (!this.isKnown || node === undefined) return false;
    const isOtherUplink = await this.uplinks.look(node, this.state.config.spec.uplink);
    const isOtherStart = await this.lookAtSettings();
    const hasLost = await this.lostPods.look(this.watch?.isRead === true && this.watch.problem === undefined);
    if (hasLost) this.report?.touch();
    this.reportConditions();
    return isOtherUplink || isOtherStart || hasLost;
  }

  /** The settings that the dataplane is to start with are written; the desired node has those that it runs with. */
  private async lookAtSettings(): Promise<boolean> {
    const { stateDir } = this.options;
    const wanted = this.wantedSettings();
    const written = await readSettings(startFile(stateDir)).catch(() => undefined);
    if (!isDeepStrictEqual(written, wanted)) await writeSettings(startFile(stateDir), wanted);
    const running = await readSettings(startedFile(stateDir)).catch(() => undefined);
    if (running === undefined || isDeepStrictEqual(running, this.settings)) return false;
    this.settings = running;
    return true;
  }

  private wantedSettings(): StartSettings {
    return startSettings(this.options.node, this.state.config.spec, this.options.logLevel);
  }

  private conditions(): Condition[] {
    const stale = this.watch?.problem?.problems[0];
    const { status, problems } = this.syncState;
    return conditions({
      refused: this.uplinks.problems,
      behind: this.state.node === undefined ? [unknownNode(this.options.node)] : problems,
      isDataplaneAway: status === undefined,
      isOtherStart: this.settings !== undefined && !isDeepStrictEqual(this.settings, this.wantedSettings()),
      stale,
    });
  }

  private reportConditions(): void {
    const now = this.conditions();
    if (isDeepStrictEqual(now, this.last)) return;
    this.last = now;
    this.options.log.info({ conditions: now }, "conditions");
    this.report?.touch();
  }

  private tellTranslation(): void {
    const problems = [...this.plugins.problems, ...this.state.problems];
    if (isDeepStrictEqual(problems, this.lastTranslation)) return;
    this.lastTranslation = problems;
    for (const problem of problems.slice(0, 20)) this.options.log.warn(formatProblem(problem));
  }

  private reported(): ReadonlyMap<string, string> {
    const { node } = this.options;
    return reports({
      node,
      attachments: this.ipam.all(),
      wants: this.ipam.wants(),
      conditions: this.conditions(),
      config: this.state.config,
      ...this.users.reports(),
    });
  }
}

function unknownNode(node: string): Problem {
  return {
    code: "unknown-node",
    path: "",
    message: `the cluster has no Node ${node}, or its record is not in etcd yet`,
  };
}
