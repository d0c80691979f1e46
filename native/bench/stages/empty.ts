// The least that a stage can be: what remains is what any stage costs.
import { Batch, definePlugin } from "@sluice/sdk";

definePlugin({ name: "empty", version: "1.0.0", headerBytes: 64 });

@hook("forward")
export function process(batch: Batch): void {}
