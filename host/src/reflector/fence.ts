import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { REFLECTOR_KEY } from "../cluster/keys.js";
import { messageOf } from "../errors.js";
import type { EtcdStore } from "../store/etcd-store.js";
import type { Condition } from "../store/transaction.js";

const CHECK_MS = 2000;

/**
 * What makes a reflector the only one that writes: a key that it has set, and that holds until another one sets it, or etcd is
 * emptied. The Lease says who should; this says who can, whatever clocks, pauses and delays do.
 */
export class Fence {
  /** Of all writes. */
  readonly condition: Condition;
  readonly #store: EtcdStore;
  readonly #revision: number;

  private constructor(store: EtcdStore, revision: number) {
    this.#store = store;
    this.#revision = revision;
    this.condition = { key: REFLECTOR_KEY, revision };
  }

  /** From now on nobody else writes. */
  static async raise(store: EtcdStore, holder: string): Promise<Fence> {
    return new Fence(store, await store.put(REFLECTOR_KEY, JSON.stringify({ holder, session: randomUUID() })));
  }

  /** Resolves when it no longer holds, noticed also where nothing is written, or `signal` is aborted. */
  async lost(signal: AbortSignal, log: Logger): Promise<void> {
    while (!signal.aborted) {
      await sleep(CHECK_MS, undefined, { signal }).catch(() => undefined); // the loop looks at the signal
      try {
        if ((await this.#store.get(REFLECTOR_KEY))?.revision !== this.#revision) return;
      } catch (error) {
        log.debug({ error: messageOf(error) }, "whether this reflector may write is not known for now");
      }
    }
  }
}
