import { setMaxListeners } from "node:events";
import type { Logger } from "pino";
import { COMPLETE_KEY, IPAM_PREFIX, MIRROR_PREFIX, type MirroredKind, NODE_REPORTS_PREFIX } from "../cluster/keys.js";
import type {
  IpPoolRecord,
  NodeConfigRecord,
  NodeRecord,
  NodeReportRecord,
  PipelineRecord,
} from "../cluster/records.js";
import { formatProblem, messageOf, type SluiceError } from "../errors.js";
import type { KubeApi, KubeObject } from "../kube/api.js";
import { Informer } from "../kube/informer.js";
import { COMPILE_LIMITS } from "../plugins/compiler.js";
import { Compilers } from "../plugins/compilers.js";
import { FETCH_LIMITS } from "../plugins/fetch.js";
import { holdingFor, selectsNode } from "../resources/select.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { ModuleStore } from "../store/module-store.js";
import { Allocator } from "./allocator.js";
import { EventRecorder } from "./events.js";
import { Fence } from "./fence.js";
import { GrantRecorder } from "./grant-recorder.js";
import { grantedOf } from "./granted.js";
import type { Shortage } from "./grants.js";
import { IpamState } from "./ipam-state.js";
import { KINDS, type Kind, kindOf } from "./kinds.js";
import { Mirror } from "./mirror.js";
import { PluginPublisher } from "./plugin-publisher.js";
import { pipelineStatus, pluginStatus } from "./plugin-statuses.js";
import { type PluginLimits, PluginVersions } from "./plugin-versions.js";
import { checkPools } from "./pools.js";
import type { ReleaseTimes } from "./releases.js";
import { NodeReports } from "./reports.js";
import { reportOf } from "./rollout.js";
import { type Member, Roster } from "./roster.js";
import { type StatusSource, StatusWriter } from "./status-writer.js";
import { nodeConfigStatus, poolStatus } from "./statuses.js";
import { EtcdWriter } from "./writer.js";

export interface SessionOptions {
  readonly api: KubeApi;
  readonly store: EtcdStore;
  readonly identity: string;
  readonly times: ReleaseTimes;
  readonly pluginLimits: PluginLimits;
  readonly log: Logger;
  /** Told the kind of each object that can't be used. */
  readonly onMalformed: (kind: string) => void;
}

/** Not mirrored: nodes get what is made of a Plugin. */
const PLUGINS_PATH = "/apis/sluice.dev/v1alpha1/plugins";

/** The work of the active reflector, from taking over until another one does, or etcd is emptied. */
export class Session {
  readonly #options: SessionOptions;
  readonly #end = new AbortController();
  readonly #mirrors = new Map<MirroredKind, Mirror>();
  readonly #nodes = new Roster<NodeRecord>(false, () => this.#poke());
  readonly #pools = new Roster<IpPoolRecord>(true, () => this.#poke());
  readonly #nodeConfigs = new Roster<NodeConfigRecord>(true, () => this.#poke());
  readonly #pipelines = new Roster<PipelineRecord>(true, () => this.#poke());
  readonly #ipam: IpamState;
  readonly #reports: NodeReports;
  readonly #statuses: StatusWriter;
  readonly #events: EventRecorder;
  #shortages: readonly Shortage[] = [];
  #writer: EtcdWriter | undefined;
  #allocator: Allocator | undefined;
  #plugins: PluginPublisher | undefined;

  constructor(options: SessionOptions) {
    const { api, identity, log } = options;
    this.#options = options;
    this.#ipam = new IpamState(log, () => this.#poke());
    this.#events = new EventRecorder(api, identity, log);
    this.#reports = new NodeReports(
      log,
      (report, before) => this.#tellFaults(report, before),
      () => {
        this.#statuses.poke();
        this.#plugins?.poke();
      },
    );
    this.#statuses = new StatusWriter(api, this.#sources(), log);
  }

  /** Whether etcd has been made equal to the API: what follows is changes. */
  get synced(): boolean {
    return this.#mirrors.size === KINDS.length && [...this.#mirrors.values()].every(({ synced }) => synced);
  }

  /** Kinds of which changes do not come, or have not been listed. */
  get behind(): MirroredKind[] {
    return [...this.#mirrors].filter(([, { synced, failing }]) => !synced || failing).map(([kind]) => kind);
  }

  get writer(): EtcdWriter | undefined {
    return this.#writer;
  }

  /** How many blocks nodes have, by pool. */
  blocks(): Map<string, number> {
    const blocks = new Map([...this.#pools.members.keys()].map((pool) => [pool, 0]));
    for (const { pool } of this.#ipam.blocks.values()) blocks.set(pool, (blocks.get(pool) ?? 0) + 1);
    return blocks;
  }

  /** How many nodes have an id. */
  get nodesWithId(): number {
    return this.#ipam.nodeIds.size;
  }

  /** Ends when it may no longer write, or `signal` is aborted. @throws SluiceError when etcd can't be used at its start */
  async run(signal: AbortSignal): Promise<void> {
    const { store, identity, log } = this.#options;
    const fence = await Fence.raise(store, identity);
    const writer = new EtcdWriter({
      store,
      fence: fence.condition,
      log,
      onRefused: (key, error) => log.error({ key, error: messageOf(error) }, "a record does not fit into etcd"),
    });
    this.#writer = writer;
    await writer.load(MIRROR_PREFIX);
    log.info({ records: writer.size }, "began");
    await this.#work(fence, writer, signal);
    if (!signal.aborted) log.warn("another one writes, or etcd was emptied: ended");
  }

  async #work(fence: Fence, writer: EtcdWriter, signal: AbortSignal): Promise<void> {
    const { api, store, log } = this.#options;
    const ended = AbortSignal.any([signal, this.#end.signal]);
    setMaxListeners(4 * KINDS.length, ended); // all of the work listens, which Node takes for a leak
    const allocator = this.#makeAllocator(fence);
    this.#allocator = allocator;
    const compilers = new Compilers({ ...COMPILE_LIMITS, timeMs: this.#options.pluginLimits.compileMs });
    compilers.warmUp().catch((error) => log.warn({ error: messageOf(error) }, "the compiler is not ready yet"));
    const plugins = this.#makePublisher(fence, compilers);
    this.#plugins = plugins;
    const watches = [store.watch(IPAM_PREFIX, this.#ipam), store.watch(NODE_REPORTS_PREFIX, this.#reports)];
    const work = [
      writer.run(ended),
      fence.lost(ended, log),
      allocator.run(ended),
      this.#statuses.run(ended),
      plugins.run(ended),
      new Informer(api, PLUGINS_PATH, plugins).run(ended),
      ...watches.map((watch) => watch.ended),
      ...KINDS.map((kind) => new Informer(api, kind.path, this.#mirror(kind, writer), kind).run(ended)),
    ];
    try {
      await Promise.race(work); // the first that ends ends all
    } finally {
      this.#end.abort();
      await Promise.all(watches.map((watch) => watch.close()));
      await Promise.allSettled(work);
      await compilers.close();
    }
  }

  #makePublisher(fence: Fence, compilers: Compilers): PluginPublisher {
    const { api, store, log, pluginLimits } = this.#options;
    const modules = new ModuleStore(store);
    const limits = { ...FETCH_LIMITS, timeMs: pluginLimits.fetchMs };
    const versions = new PluginVersions({ api, modules, compilers, limits, fence: fence.condition });
    return new PluginPublisher({
      api,
      store,
      modules,
      versions,
      fence: fence.condition,
      log,
      progress: (plugin, nodeSelector) => {
        if (!this.#nodes.complete) return undefined;
        const reports = this.#reportsOf(nodeSelector);
        return [...reports].map(([node, report]) => ({ node, report: reportOf(report, plugin) }));
      },
      changed: () => this.#statuses.poke(),
    });
  }

  /** Of the nodes that it selects, by their names. */
  #reportsOf(nodeSelector: Readonly<Record<string, string>>): Map<string, NodeReportRecord | undefined> {
    const selected = [...this.#nodes.members].filter(([, { record }]) =>
      selectsNode(nodeSelector, record?.labels ?? {}),
    );
    const names = selected.map(([node]) => node).sort();
    return new Map(names.map((node) => [node, this.#reports.reports.get(node)]));
  }

  #poke(): void {
    this.#allocator?.poke();
    this.#plugins?.poke();
    this.#statuses.poke();
  }

  #mirror(kind: Kind, writer: EtcdWriter): Mirror {
    const rosters: Partial<Record<MirroredKind, Roster<object>>> = {
      nodes: this.#nodes as Roster<object>,
      ippools: this.#pools as Roster<object>,
      nodeconfigs: this.#nodeConfigs as Roster<object>,
      pipelines: this.#pipelines as Roster<object>,
    };
    const roster = rosters[kind.kind];
    const mirror = new Mirror({
      kind,
      writer,
      log: this.#options.log,
      onMalformed: (of, object, error) => this.#malformed(of, object, error),
      onListed: () => void writer.flushed().then(() => this.#poke()),
      ...(roster === undefined ? {} : { roster }),
    });
    this.#mirrors.set(kind.kind, mirror);
    return mirror;
  }

  #malformed({ apiVersion, name: kind }: Kind, { metadata }: KubeObject, error: SluiceError): void {
    const { namespace, name } = metadata;
    const message = error.problems.map(formatProblem).join("; ");
    this.#options.onMalformed(kind);
    this.#options.log.error(
      { kind, namespace, name, error: message },
      "an object can't be used; what was known of it stays",
    );
    this.#events.warn(
      { apiVersion, kind, metadata },
      "NotUsed",
      `Sluice can't use it, what was known of it stays: ${message}`,
    );
  }

  #makeAllocator(fence: Fence): Allocator {
    const { api, store, times, log } = this.#options;
    return new Allocator({
      store,
      fence: fence.condition,
      state: this.#ipam,
      times,
      log,
      record: new GrantRecorder(api, log),
      nodes: () => {
        if (!this.#nodes.complete) return undefined;
        return new Map([...this.#nodes.members].map(([name, { metadata }]) => [name, grantedOf(metadata)]));
      },
      pools: () => {
        if (!this.#pools.complete) return undefined;
        const { members } = this.#pools;
        const known = [...members.values()].flatMap(({ record }) => record ?? []);
        return { known, open: this.#checkedPools().open, names: new Set(members.keys()) };
      },
      mirrored: () => this.synced && this.#writer?.pending === 0,
      onPass: (shortages) => {
        this.#tellShortages(shortages);
        this.#tellComplete();
      },
    });
  }

  #checkedPools() {
    return checkPools(this.#pools.members.values(), this.#nodes.members.values());
  }

  /** Agents wait for it: an etcd that is being filled is not a cluster without pods. */
  #tellComplete(): void {
    const complete = this.synced && this.#writer?.pending === 0 && this.#allocator?.settled;
    if (complete) void this.#writer?.set(COMPLETE_KEY, "true");
  }

  #tellShortages(shortages: readonly Shortage[]): void {
    this.#shortages = shortages;
    for (const { node, pool } of shortages) {
      const message = pool === undefined ? "no node id is left" : `IPPool ${pool}: no block is left`;
      const about = this.#nodes.members.get(node);
      if (about !== undefined) this.#warn("Node", about, "NoAddresses", `${message} for this node`);
      const full = this.#pools.members.get(pool ?? "");
      if (full !== undefined)
        this.#warn("IPPool", full, "Full", "no block is left; make another IPPool, or remove nodes");
    }
  }

  /** What a node's agent could not do, once. */
  #tellFaults(report: NodeReportRecord, before: NodeReportRecord | undefined): void {
    const node = this.#nodes.members.get(report.node);
    if (node === undefined) return;
    for (const { type, status, reason, message } of report.conditions) {
      const same = before?.conditions.find((one) => one.type === type);
      if (status !== "False" || (same?.status === status && same.message === message)) continue;
      this.#warn("Node", node, reason, `Sluice, ${type}: ${message}`);
    }
  }

  #warn(kind: string, { metadata }: Member<unknown>, reason: string, message: string): void {
    this.#events.warn({ apiVersion: kindOf(kind).apiVersion, kind, metadata }, reason, message);
  }

  #sources(): StatusSource[] {
    return [
      { path: kindOf("IPPool").path, statuses: () => this.#poolStatuses() },
      { path: kindOf("NodeConfig").path, statuses: () => this.#nodeConfigStatuses() },
      { path: PLUGINS_PATH, statuses: () => this.#pluginStatuses() },
      { path: kindOf("Pipeline").path, statuses: () => this.#pipelineStatuses() },
    ];
  }

  #poolStatuses() {
    if (!this.#pools.complete || !this.#nodes.complete || !this.#ipam.complete) return undefined;
    const { refused } = this.#checkedPools();
    const blocks = this.blocks();
    return [...this.#pools.members].map(([name, member]) => {
      const waiting = this.#shortages.flatMap(({ node, pool }) => (pool === name ? [node] : []));
      const facts = { refusal: refused.get(name), blocks: blocks.get(name) ?? 0, waiting };
      return { member, status: poolStatus(member, facts, new Date()) };
    });
  }

  #pluginStatuses() {
    const plugins = this.#plugins;
    if (plugins?.complete !== true || !this.#nodes.complete) return undefined;
    return [...plugins.members].map(([name, member]) => {
      const rollout = plugins.rollout(name);
      const { next, live } = rollout?.record ?? {};
      const selector = (next?.version ?? live ?? member.record?.spec)?.placement.nodeSelector;
      const reports = selector === undefined ? new Map() : this.#reportsOf(selector);
      return { member, status: pluginStatus(member, { outcome: plugins.outcome(name), rollout, reports }, new Date()) };
    });
  }

  #pipelineStatuses() {
    if (!this.#pipelines.complete || !this.#nodes.complete) return undefined;
    const records = [...this.#pipelines.members.values()].flatMap(({ record }) => record ?? []);
    const reports = new Map([...this.#pipelines.members.keys()].map((name) => [name, new Map()]));
    for (const [node, { record }] of this.#nodes.members) {
      const name = holdingFor(record?.labels ?? {}, records)?.name ?? "";
      reports.get(name)?.set(node, this.#reports.reports.get(node));
    }
    return [...this.#pipelines.members].map(([name, member]) => {
      return { member, status: pipelineStatus(member, reports.get(name) ?? new Map(), new Date()) };
    });
  }

  #nodeConfigStatuses() {
    if (!this.#nodeConfigs.complete || !this.#nodes.complete) return undefined;
    const configs = [...this.#nodeConfigs.members.values()].flatMap(({ record }) => record ?? []);
    const byConfig = new Map<string, Map<string, NodeReportRecord | undefined>>();
    for (const [node, { record }] of this.#nodes.members) {
      const name = holdingFor(record?.labels ?? {}, configs)?.name ?? "";
      const reports = byConfig.get(name) ?? new Map();
      byConfig.set(name, reports.set(node, this.#reports.reports.get(node)));
    }
    return [...this.#nodeConfigs.members].map(([name, member]) => ({
      member,
      status: nodeConfigStatus(member, byConfig.get(name) ?? new Map(), new Date()),
    }));
  }
}
