import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi } from "../kube/api.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { LeaseHolder } from "./lease.js";
import { PLUGIN_LIMITS, type PluginLimits } from "./plugin-versions.js";
import { RELEASE_TIMES, type ReleaseTimes } from "./releases.js";
import { Session } from "./session.js";

export interface ReflectorOptions {
  readonly api: KubeApi;
  readonly store: EtcdStore;
  readonly leaseNamespace: string;
  /** Of this process, different from all others. */
  readonly identity: string;
  readonly log: Logger;
  readonly times?: ReleaseTimes;
  readonly pluginLimits?: PluginLimits;
}

const LEASE = "sluice-reflector";

/** Waits for the Lease, then does the work, in sessions, as long as it has it. */
export class Reflector {
  /** By kind. */
  readonly malformed = new Map<string, number>();
  readonly #options: ReflectorOptions;
  readonly #lease: LeaseHolder;
  #session: Session | undefined;
  /** Of earlier sessions. */
  #writes = 0;

  constructor(options: ReflectorOptions) {
    const { api, leaseNamespace, identity, log } = options;
    this.#options = options;
    this.#lease = new LeaseHolder({ api, namespace: leaseNamespace, name: LEASE, identity, log });
  }

  /** While this one is active. */
  get session(): Session | undefined {
    return this.#session;
  }

  get writes(): number {
    return this.#writes + (this.#session?.writer?.writes ?? 0);
  }

  /** What keeps it from its work; none while another one is active. */
  unready(): string[] {
    if (!this.#lease.seen) return ["the Lease has not been read: does the API server answer, and may this be done?"];
    if (!this.#lease.held) return [];
    if (this.#session === undefined) return ["etcd has not answered"];
    return this.#session.behind.map((kind) => `${kind}: changes do not come for now`);
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#lease.run((held) => this.#work(held), signal);
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { log, times = RELEASE_TIMES, pluginLimits = PLUGIN_LIMITS } = this.#options;
    const backoff = new Backoff();
    while (!signal.aborted) {
      const session = new Session({
        ...this.#options,
        times,
        pluginLimits,
        onMalformed: (kind) => this.malformed.set(kind, (this.malformed.get(kind) ?? 0) + 1),
      });
      this.#session = session;
      try {
        await session.run(signal);
        backoff.reset();
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        log.warn({ error: messageOf(error) }, "can't begin for now");
      }
      this.#writes += session.writer?.writes ?? 0;
      this.#session = undefined;
      await backoff.wait(signal);
    }
  }
}
