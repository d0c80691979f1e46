import type { Logger } from "pino";
import { NODE_REPORTS_PREFIX } from "../cluster/keys.js";
import { type NodeReportRecord, nodeReportRecord } from "../cluster/records.js";
import { messageOf } from "../errors.js";
import type { Change, WatchHandler } from "../store/watch.js";

/** What the nodes' agents report, kept by a watch. */
export class NodeReports implements WatchHandler {
  /** By node. */
  readonly reports = new Map<string, NodeReportRecord>();
  readonly #log: Logger;
  /** Told a report and the one before. */
  readonly #onReport: (report: NodeReportRecord, before: NodeReportRecord | undefined) => void;
  readonly #onChange: () => void;

  constructor(
    log: Logger,
    onReport: (report: NodeReportRecord, before: NodeReportRecord | undefined) => void,
    onChange: () => void,
  ) {
    this.#log = log;
    this.#onReport = onReport;
    this.#onChange = onChange;
  }

  changed(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      const node = key.slice(NODE_REPORTS_PREFIX.length);
      try {
        if (value === undefined) this.reports.delete(node);
        else this.#take(node, nodeReportRecord.parse(JSON.parse(value)));
      } catch (error) {
        this.#log.error({ node, error: messageOf(error) }, "an agent's report can't be read");
      }
    }
    this.#onChange();
  }

  #take(node: string, report: NodeReportRecord): void {
    const before = this.reports.get(node);
    this.reports.set(node, report);
    this.#onReport(report, before);
  }
}
