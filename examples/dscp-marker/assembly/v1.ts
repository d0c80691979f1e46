import { Batch, definePlugin } from "@sluice/sdk";
import { mark } from "./mark";

definePlugin({ name: "dscp-marker", version: "1.0.0", headerBytes: 64 });

const AF11: u32 = 10;

@hook("forward")
export function process(batch: Batch): void { mark(batch, AF11, 1); }
