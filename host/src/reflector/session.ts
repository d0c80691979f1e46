import type { Logger } from "pino";
import { IPAM_PREFIX, MIRROR_PREFIX, type MirroredKind } from "../cluster/keys.js";
import type { IpPoolRecord, NodeConfigRecord, NodeRecord } from "../cluster/records.js";
import { messageOf, type SluiceError } from "../errors.js";
import type { KubeApi, KubeObject } from "../kube/api.js";
import { Informer } from "../kube/informer.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { Allocator } from "./allocator.js";
import { Fence } from "./fence.js";
import { IpamState } from "./ipam-state.js";
import { KINDS, type Kind } from "./kinds.js";
import { Mirror } from "./mirror.js";
import { checkPools } from "./pools.js";
import type { ReleaseTimes } from "./releases.js";
import { Roster } from "./roster.js";
import { EtcdWriter } from "./writer.js";

export interface SessionOptions {
  readonly api: KubeApi;
  readonly store: EtcdStore;
  readonly identity: string;
  readonly times: ReleaseTimes;
  readonly log: Logger;
  /** Told the kind of each object that can't be used. */
  readonly onMalformed: (kind: string) => void;
}

/** The work of the active reflector, from taking over until another one does, or etcd is emptied. */
export class Session {
  readonly #options: SessionOptions;
  readonly #end = new AbortController();
  readonly #mirrors = new Map<MirroredKind, Mirror>();
  readonly #nodes = new Roster<NodeRecord>(() => this.#allocator?.poke());
  readonly #pools = new Roster<IpPoolRecord>(() => this.#allocator?.poke());
  readonly #nodeConfigs = new Roster<NodeConfigRecord>(() => undefined);
  #writer: EtcdWriter | undefined;
  #allocator: Allocator | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether etcd is equal to the API, but for what changed just now. */
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
    const ended = AbortSignal.any([signal, this.#end.signal]);
    const state = new IpamState(log, () => this.#allocator?.poke());
    this.#allocator = this.#makeAllocator(state, fence);
    const watch = store.watch(IPAM_PREFIX, state);
    const work = [
      writer.run(ended),
      fence.lost(ended, log),
      this.#allocator.run(ended),
      watch.ended,
      ...KINDS.map((kind) => new Informer(this.#options.api, kind.path, this.#mirror(kind, writer)).run(ended)),
    ];
    try {
      await Promise.race(work);
    } finally {
      this.#end.abort();
      await watch.close();
      await Promise.allSettled(work);
    }
    if (!signal.aborted) log.warn("another one writes, or etcd was emptied: ended");
  }

  #mirror(kind: Kind, writer: EtcdWriter): Mirror {
    const rosters: Partial<Record<MirroredKind, Roster<object>>> = {
      nodes: this.#nodes as Roster<object>,
      ippools: this.#pools as Roster<object>,
      nodeconfigs: this.#nodeConfigs as Roster<object>,
    };
    const roster = rosters[kind.kind];
    const mirror = new Mirror({
      kind,
      writer,
      log: this.#options.log,
      onMalformed: (of, object, error) => this.#malformed(of, object, error),
      ...(roster === undefined ? {} : { roster }),
    });
    this.#mirrors.set(kind.kind, mirror);
    return mirror;
  }

  #malformed({ name: kind }: Kind, { metadata: { namespace, name } }: KubeObject, error: SluiceError): void {
    this.#options.onMalformed(kind);
    this.#options.onMalformed(kind);
    this.#options.log.error(
      { kind, namespace, name, error: messageOf(error) },
      "an object can't be used; what was known of it stays",
    );
  }

  #makeAllocator(state: IpamState, fence: Fence): Allocator {
    const { store, times, log } = this.#options;
    return new Allocator({
      store,
      fence: fence.condition,
      state,
      times,
      log,
      nodes: () => (this.#nodes.complete ? new Set(this.#nodes.members.keys()) : undefined),
      pools: () => {
        if (!this.#pools.complete) return undefined;
        const { open } = checkPools(this.#pools.members.values(), this.#nodes.members.values());
        return { all: new Set(this.#pools.members.keys()), open };
      },
      mirrored: () => this.synced && this.#writer?.pending === 0,
      onShortages: (shortages) => {
        for (const shortage of shortages) log.warn(shortage, "no block is left");
      },
    });
  }
}
