import { parseArgs } from "node:util";
import { blockKey, COMPLETE_KEY, idKey, mirrorKey, nodeIdKey } from "@sluice/host/dist/cluster/keys.js";
import { kindOf } from "@sluice/host/dist/reflector/kinds.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { MAX_WRITES } from "@sluice/host/dist/store/transaction.js";
import { addressObjects, blocksOf, type ClusterSize, clusterObjects, LARGE, POOLS } from "./synthetic.js";

const USAGE = `node test/dist/bench/fill.js --etcd URL [--nodes N] [--pods N] [--services N]
  Fills Sluice's etcd with what a reflector would write of a cluster of this size (5000, 150000, 10000), with an id and two
  blocks for each node. For measurements of agents: nothing of it exists.`;

interface Write {
  put: string;
  value: string;
}

/** etcd takes 1.5 MiB at once. */
const MAX_BYTES = 1 << 20;
const IN_FLIGHT = 4;

/** Writes in transactions as large as etcd takes them, some at a time. */
async function writeAll(store: EtcdStore, writes: Iterable<Write>): Promise<number> {
  const all = batches(writes);
  let written = 0;
  const worker = async () => {
    for (let next = all.next(); !next.done; next = all.next()) {
      await store.transaction([], next.value);
      written += next.value.length;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return written;
}

function* batches(writes: Iterable<Write>): Generator<Write[], undefined> {
  let batch: Write[] = [];
  let bytes = 0;
  for (const write of writes) {
    if (batch.length === MAX_WRITES || bytes + write.value.length > MAX_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(write);
    bytes += write.value.length;
  }
  if (batch.length > 0) yield batch;
  return undefined;
}

/** What the API server keeps in its etcd, to be written before it starts. @returns how many objects */
export async function fillKubernetes(endpoint: string, size: ClusterSize): Promise<number> {
  return fill(endpoint, function* () {
    for (const { key, object } of addressObjects(size)) yield { put: key, value: JSON.stringify(object) };
    for (const { key, object } of clusterObjects(size)) yield { put: key, value: JSON.stringify(object) };
  });
}

/** What the reflector keeps in Sluice's etcd. @returns how many records */
export async function fillSluice(endpoint: string, size: ClusterSize): Promise<number> {
  return fill(endpoint, () => sluiceRecords(size));
}

async function fill(endpoint: string, writes: () => Iterable<Write>): Promise<number> {
  const store = EtcdStore.open({ endpoints: [endpoint] });
  try {
    return await writeAll(store, writes());
  } finally {
    await store.close();
  }
}

function* sluiceRecords(size: ClusterSize): Generator<Write> {
  let nodes = 0;
  for (const { object } of clusterObjects(size)) {
    const { kind: mirrored, record } = kindOf(object.kind);
    const made = record(object);
    const { name, namespace } = object.metadata;
    yield { put: mirrorKey(mirrored, name, namespace), value: JSON.stringify(made) };
    if (object.kind === "Node") yield* granted(name, nodes++);
  }
  for (const { name, cidr } of POOLS) {
    const pool = { name, uid: name, generation: 1, spec: { cidr, disabled: false } };
    yield { put: mirrorKey("ippools", name), value: JSON.stringify(pool) };
  }
  yield { put: COMPLETE_KEY, value: "true" };
}

function* granted(node: string, index: number): Generator<Write> {
  const id = index + 1;
  yield { put: idKey(id), value: JSON.stringify({ node }) };
  yield { put: nodeIdKey(node), value: JSON.stringify({ node, id }) };
  for (const [pool, block] of Object.entries(blocksOf(index))) {
    yield { put: blockKey(pool, block), value: JSON.stringify({ pool, block, node }) };
  }
}

async function main(): Promise<number> {
  const number = (standard: number) => ({ type: "string", default: String(standard) }) as const;
  const { values } = parseArgs({
    options: {
      etcd: { type: "string" },
      nodes: number(LARGE.nodes),
      pods: number(LARGE.pods),
      services: number(LARGE.services),
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help || values.etcd === undefined) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const size = { nodes: Number(values.nodes), pods: Number(values.pods), services: Number(values.services) };
  const started = performance.now();
  const records = await fillSluice(values.etcd, size);
  console.log(`${records} records in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

if (import.meta.filename === process.argv[1]) process.exitCode = await main();
