import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi, KubeObject } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";

export interface LeaseOptions {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly name: string;
  /** Of this process and of no other one that runs. A process that has its predecessor's takes the Lease up again at once. */
  readonly identity: string;
  readonly log: Logger;
}

interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** A holder that is gone is replaced after this long. */
const DURATION_S = 5;
const RENEW_MS = 1500;

/**
 * The Lease of the one that is to be active. Time is measured from when a change of it was seen here: the holder's clock does
 * not matter. It says who should write; that nobody else can is the fence's part.
 */
export class LeaseHolder {
  readonly #options: LeaseOptions;
  readonly #path: string;
  #held = false;
  #read = false;
  /** What kept it from the Lease last time: said once. */
  #failure = "";
  /** The last change seen, and when it expires, in milliseconds since this process began. */
  #change: { version: string; expires: number } | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Whether the Lease could be read: who is active is known. */
  get seen(): boolean {
    return this.#read;
  }

  /**
   * Runs `work` each time the Lease is got, until `signal` is aborted; its signal is aborted when another one has got it.
   * While the API can't be reached the work goes on. At the end the Lease is given back.
   */
  async run(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    let active: { end: AbortController; done: Promise<void> } | undefined;
    while (!signal.aborted) {
      await this.#try();
      if (this.#held && active === undefined) {
        const end = new AbortController();
        active = { end, done: work(AbortSignal.any([signal, end.signal])) };
        active.done.catch(() => end.abort()); // awaited below
      }
      if (!this.#held && active !== undefined) {
        active.end.abort();
        await active.done;
        active = undefined;
      }
      if (active?.end.signal.aborted) await active.done; // it failed
      await sleep(this.#pauseMs(), undefined, { signal }).catch(() => undefined);
    }
    await active?.done;
    await this.#release();
  }

  /** Gets or renews the Lease, if it can. */
  async #try(): Promise<void> {
    const { log, name, identity } = this.#options;
    try {
      const held = await this.#tryOnce();
      this.#read = true;
      if (held !== this.#held) log.info({ lease: name, identity }, held ? "active" : "another one is active");
      this.#held = held;
      this.#failure = "";
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      if (hasKubeCode(error, "kube-conflict")) return; // another one was faster
      if (this.#failure !== error.message)
        log.warn({ lease: name, error: error.message }, "the Lease can't be had for now");
      this.#failure = error.message;
    }
  }

  async #tryOnce(): Promise<boolean> {
    const { api, name, identity } = this.#options;
    const lease = await this.#get();
    if (lease === undefined) {
      await api.create(this.#path, this.#next(undefined));
      return true;
    }
    const { holderIdentity = "" } = lease.spec ?? {};
    if (holderIdentity !== "" && holderIdentity !== identity && !this.#expired(lease)) return false;
    await api.replace(`${this.#path}/${name}`, this.#next(lease));
    return true;
  }

  async #get(): Promise<Lease | undefined> {
    try {
      return await this.#options.api.get<Lease>(`${this.#path}/${this.#options.name}`);
    } catch (error) {
      if (hasKubeCode(error, "kube-not-found")) return undefined;
      throw error;
    }
  }

  /** Until the next try: another one's Lease is looked at again no later than when it expires. */
  #pauseMs(): number {
    const pause = RENEW_MS * (0.8 + 0.4 * Math.random());
    const left = this.#held || this.#change === undefined ? 0 : this.#change.expires - performance.now();
    return left > 0 ? Math.min(pause, left + 1) : pause;
  }

  #expired({ metadata, spec }: Lease): boolean {
    const version = metadata.resourceVersion ?? "";
    if (this.#change?.version !== version) {
      const expires = performance.now() + (spec?.leaseDurationSeconds ?? DURATION_S) * 1000;
      this.#change = { version, expires };
    }
    return performance.now() > this.#change.expires;
  }

  #next(lease: Lease | undefined): object {
    const { namespace, name, identity } = this.#options;
    const now = new Date().toISOString().replace("Z", "000Z"); // of a MicroTime
    const renewed = lease?.spec?.holderIdentity === identity;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: lease?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: DURATION_S,
        acquireTime: renewed ? lease.spec?.acquireTime : now,
        renewTime: now,
        leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (renewed || lease === undefined ? 0 : 1),
      },
    };
  }

  /** So that the next one need not wait. */
  async #release(): Promise<void> {
    const { api, name, identity, log } = this.#options;
    if (!this.#held) return;
    this.#held = false;
    try {
      const lease = await this.#get();
      if (lease?.spec?.holderIdentity !== identity) return;
      await api.replace(`${this.#path}/${name}`, { ...lease, spec: { ...lease.spec, holderIdentity: "" } });
      log.info({ lease: name }, "the Lease is given back");
    } catch (error) {
      log.warn({ lease: name, error: messageOf(error) }, "the Lease was not given back: it runs out");
    }
  }
}
