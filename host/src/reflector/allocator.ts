import type { Logger } from "pino";
import { messageOf, SluiceError } from "../errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { Condition } from "../store/transaction.js";
import { type Claim, commitClaims } from "./claims.js";
import { type Granted, grantedText, heldByNode } from "./granted.js";
import { type Grant, grantsFor, type Pools, type Shortage } from "./grants.js";
import type { IpamState } from "./ipam-state.js";
import { Pacer } from "./pacer.js";
import { Releases, type ReleaseTimes } from "./releases.js";

/** Where it is kept, beside etcd, what nodes have. */
export interface GrantRecord {
  /** @returns the nodes of `wanted` of which it is recorded now */
  record(wanted: ReadonlyMap<string, Granted>, recorded: ReadonlyMap<string, Granted>): Promise<ReadonlySet<string>>;
}

export interface AllocatorOptions {
  readonly store: EtcdStore;
  readonly fence: Condition;
  readonly state: IpamState;
  readonly record: GrantRecord;
  readonly times: ReleaseTimes;
  readonly log: Logger;
  /** With what their objects say that they have. Undefined: not all are known yet. */
  readonly nodes: () => ReadonlyMap<string, Granted> | undefined;
  /** Those that can be read, and all names. Undefined: not all are known yet. */
  readonly pools: () => (Pools & { readonly names: ReadonlySet<string> }) | undefined;
  /** Whether etcd has all pods: before, one that is not there may well be. */
  readonly mirrored: () => boolean;
  /** Told after each pass what could not be given. */
  readonly onPass: (shortages: readonly Shortage[]) => void;
}

const GATHER_MS = 10;
const REVISIT_MS = 2000;
/** Nodes that are recorded, and then given to, at a time: the first of many need not wait for the last. */
const CHUNK_NODES = 128;

/** Gives ids and blocks to nodes and takes back those of nodes that are gone. */
export class Allocator {
  readonly #options: AllocatorOptions;
  readonly #releases: Releases;
  readonly #pacer = new Pacer({ gatherMs: GATHER_MS, revisitMs: REVISIT_MS, isPrompt: true });
  #settled = false;

  constructor(options: AllocatorOptions) {
    this.#options = options;
    this.#releases = new Releases(options.store, options.times, options.log);
  }

  /** Whether the last pass found that all nodes have what they are to have, and are recorded with it. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Something has changed. */
  poke(): void {
    this.#pacer.poke();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#pacer.run(async () => {
      try {
        await this.#pass(signal);
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        this.#options.log.warn({ error: messageOf(error) }, "ids and blocks can't be given out for now");
      }
    }, signal);
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { state, mirrored, onPass } = this.#options;
    const [nodes, pools] = [this.#options.nodes(), this.#options.pools()];
    if (nodes === undefined || pools === undefined || !state.complete) return;
    const { grants, shortages } = grantsFor(state, nodes, pools);
    await this.#give(grants, nodes, signal);
    onPass(shortages);
    if (!mirrored() || signal.aborted) return;
    await this.#commit("taken back", await this.#releases.claims(state, new Set(nodes.keys()), pools.names));
  }

  /** Records with the nodes what they have and get, then gives it. */
  async #give(grants: readonly Grant[], nodes: ReadonlyMap<string, Granted>, signal: AbortSignal): Promise<void> {
    const held = heldByNode(this.#options.state);
    const byNode = new Map<string, Grant[]>();
    for (const grant of grants) byNode.set(grant.node, [...(byNode.get(grant.node) ?? []), grant]);
    const wanted = new Map<string, Granted>();
    for (const [node, recorded] of nodes) {
      const granted = together(held.get(node), byNode.get(node) ?? []);
      if (byNode.has(node) || grantedText(granted) !== grantedText(recorded)) wanted.set(node, granted);
    }
    this.#settled = wanted.size === 0;
    for (const chunk of chunks([...wanted], CHUNK_NODES)) {
      if (signal.aborted) return;
      const recorded = await this.#options.record.record(new Map(chunk), nodes);
      await this.#commit(
        "given",
        chunk.flatMap(([node]) => (recorded.has(node) ? (byNode.get(node) ?? []) : [])),
      );
    }
  }

  async #commit(what: string, claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return;
    const { store, fence, log, state } = this.#options;
    const changes = await commitClaims(store, fence, claims);
    state.changed(changes); // the watch tells the same, later
    log.info({ writes: changes.length, claims: claims.length }, `ids and blocks ${what}`);
  }
}

function together(held: Granted | undefined, grants: readonly Grant[]): Granted {
  const blocks: Record<string, string[]> = { ...held?.blocks };
  let id = held?.id;
  for (const grant of grants) {
    id = grant.id ?? id;
    const { pool, block } = grant;
    if (pool !== undefined && block !== undefined) blocks[pool] = [...(blocks[pool] ?? []), block];
  }
  return { ...(id === undefined ? {} : { id }), blocks };
}

function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
