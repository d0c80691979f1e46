import type { EtcdStore } from "../store/etcd-store.js";
import { type Condition, MAX_WRITES, type Write } from "../store/transaction.js";

/** What belongs together: all of it is written, or nothing. */
export interface Claim {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

/**
 * Does claims on condition of the fence, many in one transaction. One whose own condition does not hold keeps no others from
 * being done: somebody was faster, which the watch tells.
 *
 * @returns how many were done
 */
export async function commitClaims(store: EtcdStore, fence: Condition, claims: readonly Claim[]): Promise<number> {
  let done = 0;
  for (const batch of batches(claims)) done += await commit(store, fence, batch);
  return done;
}

async function commit(store: EtcdStore, fence: Condition, batch: readonly Claim[]): Promise<number> {
  const conditions = [fence, ...batch.flatMap((claim) => claim.conditions)];
  const result = await store.transaction(
    conditions,
    batch.flatMap(({ writes }) => writes),
  );
  if (result.done) return batch.length;
  if (batch.length === 1) return 0;
  let done = 0;
  for (const claim of batch) done += await commit(store, fence, [claim]);
  return done;
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
