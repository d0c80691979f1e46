import type { Logger } from "pino";
import { type AddressRange, overlap, rangeOf } from "../cluster/blocks.js";
import { ENDPOINTS_PREFIX, idKey, mirrorKey, nodeIdKey, wantKey } from "../cluster/keys.js";
import { type EndpointRecord, endpointRecord, type IdRecord, podRecord } from "../cluster/records.js";
import { familyOf } from "../config/addresses.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { Claim } from "./claims.js";
import type { IpamState } from "./ipam-state.js";

export interface ReleaseTimes {
  /** How long a node or a pool must be away before what it had is taken back: it may be made anew at once. */
  readonly graceMs: number;
  /** How long an id is not given to another node: packets with it may be under way, and agents behind. */
  readonly coolDownMs: number;
}

export const RELEASE_TIMES: ReleaseTimes = { graceMs: 60_000, coolDownMs: 600_000 };

interface Endpoint extends EndpointRecord {
  readonly key: string;
  readonly revision: number;
}

/** Finds what nodes and pools that are gone had, and that nothing uses any more. */
export class Releases {
  readonly #store: EtcdStore;
  readonly #times: ReleaseTimes;
  readonly #log: Logger;
  /** Since when; by "node" or "pool" and its name. Milliseconds since this process began. */
  readonly #away = new Map<string, number>();

  constructor(store: EtcdStore, times: ReleaseTimes, log: Logger) {
    this.#store = store;
    this.#times = times;
    this.#log = log;
  }

  async claims(state: IpamState, nodes: ReadonlySet<string>, pools: ReadonlySet<string>): Promise<Claim[]> {
    const known = new Set([
      ...state.nodeIds.keys(),
      ...[...state.blocks.values(), ...state.wants.values()].map((r) => r.node),
    ]);
    const claims = this.#cooledIds(state);
    for (const node of this.#longAway("node", known, nodes)) claims.push(...(await this.#node(state, node)));
    const used = new Set([...state.blocks.values()].map(({ pool }) => pool));
    for (const pool of this.#longAway("pool", used, pools)) claims.push(...(await this.#pool(state, pool, nodes)));
    return claims;
  }

  /** Of `known` those that have not been `present` for long enough. */
  #longAway(what: string, known: ReadonlySet<string>, present: ReadonlySet<string>): string[] {
    const now = performance.now();
    for (const name of present) this.#away.delete(`${what} ${name}`);
    return [...known].filter((name) => {
      if (present.has(name)) return false;
      const since = this.#away.get(`${what} ${name}`) ?? now;
      this.#away.set(`${what} ${name}`, since);
      return now - since >= this.#times.graceMs;
    });
  }

  #cooledIds(state: IpamState): Claim[] {
    const before = Date.now() - this.#times.coolDownMs;
    return [...state.ids]
      .filter(([, { releasedAt }]) => releasedAt !== undefined && releasedAt <= before)
      .map(([id, { revision }]) => ({
        conditions: [{ key: idKey(id), revision }],
        writes: [{ delete: idKey(id) }],
      }));
  }

  /** Blocks and id of a node without endpoints. Endpoints that it left behind are removed with their pods. */
  async #node(state: IpamState, node: string): Promise<Claim[]> {
    const endpoints = await this.#endpoints(node);
    const orphans = await this.#withoutPod(endpoints);
    const removals = orphans.map(({ key, revision }) => ({
      conditions: [{ key, revision }],
      writes: [{ delete: key }],
    }));
    if (endpoints.length > orphans.length) return removals;
    const blocks = [...state.blocks.values()].filter((block) => block.node === node);
    const wants = [...state.wants.values()].filter((want) => want.node === node);
    const id = state.nodeIds.get(node);
    this.#log.info({ node, blocks: blocks.map(({ block }) => block), id }, "a node is gone: what it had is free");
    return [
      ...removals,
      ...blocks.map(({ key, revision }) => ({ conditions: [{ key, revision }], writes: [{ delete: key }] })),
      ...wants.map(({ pool }) => ({ conditions: [], writes: [{ delete: wantKey(node, pool) }] })),
      ...(id === undefined ? [] : [releasedId(node, id)]),
    ];
  }

  /** Blocks of a pool that is gone in which no endpoint is. */
  async #pool(state: IpamState, pool: string, nodes: ReadonlySet<string>): Promise<Claim[]> {
    const claims: Claim[] = [];
    for (const { key, pool: of, node, range, revision } of state.blocks.values()) {
      if (of !== pool || !nodes.has(node)) continue; // blocks of nodes that are gone go with them
      if ((await this.#endpoints(node)).some((endpoint) => uses(endpoint, range))) continue;
      claims.push({ conditions: [{ key, revision }], writes: [{ delete: key }] });
    }
    return claims;
  }

  async #endpoints(node: string): Promise<Endpoint[]> {
    const endpoints: Endpoint[] = [];
    for await (const { entries } of this.#store.list(`${ENDPOINTS_PREFIX}${node}/`)) {
      for (const { key, value, revision } of entries) {
        endpoints.push({ ...endpointRecord.parse(JSON.parse(value)), key, revision });
      }
    }
    return endpoints;
  }

  async #withoutPod(endpoints: readonly Endpoint[]): Promise<Endpoint[]> {
    const orphans: Endpoint[] = [];
    for (const endpoint of endpoints) {
      const pod = await this.#store.get(mirrorKey("pods", endpoint.pod, endpoint.namespace));
      if (pod === undefined || podRecord.parse(JSON.parse(pod.value)).uid !== endpoint.podUid) orphans.push(endpoint);
    }
    return orphans;
  }
}

function releasedId(node: string, id: number): Claim {
  const value = JSON.stringify({ node, releasedAt: Date.now() } satisfies IdRecord);
  return {
    conditions: [{ key: nodeIdKey(node), is: "present" }],
    writes: [{ put: idKey(id), value }, { delete: nodeIdKey(node) }],
  };
}

function uses(endpoint: Endpoint, range: AddressRange): boolean {
  return endpoint.addresses.some((address) => {
    const text = address.includes("/") ? address : `${address}/${familyOf(address) === 6 ? 128 : 32}`;
    return overlap(rangeOf(text), range);
  });
}
