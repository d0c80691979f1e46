import { access } from "node:fs/promises";
import type { Logger } from "pino";
import type { PodRecord } from "../cluster/records.js";
import { type Attachment, attachmentId } from "../ipam/attachment.js";
import type { Ipam } from "../ipam/ipam.js";

export interface LostPodsOptions {
  readonly ipam: Ipam;
  /** @param key namespace/name */
  readonly pod: (key: string) => PodRecord | undefined;
  readonly log: Logger;
}

/** A pod that is gone from the API keeps its addresses for so long: the runtime's DEL comes after it. */
const GRACE_MS = 5 * 60_000;

/**
 * Attachments whose network namespace is gone, as after a restart of the machine. They have no port; and when their pod is gone too, nobody
 * will call DEL for them.
 */
export class LostPods {
  private lost = new Set<string>();
  /** Since when their pods are gone too, Unix time in ms. */
  private readonly orphans = new Map<string, number>();
  private last: { all: readonly Attachment[]; key: string; left: readonly Attachment[] } | undefined;

  constructor(private readonly options: LostPodsOptions) {}

  /** Those of `all` that are to have ports; the same list while nothing changes. @param excluded others that have none, by id */
  without(all: readonly Attachment[], excluded: ReadonlyMap<string, unknown>): readonly Attachment[] {
    const key = [...this.lost, "", ...excluded.keys()].join(" ");
    if (this.last?.all === all && this.last.key === key) return this.last.left;
    const left = all.filter((attachment) => {
      const id = attachmentId(attachment);
      return !this.lost.has(id) && !excluded.has(id);
    });
    this.last = { all, key, left };
    return left;
  }

  /** @param isCurrent the API's pods are known as they are now. @returns whether anything changed */
  async look(isCurrent: boolean): Promise<boolean> {
    const all = this.options.ipam.all();
    const found = await Promise.all(all.map(async (each) => ((await isThere(each.netns)) ? [] : [each])));
    const gone = found.flat();
    const lost = new Set(gone.map(attachmentId));
    const hasChanged = lost.size !== this.lost.size || [...lost].some((id) => !this.lost.has(id));
    this.lost = lost;
    const hasReleased = isCurrent && (await this.release(gone));
    return hasChanged || hasReleased;
  }

  private async release(gone: readonly Attachment[]): Promise<boolean> {
    const { ipam, pod, log } = this.options;
    const orphans = gone.filter((each) => pod(`${each.pod.namespace}/${each.pod.name}`)?.uid !== each.pod.uid);
    const ids = new Set(orphans.map(attachmentId));
    for (const id of this.orphans.keys()) if (!ids.has(id)) this.orphans.delete(id);
    const now = Date.now();
    let hasReleased = false;
    for (const orphan of orphans) {
      const id = attachmentId(orphan);
      const since = this.orphans.get(id) ?? now;
      this.orphans.set(id, since);
      if (now - since < GRACE_MS) continue;
      log.warn({ attachment: orphan }, "neither its pod nor its namespace is there: its addresses are released");
      await ipam.release(orphan);
      hasReleased = true;
    }
    return hasReleased;
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
