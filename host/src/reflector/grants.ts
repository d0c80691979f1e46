import { blockKey, idKey, nodeIdKey, wantKey } from "../cluster/keys.js";
import type { BlockRecord, IdRecord, IpPoolRecord, NodeIdRecord } from "../cluster/records.js";
import type { Claim } from "./claims.js";
import { FreeBlocks } from "./free-blocks.js";
import type { Granted } from "./granted.js";
import type { IpamState } from "./ipam-state.js";

// What nodes lack, from what etcd holds and from what their Node objects say that they had. Pure: the transactions' conditions
// make sure that it still holds.

export const MAX_ID = 65535;

/** One id, or one block. */
export interface Grant extends Claim {
  readonly node: string;
  readonly id?: number;
  readonly pool?: string;
  readonly block?: string;
}

export interface Shortage {
  readonly node: string;
  /** Absent: no id is left. */
  readonly pool?: string;
}

export interface Grants {
  readonly grants: readonly Grant[];
  readonly shortages: readonly Shortage[];
}

export interface Pools {
  /** All that can be read: what nodes had of them stays theirs. */
  readonly known: readonly IpPoolRecord[];
  /** Those of which something new is given. */
  readonly open: readonly IpPoolRecord[];
}

/** Ids of nodes without one, what they had before, and blocks up to what they want, at least one of each pool. */
export function grantsFor(state: IpamState, nodes: ReadonlyMap<string, Granted>, pools: Pools): Grants {
  const grants: Grant[] = [];
  const shortages: Shortage[] = [];
  const ids = new FreeIds(state, nodes);
  const open = new Set(pools.open.map(({ name }) => name));
  const reserved = reservedBlocks(nodes);
  const held = countByNodeAndPool(state);
  const free = pools.known.map((pool) => ({ pool: pool.name, blocks: new FreeBlocks(state, pool, reserved) }));
  for (const [node, recorded] of nodes) {
    if (!state.nodeIds.has(node)) {
      const grant = ids.grant(node, recorded.id);
      if (grant === undefined) shortages.push({ node });
      else grants.push(grant);
    }
    for (const { pool, blocks } of free) {
      const former = blocks.former(node, recorded.blocks[pool] ?? []);
      for (const block of former) grants.push(blockGrant(node, pool, block));
      if (!open.has(pool)) continue;
      const wanted = Math.max(1, state.wants.get(wantKey(node, pool))?.blocks ?? 1);
      for (let have = (held.get(`${pool}/${node}`) ?? 0) + former.length; have < wanted; have++) {
        const block = blocks.next();
        if (block !== undefined) grants.push(blockGrant(node, pool, block));
        else {
          shortages.push({ node, pool });
          break;
        }
      }
    }
  }
  return { grants, shortages };
}

function blockGrant(node: string, pool: string, block: string): Grant {
  const key = blockKey(pool, block);
  return {
    node,
    pool,
    block,
    conditions: [{ key, is: "absent" }],
    writes: [{ put: key, value: JSON.stringify({ pool, block, node } satisfies BlockRecord) }],
  };
}

/** Keys of blocks that Node objects name, with the first node that does. */
function reservedBlocks(nodes: ReadonlyMap<string, Granted>): Map<string, string> {
  const reserved = new Map<string, string>();
  for (const [node, { blocks }] of nodes) {
    for (const [pool, list] of Object.entries(blocks)) {
      for (const key of list.map((block) => blockKey(pool, block))) if (!reserved.has(key)) reserved.set(key, node);
    }
  }
  return reserved;
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
  /** Ids that Node objects name, and those of nodes that are gone, while they are kept; with their node. */
  readonly #reserved = new Map<number, string>();
  readonly #former = new Map<string, number>();
  #next = 1;

  constructor(state: IpamState, nodes: ReadonlyMap<string, Granted>) {
    this.#state = state;
    for (const [id, { node, releasedAt }] of state.ids) if (releasedAt !== undefined) this.#former.set(node, id);
    for (const [node, { id }] of nodes) if (id !== undefined && !this.#reserved.has(id)) this.#reserved.set(id, node);
  }

  /** The node's former id while it is kept, or the lowest that is free. */
  grant(node: string, recorded: number | undefined): Grant | undefined {
    const released = this.#former.get(node);
    if (released !== undefined) {
      const revision = this.#state.ids.get(released)?.revision ?? 0;
      return idGrant(node, released, { key: idKey(released), revision });
    }
    const id = this.#isFree(recorded) && this.#reserved.get(recorded) === node ? recorded : this.#lowest();
    return id === undefined ? undefined : idGrant(node, id, { key: idKey(id), is: "absent" });
  }

  #isFree(id: number | undefined): id is number {
    return id !== undefined && id >= 1 && id <= MAX_ID && !this.#state.ids.has(id);
  }

  #lowest(): number | undefined {
    while (this.#state.ids.has(this.#next) || this.#reserved.has(this.#next)) this.#next++;
    return this.#next > MAX_ID ? undefined : this.#next++;
  }
}

function idGrant(node: string, id: number, unused: Claim["conditions"][number]): Grant {
  return {
    node,
    id,
    conditions: [unused, { key: nodeIdKey(node), is: "absent" }],
    writes: [
      { put: idKey(id), value: JSON.stringify({ node } satisfies IdRecord) },
      { put: nodeIdKey(node), value: JSON.stringify({ node, id } satisfies NodeIdRecord) },
    ],
  };
}
