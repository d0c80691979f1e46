import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { sortedKeys } from "../cluster/versions.js";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import { Pacer } from "./pacer.js";
import type { Member } from "./roster.js";

const GATHER_MS = 500;
const REVISIT_MS = 10_000;

export interface StatusSource {
  /** Of the API, such as /apis/sluice.dev/v1alpha1/ippools. */
  readonly path: string;
  /** Objects by name, with the status that each should have. Undefined: not all is known yet. */
  readonly statuses: () => readonly { member: Member<unknown>; status: object }[] | undefined;
}

/** Writes the status of Sluice's resources where it is another one than the API has. */
export class StatusWriter {
  readonly #api: KubeApi;
  readonly #sources: readonly StatusSource[];
  readonly #log: Logger;
  readonly #pacer = new Pacer({ gatherMs: GATHER_MS, revisitMs: REVISIT_MS });

  constructor(api: KubeApi, sources: readonly StatusSource[], log: Logger) {
    this.#api = api;
    this.#sources = sources;
    this.#log = log;
  }

  /** Something has changed that a status may tell. */
  poke(): void {
    this.#pacer.poke();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#pacer.run(() => this.#pass(signal), signal);
  }

  async #pass(signal: AbortSignal): Promise<void> {
    for (const { path, statuses } of this.#sources) {
      for (const { member, status } of statuses() ?? []) {
        if (signal.aborted) return;
        if (!isDeepStrictEqual(sortedKeys(member.status), sortedKeys(status))) await this.#write(path, member, status);
      }
    }
  }

  async #write(path: string, { metadata: { name } }: Member<unknown>, status: object): Promise<void> {
    try {
      await this.#api.patch(`${path}/${name}/status`, { status });
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      if (hasKubeCode(error, "kube-not-found")) return; // deleted meanwhile
      this.#log.warn({ path, name, error: messageOf(error) }, "a status was not written; it is tried again");
    }
  }
}
