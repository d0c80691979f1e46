import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../errors.js";
import type { ClusterView } from "./cluster-view.js";
import { writeSnapshot } from "./snapshot.js";

/** How long after a change: so long, and longer where there are many records to write. */
const LEAST_MS = 1000;
const RECORDS_A_SECOND = 5000;

/** Writes the view to the disk some time after it has changed. */
export class SnapshotSaver {
  private isDirty = false;
  private saving: Promise<void> | undefined;
  private readonly stopping = new AbortController();

  constructor(
    private readonly file: string,
    private readonly view: ClusterView,
    private readonly log: Logger,
  ) {}

  touch(): void {
    this.isDirty = true;
    this.saving ??= this.save();
  }

  /** Writes what was not written yet. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.saving;
  }

  private async save(): Promise<void> {
    const { signal } = this.stopping;
    while (this.isDirty) {
      const ms = Math.max(LEAST_MS, (this.view.size / RECORDS_A_SECOND) * 1000);
      await sleep(ms, undefined, { signal }).catch(() => undefined);
      this.isDirty = false;
      try {
        await writeSnapshot(this.file, this.view);
      } catch (error) {
        this.log.error(
          { file: this.file, problem: messageOf(error) },
          "the snapshot was not written; the last one stays",
        );
      }
    }
    this.saving = undefined;
  }
}
