import type { EtcdStore } from "../store/etcd-store.js";
import { type Condition, MAX_WRITES, type Write } from "../store/transaction.js";
import type { Change } from "../store/watch.js";

/** What belongs together: all of it is written, or nothing. */
export interface Claim {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

/**
 * Does claims on condition of the fence, many in one transaction. One whose own condition does not hold keeps no others from
 * being done: somebody was faster, which the watch tells.
 *
 * @returns what was written, as the watch will tell it
 */
export async function commitClaims(
  store: EtcdStore,
  fence: Condition,
  claims: readonly Claim[],
): Promise<readonly Change[]> {
  const done: Change[] = [];
  for (const batch of batches(claims)) done.push(...(await commit(store, fence, batch)));
  return done;
}

async function commit(store: EtcdStore, fence: Condition, batch: readonly Claim[]): Promise<Change[]> {
  const conditions = [fence, ...batch.flatMap((claim) => claim.conditions)];
  const writes = batch.flatMap((claim) => claim.writes);
  const { done, revision } = await store.transaction(conditions, writes);
  if (done) return writes.map((write) => changeOf(write, revision));
  if (batch.length === 1) return [];
  const changes: Change[] = [];
  for (const claim of batch) changes.push(...(await commit(store, fence, [claim])));
  return changes;
}

function changeOf(write: Write, revision: number): Change {
  return "put" in write ? { key: write.put, value: write.value, revision } : { key: write.delete, revision };
}

/** etcd counts conditions as it does writes; one place is the fence's. */
function* batches(claims: readonly Claim[]): Generator<Claim[]> {
  let batch: Claim[] = [];
  let [conditions, writes] = [1, 0];
  for (const claim of claims) {
    const full = conditions + claim.conditions.length > MAX_WRITES || writes + claim.writes.length > MAX_WRITES;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      [conditions, writes] = [1, 0];
    }
    batch.push(claim);
    conditions += claim.conditions.length;
    writes += claim.writes.length;
  }
  if (batch.length > 0) yield batch;
}
