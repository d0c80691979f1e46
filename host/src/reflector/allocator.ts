import type { Logger } from "pino";
import type { IpPoolRecord } from "../cluster/records.js";
import { messageOf, SluiceError } from "../errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { Condition } from "../store/transaction.js";
import { type Claim, commitClaims } from "./claims.js";
import { grantsFor, type Shortage } from "./grants.js";
import type { IpamState } from "./ipam-state.js";
import { Pacer } from "./pacer.js";
import type { ReleaseTimes } from "./releases.js";
import { Releases } from "./releases.js";

export interface AllocatorOptions {
  readonly store: EtcdStore;
  readonly fence: Condition;
  readonly state: IpamState;
  readonly times: ReleaseTimes;
  readonly log: Logger;
  /** Undefined: not all are known yet. */
  readonly nodes: () => ReadonlySet<string> | undefined;
  /** All there are, and those of which blocks are given out. Undefined: not all are known yet. */
  readonly pools: () => { all: ReadonlySet<string>; open: readonly IpPoolRecord[] } | undefined;
  /** Whether etcd has all pods: before, one that is not there may well be. */
  readonly mirrored: () => boolean;
  /** Told after each pass what could not be given. */
  readonly onShortages: (shortages: readonly Shortage[]) => void;
}

const GATHER_MS = 10;
const REVISIT_MS = 2000;

/** Gives ids and blocks to nodes and takes back those of nodes that are gone. */
export class Allocator {
  readonly #options: AllocatorOptions;
  readonly #releases: Releases;
  readonly #pacer = new Pacer(GATHER_MS, REVISIT_MS);

  constructor(options: AllocatorOptions) {
    this.#options = options;
    this.#releases = new Releases(options.store, options.times, options.log);
  }

  /** Something has changed. */
  poke(): void {
    this.#pacer.poke();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#pacer.run(async () => {
      try {
        await this.#pass();
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        this.#options.log.warn({ error: messageOf(error) }, "ids and blocks can't be given out for now");
      }
    }, signal);
  }

  async #pass(): Promise<void> {
    const { state } = this.#options;
    const [nodes, pools] = [this.#options.nodes(), this.#options.pools()];
    if (nodes === undefined || pools === undefined || !state.complete) return;
    const { claims, shortages } = grantsFor(state, nodes, pools.open);
    await this.#commit("given", claims);
    this.#options.onShortages(shortages);
    if (!this.#options.mirrored()) return;
    await this.#commit("taken back", await this.#releases.claims(state, nodes, pools.all));
  }

  async #commit(what: string, claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return;
    const { store, fence, log } = this.#options;
    const done = await commitClaims(store, fence, claims);
    log.info({ done, of: claims.length }, `ids and blocks ${what}`);
  }
}
