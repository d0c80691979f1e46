import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { eventually } from "../../test/support/process.js";
import { overlap, rangeOf } from "../src/cluster/blocks.js";
import {
  BLOCKS_PREFIX,
  ENDPOINTS_PREFIX,
  endpointKey,
  IDS_PREFIX,
  IPAM_PREFIX,
  idKey,
  mirrorKey,
  NODE_IDS_PREFIX,
  wantKey,
} from "../src/cluster/keys.js";
import type { BlockRecord, EndpointRecord, IdRecord, IpPoolRecord, NodeIdRecord } from "../src/cluster/records.js";
import { Allocator } from "../src/reflector/allocator.js";
import { Fence } from "../src/reflector/fence.js";
import type { Granted } from "../src/reflector/granted.js";
import type { Shortage } from "../src/reflector/grants.js";
import { IpamState } from "../src/reflector/ipam-state.js";
import { EtcdStore } from "../src/store/etcd-store.js";
import type { Condition } from "../src/store/transaction.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WAIT_MS = 20_000;
const log = pino({ level: "silent" });

let etcd: EtcdServer;
let store: EtcdStore;
let end: AbortController;
let ends: Promise<unknown>[];
beforeAll(async () => {
  etcd = await EtcdServer.start();
});
afterAll(() => etcd.stop());
beforeEach(async () => {
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  end = new AbortController();
  ends = [];
});
afterEach(async () => {
  end.abort();
  await Promise.all(ends);
  for (const prefix of [IPAM_PREFIX, ENDPOINTS_PREFIX, "/sluice/v1/mirror/"]) {
    for await (const { entries } of store.list(prefix)) for (const { key } of entries) await store.delete(key);
  }
  await store.close();
});

function pool(name: string, cidr: string, blockSize?: number): IpPoolRecord {
  const sizes = blockSize === undefined ? {} : { blockSize };
  return { name, uid: name, generation: 1, spec: { cidr, disabled: false, ...sizes } };
}

/** An allocator as a session runs it, with the API's part in its own hands. */
class Running {
  /** With what their objects say that they were given. */
  readonly nodes = new Map<string, Granted>();
  /** Nodes whose objects can't be written. */
  readonly unwritable = new Set<string>();
  readonly pools = new Map<string, IpPoolRecord>();
  shortages: readonly Shortage[] = [];
  readonly #allocator: Allocator;

  constructor(fence: Condition, times = { graceMs: 0, coolDownMs: 600_000 }) {
    const state = new IpamState(log, () => this.#allocator.poke());
    this.#allocator = new Allocator({
      store,
      fence,
      state,
      times,
      log,
      nodes: () => new Map(this.nodes),
      pools: () => {
        const known = [...this.pools.values()];
        return { known, open: known.filter(({ spec }) => !spec.disabled), names: new Set(this.pools.keys()) };
      },
      record: {
        record: async (wanted) => {
          const done = [...wanted].filter(([node]) => this.nodes.has(node) && !this.unwritable.has(node));
          for (const [node, granted] of done) this.nodes.set(node, granted);
          return new Set(done.map(([node]) => node));
        },
      },
      mirrored: () => true,
      onPass: (shortages) => {
        this.shortages = shortages;
      },
    });
    const watch = store.watch(IPAM_PREFIX, state);
    ends.push(this.#allocator.run(end.signal), watch.ended);
    end.signal.addEventListener("abort", () => void watch.close());
  }

  has(pools: readonly IpPoolRecord[], nodes: readonly string[]): void {
    this.pools.clear();
    for (const one of pools) this.pools.set(one.name, one);
    const before = new Map(this.nodes);
    this.nodes.clear();
    for (const node of nodes) this.nodes.set(node, before.get(node) ?? { blocks: {} });
    this.#allocator.poke();
  }
}

async function records<T>(prefix: string): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  for await (const { entries } of store.list(prefix)) {
    for (const { key, value } of entries) found.set(key.slice(prefix.length), JSON.parse(value) as T);
  }
  return found;
}

const blocks = () => records<BlockRecord>(BLOCKS_PREFIX);
const ids = () => records<IdRecord>(IDS_PREFIX);
const nodeIds = () => records<NodeIdRecord>(NODE_IDS_PREFIX);

/** Blocks by node, sorted. */
async function blocksByNode(): Promise<Record<string, string[]>> {
  const byNode: Record<string, string[]> = {};
  for (const { node, block } of (await blocks()).values()) byNode[node] = [...(byNode[node] ?? []), block].sort();
  return byNode;
}

async function settlesAt(expected: Record<string, string[]>): Promise<void> {
  await eventually(`blocks ${JSON.stringify(expected)}`, WAIT_MS, async () =>
    JSON.stringify(Object.entries(await blocksByNode()).sort()) === JSON.stringify(Object.entries(expected).sort())
      ? true
      : undefined,
  );
}

/** No id and no address twice. */
async function checkUnique(): Promise<void> {
  const ranges = [...(await blocks()).values()]
    .map(({ block }) => rangeOf(block))
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  for (const [i, range] of ranges.entries()) {
    const next = ranges[i + 1];
    if (next !== undefined) expect(overlap(range, next)).toBe(false);
  }
  const held = [...(await nodeIds()).values()];
  expect(new Set(held.map(({ id }) => id)).size).toBe(held.length);
  const byId = await ids();
  for (const { node, id } of held) expect(byId.get(String(id))).toEqual({ node });
}

const V4 = pool("v4", "10.1.0.0/16");
const V6 = pool("v6", "fd00:1::/48");

async function fenced(): Promise<Condition> {
  return (await Fence.raise(store, "test")).condition;
}

async function endpoint(node: string, address: string, pod?: { name: string; uid: string }): Promise<void> {
  const { name, uid } = pod ?? { name: "web", uid: "u1" };
  const record: EndpointRecord = {
    node,
    namespace: "shop",
    pod: name,
    podUid: uid,
    containerId: "c1",
    interface: "eth0",
    addresses: [address],
  };
  await store.put(endpointKey(node, `${name}-eth0`), JSON.stringify(record));
}

async function podRecord(name: string, uid: string): Promise<void> {
  const record = { namespace: "shop", name, uid, phase: "Running", ips: [], labels: {}, annotations: {}, ports: [] };
  await store.put(mirrorKey("pods", name, "shop"), JSON.stringify(record));
}

describe("a node that appears", () => {
  test("gets an id and a block of each pool", async () => {
    const running = new Running(await fenced());
    running.has([V4, V6], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.0/26", "fd00:1::/122"], b: ["10.1.0.64/26", "fd00:1::40/122"] });
    expect(await nodeIds()).toEqual(
      new Map([
        ["a", { node: "a", id: 1 }],
        ["b", { node: "b", id: 2 }],
      ]),
    );
    await checkUnique();
  });

  test("gets as many more as its agent wants", async () => {
    const running = new Running(await fenced());
    running.has([V4], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.0/26"], b: ["10.1.0.64/26"] });
    await store.put(wantKey("a", "v4"), JSON.stringify({ node: "a", pool: "v4", blocks: 3 }));
    await settlesAt({ a: ["10.1.0.0/26", "10.1.0.128/26", "10.1.0.192/26"], b: ["10.1.0.64/26"] });
  });

  test("gets none of a pool that is full, and this is told", async () => {
    const running = new Running(await fenced());
    running.has([pool("small", "10.9.0.0/29", 30), V6], ["a", "b", "c"]);
    await eventually("a shortage", WAIT_MS, () => (running.shortages.length > 0 ? true : undefined));
    await settlesAt({
      a: ["10.9.0.0/30", "fd00:1::/122"],
      b: ["10.9.0.4/30", "fd00:1::40/122"],
      c: ["fd00:1::80/122"],
    });
    expect(running.shortages).toEqual([{ node: "c", pool: "small" }]);
  });

  test("many at once", async () => {
    const running = new Running(await fenced());
    const nodes = Array.from({ length: 300 }, (_, i) => `node-${i}`);
    running.has([V4, V6], nodes);
    await eventually("all", WAIT_MS, async () =>
      (await nodeIds()).size === 300 && (await blocks()).size === 600 ? true : undefined,
    );
    await checkUnique();
  });
});

describe("two nodes never hold one block", () => {
  test("with two writers at once, and etcd killed while they write", async () => {
    // Both have the same fence, which the Lease and the fence make impossible: the blocks' own conditions hold alone.
    const fence = await fenced();
    const [first, second] = [new Running(fence), new Running(fence)];
    const nodes = (letter: string) => Array.from({ length: 100 }, (_, i) => `${letter}${i}`);
    const all = [...nodes("a"), ...nodes("b")];
    first.has([V4, V6], all);
    second.has([V6, V4], [...all].reverse());
    for (let i = 0; i < 2; i++) {
      await eventually("some more", WAIT_MS, async () =>
        (await blocks().catch(() => new Map())).size >= 30 * i ? true : undefined,
      );
      await etcd.kill();
      await etcd.start();
    }
    const done = async () => (await nodeIds()).size === 200 && (await blocks()).size >= 400;
    await eventually("all", WAIT_MS, async () => ((await done().catch(() => false)) ? true : undefined));
    await checkUnique();
  });

  test("an allocator whose fence is gone writes nothing", async () => {
    const old = new Running(await fenced());
    await fenced();
    old.has([V4], ["a"]);
    const other = new Running(await fenced());
    other.has([V4], ["b"]);
    await settlesAt({ b: ["10.1.0.0/26"] });
    expect(await nodeIds()).toEqual(new Map([["b", { node: "b", id: 1 }]]));
  });

  test("a pool made anew with other blocks keeps clear of those in use", async () => {
    const running = new Running(await fenced(), { graceMs: 600_000, coolDownMs: 600_000 });
    running.has([pool("p", "10.2.0.0/24", 28)], ["a"]);
    await settlesAt({ a: ["10.2.0.0/28"] });
    running.has([pool("p", "10.2.0.0/24", 26)], ["a", "b"]);
    await settlesAt({ a: ["10.2.0.0/28"], b: ["10.2.0.64/26"] });
    await checkUnique();
  });
});

describe("what nodes had is theirs when etcd is lost", () => {
  const had = {
    a: { id: 7, blocks: { v4: ["10.1.0.128/26"] } },
    b: { id: 1, blocks: { v4: ["10.1.0.64/26", "10.1.1.0/26"], v6: ["fd00:1::/122"] } },
  };

  test("all of it, whichever is listed first; a new node gets none of it", async () => {
    const running = new Running(await fenced());
    for (const [node, granted] of Object.entries(had)) running.nodes.set(node, granted);
    running.has([V4, V6], ["0", "a", "b"]);
    await settlesAt({
      "0": ["10.1.0.0/26", "fd00:1::40/122"],
      a: ["10.1.0.128/26", "fd00:1::80/122"],
      b: ["10.1.0.64/26", "10.1.1.0/26", "fd00:1::/122"],
    });
    expect(Object.fromEntries([...(await nodeIds())].map(([node, { id }]) => [node, id]))).toEqual({
      "0": 2,
      a: 7,
      b: 1,
    });
    await checkUnique();
  });

  test("also of a pool that gives nothing new, and not of what has become another's", async () => {
    const running = new Running(await fenced());
    const disabled = { ...V4, spec: { ...V4.spec, disabled: true } };
    running.nodes.set("a", had.a).set("b", { id: 7, blocks: { v4: ["10.1.0.128/26", "10.1.0.192/26"] } });
    running.has([disabled], ["a", "b", "c"]);
    await settlesAt({ a: ["10.1.0.128/26"], b: ["10.1.0.192/26"] });
    await eventually("all ids", WAIT_MS, async () => ((await nodeIds()).size === 3 ? true : undefined));
    await checkUnique();
    await eventually("the record", WAIT_MS, () =>
      JSON.stringify(running.nodes.get("b")?.blocks) === '{"v4":["10.1.0.192/26"]}' ? true : undefined,
    );
  });

  test("but no block that its pool does not have", async () => {
    const running = new Running(await fenced());
    running.nodes.set("a", { id: 70000, blocks: { v4: ["10.2.0.0/26", "10.1.0.0/24", "10.1.0.1/26", "nonsense"] } });
    running.has([V4], ["a"]);
    await settlesAt({ a: ["10.1.0.0/26"] });
    expect((await nodeIds()).get("a")?.id).toBe(1);
  });

  test("a node with which it can't be recorded gets nothing until it can", async () => {
    const running = new Running(await fenced());
    running.unwritable.add("a");
    running.has([V4], ["a", "b"]);
    await settlesAt({ b: ["10.1.0.64/26"] });
    expect((await nodeIds()).has("a")).toBe(false);
    running.unwritable.clear();
    await settlesAt({ a: ["10.1.0.0/26"], b: ["10.1.0.64/26"] });
  });
});

describe("a node that is gone", () => {
  test("keeps what it had while it has endpoints whose pods are there", async () => {
    await podRecord("web", "u1");
    const running = new Running(await fenced());
    running.has([V4], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.0/26"], b: ["10.1.0.64/26"] });
    await endpoint("a", "10.1.0.5");
    await endpoint("a", "10.1.0.6", { name: "old", uid: "u0" });
    running.has([V4], ["b"]);
    // The other's pod is gone: its endpoint goes first.
    const left = async () => [...(await records(ENDPOINTS_PREFIX)).keys()];
    await eventually("one endpoint", WAIT_MS, async () => ((await left()).length === 1 ? true : undefined));
    expect(await blocksByNode()).toEqual({ a: ["10.1.0.0/26"], b: ["10.1.0.64/26"] });
    await store.delete(mirrorKey("pods", "web", "shop"));
    await settlesAt({ b: ["10.1.0.64/26"] });
    expect(await left()).toEqual([]);
  });

  test("its id is kept for it until it has cooled down", async () => {
    const running = new Running(await fenced());
    running.has([V4], ["a"]);
    await settlesAt({ a: ["10.1.0.0/26"] });
    running.has([V4], []);
    await settlesAt({});
    await eventually("its release", WAIT_MS, async () => ((await nodeIds()).size === 0 ? true : undefined));
    running.has([V4], ["b"]);
    await settlesAt({ b: ["10.1.0.0/26"] });
    expect((await nodeIds()).get("b")).toEqual({ node: "b", id: 2 });
    running.has([V4], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.64/26"], b: ["10.1.0.0/26"] });
    expect((await nodeIds()).get("a")).toEqual({ node: "a", id: 1 });
    await checkUnique();
  });

  test("a cooled id is given to another node, also by a reflector that began after the release", async () => {
    await store.put(idKey(1), JSON.stringify({ node: "gone", releasedAt: Date.now() - 600_001 } satisfies IdRecord));
    const running = new Running(await fenced());
    running.has([], []);
    await eventually("the id's end", WAIT_MS, async () => ((await ids()).size === 0 ? true : undefined));
    running.has([], ["b"]);
    await eventually("its new node", WAIT_MS, async () => ((await nodeIds()).get("b")?.id === 1 ? true : undefined));
  });

  test("is not taken for gone before its time", async () => {
    const running = new Running(await fenced(), { graceMs: 600_000, coolDownMs: 600_000 });
    running.has([V4], ["a"]);
    await settlesAt({ a: ["10.1.0.0/26"] });
    running.has([V4], ["b"]);
    await settlesAt({ a: ["10.1.0.0/26"], b: ["10.1.0.64/26"] });
  });
});

describe("a pool that is gone", () => {
  test("its blocks go where no endpoint is in them", async () => {
    const running = new Running(await fenced());
    running.has([V4, V6], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.0/26", "fd00:1::/122"], b: ["10.1.0.64/26", "fd00:1::40/122"] });
    await endpoint("a", "10.1.0.5");
    await endpoint("b", "fd00:1::45");
    running.has([V6], ["a", "b"]);
    await settlesAt({ a: ["10.1.0.0/26", "fd00:1::/122"], b: ["fd00:1::40/122"] });
  });
});
