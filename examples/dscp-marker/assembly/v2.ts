import { Batch, definePlugin } from "@sluice/sdk";
import { mark } from "./mark";

definePlugin({ name: "dscp-marker", version: "2.0.0", headerBytes: 64 });

const EF: u32 = 46;

@hook("forward")
export function process(batch: Batch): void { mark(batch, EF, 2); }
