import type { Logger } from "pino";
import {
  BLOCKS_PREFIX,
  COMPLETE_KEY,
  MIRRORED,
  type MirroredKind,
  mirrorPrefix,
  NODE_IDS_PREFIX,
  PLUGINS_PREFIX,
} from "../cluster/keys.js";
import type { SluiceError } from "../errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { Change, PrefixWatch, WatchHandler } from "../store/watch.js";
import type { Aspect, ClusterView } from "./cluster-view.js";

export interface ClusterWatchOptions {
  readonly store: EtcdStore;
  readonly view: ClusterView;
  readonly log: Logger;
  /** The view has records of before: those that etcd has no more are to go. */
  readonly hasOld?: boolean;
  /** Told what has changed in the view. */
  readonly changed: (aspects: ReadonlySet<Aspect>) => void;
}

const ASPECTS: Record<Aspect, string> = {
  ...(Object.fromEntries(Object.keys(MIRRORED).map((kind) => [kind, mirrorPrefix(kind as MirroredKind)])) as Record<
    MirroredKind,
    string
  >),
  blocks: BLOCKS_PREFIX,
  plugins: PLUGINS_PREFIX,
  ids: NODE_IDS_PREFIX,
};

/** In which order they are read: one after the other, so that no more than a page is in memory; pods last, since policies say which. */
const ORDER: readonly Aspect[] = [
  "networkpolicies",
  ...(Object.keys(ASPECTS) as Aspect[]).filter((aspect) => aspect !== "networkpolicies" && aspect !== "pods"),
  "pods",
];

/** Keeps a view as etcd is. */
export class ClusterWatch {
  private readonly watches = new Map<Aspect, PrefixWatch>();
  private readonly lost = new Map<Aspect, SluiceError>();
  private readonly unread = new Set<Aspect>(ORDER);
  /** Keys that were told of each aspect until it is read; only where the view has records of before. */
  private readonly told = new Map<Aspect, Set<string>>();
  private onRead = () => {};
  /** Resolves once all was read. */
  readonly read = new Promise<void>((resolve) => {
    this.onRead = resolve;
  });

  constructor(private readonly options: ClusterWatchOptions) {
    this.openNext();
  }

  /** Why what is known may be old; undefined: etcd tells every change. */
  get problem(): SluiceError | undefined {
    return [...this.lost.values()][0];
  }

  get isRead(): boolean {
    return this.unread.size === 0;
  }

  async close(): Promise<void> {
    await Promise.all([...this.watches.values()].map((watch) => watch.close()));
  }

  private openNext(): void {
    const next = ORDER.find((aspect) => !this.watches.has(aspect));
    if (next !== undefined) this.open(next);
  }

  private open(aspect: Aspect): void {
    const { store, log, hasOld } = this.options;
    if (hasOld === true) this.told.set(aspect, new Set());
    const handler: WatchHandler = {
      changed: (changes) => {
        const told = this.told.get(aspect);
        for (const { key, value } of told === undefined ? [] : changes) if (value !== undefined) told?.add(key);
        this.take(changes);
      },
      synced: () => this.synced(aspect),
      lost: (error) => {
        if (!this.lost.has(aspect)) log.warn({ of: aspect, problems: error.problems }, "etcd tells no changes for now");
        this.lost.set(aspect, error);
      },
      restored: () => {
        this.lost.delete(aspect);
        if (this.lost.size === 0) log.info("etcd tells all changes again");
      },
    };
    const watch = store.watch(ASPECTS[aspect], handler, COMPLETE_KEY);
    this.watches.set(aspect, watch);
  }

  private take(changes: readonly Change[]): void {
    const { view, log } = this.options;
    const aspects = new Set<Aspect>();
    for (const { key, value } of changes) {
      const aspect = view.apply(key, value);
      if (aspect !== undefined) aspects.add(aspect);
      const problem = view.bad.get(key);
      if (problem !== undefined) log.warn({ key, problem }, "a record can't be used; what was known of it stays");
    }
    if (view.lacksPods) this.readAllPods();
    if (aspects.size > 0) this.options.changed(aspects);
  }

  /** The first policy has come: pods of other nodes matter from now on. */
  private readAllPods(): void {
    this.options.view.keepAllPods();
    const old = this.watches.get("pods");
    if (old === undefined) return;
    this.unread.add("pods");
    this.open("pods");
    void old.close();
  }

  private synced(aspect: Aspect): void {
    const { view } = this.options;
    const told = this.told.get(aspect);
    this.told.delete(aspect);
    if (told !== undefined) for (const key of view.keysOf(aspect)) if (!told.has(key)) view.apply(key, undefined);
    this.lost.delete(aspect);
    this.unread.delete(aspect);
    this.options.changed(new Set([aspect]));
    this.openNext();
    if (this.unread.size === 0) this.onRead();
  }
}
