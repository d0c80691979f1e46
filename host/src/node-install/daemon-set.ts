import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { SluiceError } from "../errors.js";
import type { KubeApi, NamespacedName, ObjectMeta } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";

/** How long the API is asked again where it does not answer: a pod's end is waited for half a minute. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 500;

interface DaemonSet {
  readonly metadata: ObjectMeta & { readonly deletionTimestamp?: string };
}

/** The DaemonSet that this process is of: an end without it is an uninstall, an end with it an upgrade or a restart. */
export class OwnDaemonSet {
  private wasSeen = false;

  constructor(
    private readonly api: KubeApi,
    private readonly place: NamespacedName,
    private readonly log: Logger,
  ) {}

  /** Looks once, at the start: who may not read it now could not tell an uninstall later. */
  async check(): Promise<void> {
    try {
      await this.exists();
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.log.warn({ problems: error.problems }, "the DaemonSet can't be read: an uninstall may leave files here");
    }
  }

  /** Whether it is gone, or going. Where nobody can say it is not: an upgrade must not take a node's network configuration. */
  async isGone(): Promise<boolean> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return !(await this.exists());
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        // Its account goes with it: what could be read before was taken away.
        if (hasKubeCode(error, "kube-denied")) return this.wasSeen;
        this.log.warn({ problems: error.problems }, "can't tell an uninstall from a restart yet");
        if (Date.now() > end) return false;
        await sleep(PAUSE_MS);
      }
    }
  }

  private async exists(): Promise<boolean> {
    const { namespace, name } = this.place;
    try {
      const found = await this.api.get<DaemonSet>(`/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`);
      this.wasSeen = true;
      return found.metadata.deletionTimestamp === undefined;
    } catch (error) {
      if (!hasKubeCode(error, "kube-not-found")) throw error;
      return false;
    }
  }
}
