import { type AddressRange, blockAt, blockCount, overlap, rangeOf } from "../cluster/blocks.js";
import { blockKey, idKey, nodeIdKey, wantKey } from "../cluster/keys.js";
import type { BlockRecord, IdRecord, IpPoolRecord, NodeIdRecord } from "../cluster/records.js";
import type { Claim } from "./claims.js";
import type { IpamState } from "./ipam-state.js";

// What nodes lack, from what etcd holds. Pure: the transactions' conditions make sure that it still holds.

export const MAX_ID = 65535;

export interface Shortage {
  readonly node: string;
  /** Absent: no id is left. */
  readonly pool?: string;
}

export interface Grants {
  readonly claims: readonly Claim[];
  readonly shortages: readonly Shortage[];
}

/** Ids of nodes without one, and blocks up to what they want, at least one of each pool. */
export function grantsFor(state: IpamState, nodes: Iterable<string>, pools: readonly IpPoolRecord[]): Grants {
  const claims: Claim[] = [];
  const shortages: Shortage[] = [];
  const ids = new FreeIds(state);
  const held = countByNodeAndPool(state);
  const free = new Map(pools.map((pool) => [pool.name, new FreeBlocks(state, pool)]));
  for (const node of nodes) {
    if (!state.nodeIds.has(node)) {
      const claim = ids.claim(node);
      if (claim === undefined) shortages.push({ node });
      else claims.push(claim);
    }
    for (const { name: pool } of pools) {
      const wanted = Math.max(1, state.wants.get(wantKey(node, pool))?.blocks ?? 1);
      for (let have = held.get(`${pool}/${node}`) ?? 0; have < wanted; have++) {
        const claim = free.get(pool)?.claim(node);
        if (claim !== undefined) claims.push(claim);
        else {
          shortages.push({ node, pool });
          break;
        }
      }
    }
  }
  return { claims, shortages };
}

function countByNodeAndPool(state: IpamState): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { pool, node } of state.blocks.values()) {
    const key = `${pool}/${node}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

class FreeIds {
  readonly #state: IpamState;
  /** Ids of nodes that are gone, while they are kept. */
  readonly #former = new Map<string, number>();
  #next = 1;

  constructor(state: IpamState) {
    this.#state = state;
    for (const [id, { node, releasedAt }] of state.ids) if (releasedAt !== undefined) this.#former.set(node, id);
  }

  /** The node's former id while it is kept, or the lowest that is free. */
  claim(node: string): Claim | undefined {
    const former = this.#former.get(node);
    if (former !== undefined) {
      const revision = this.#state.ids.get(former)?.revision ?? 0;
      return this.#claim(node, former, { key: idKey(former), revision });
    }
    while (this.#state.ids.has(this.#next)) this.#next++;
    if (this.#next > MAX_ID) return undefined;
    const id = this.#next++;
    return this.#claim(node, id, { key: idKey(id), is: "absent" });
  }

  #claim(node: string, id: number, unused: Claim["conditions"][number]): Claim {
    return {
      conditions: [unused, { key: nodeIdKey(node), is: "absent" }],
      writes: [
        { put: idKey(id), value: JSON.stringify({ node } satisfies IdRecord) },
        { put: nodeIdKey(node), value: JSON.stringify({ node, id } satisfies NodeIdRecord) },
      ],
    };
  }
}

class FreeBlocks {
  readonly #state: IpamState;
  readonly #pool: IpPoolRecord;
  readonly #count: bigint;
  /** Blocks in the pool's range that are not of it: of a pool that was there before, or of the same with other blocks. */
  readonly #strangers: readonly AddressRange[];
  #next = 0n;

  constructor(state: IpamState, pool: IpPoolRecord) {
    const range = rangeOf(pool.spec.cidr);
    this.#state = state;
    this.#pool = pool;
    this.#count = blockCount(pool.spec);
    const size = (range.last - range.first + 1n) / this.#count;
    this.#strangers = [...state.blocks.values()]
      .filter((block) => overlap(block.range, range))
      .filter((block) => block.pool !== pool.name || block.range.last - block.range.first + 1n !== size)
      .map((block) => block.range);
  }

  /** The lowest that is free. */
  claim(node: string): Claim | undefined {
    const { name, spec } = this.#pool;
    while (this.#next < this.#count) {
      const block = blockAt(spec, this.#next++);
      const key = blockKey(name, block);
      if (this.#state.blocks.has(key) || this.#isStrange(block)) continue;
      return {
        conditions: [{ key, is: "absent" }],
        writes: [{ put: key, value: JSON.stringify({ pool: name, block, node } satisfies BlockRecord) }],
      };
    }
    return undefined;
  }

  #isStrange(block: string): boolean {
    if (this.#strangers.length === 0) return false;
    const range = rangeOf(block);
    return this.#strangers.some((stranger) => overlap(stranger, range));
  }
}
