// Stages that ran in Node have their packets once more in a packet thread, where that is asked for.

import { executorName, requireAgreement } from "./executor.js";
import { NativeStage } from "./native-stage.js";
import type { RowResult } from "./rows.js";
import type { Stage } from "./stage.js";

let waiting: Stage[] = [];

/** Remembers a stage for `verifyStages`. */
export function verifyLater(stage: Stage): void {
  waiting.push(stage);
}

/**
 * Sends all that stages were sent since the last call to packet threads too, unless SLUICE_EXECUTOR=node: the results must be
 * the same. What came after a `configure` or `swap` cannot be sent there: such stages are left out. The matchers call it when
 * a test file has ended. Throws DisagreementError, NativeMissingError.
 */
export async function verifyStages(): Promise<{ verified: number; leftOut: number }> {
  const stages = waiting;
  waiting = [];
  if (executorName() === "node") return { verified: 0, leftOut: stages.length };
  let verified = 0;
  for (const stage of stages) {
    const row = stage.row(stage.manifest.name);
    if (!row || row.packets.length === 0) continue;
    const { packets, counters = {}, gauges = {}, emitted = [], mirrored = [] } = row;
    const node: RowResult = {
      packets: packets.map(({ expect }) => ({ table: 0, mark: 0, ...expect })),
      ...{ counters, gauges, histograms: stage.histograms, emitted, mirrored },
      ...(stage.trap ? { trap: stage.trap } : {}),
    };
    requireAgreement(stage.manifest.name, node, await (await NativeStage.start(stage.wasm)).run(row));
    verified++;
  }
  return { verified, leftOut: stages.length - verified };
}
