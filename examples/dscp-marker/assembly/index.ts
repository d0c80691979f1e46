import { Batch, definePlugin } from "@sluice/sdk";
import { KEEP } from "./classes";
import { mark } from "./mark";

definePlugin({ name: "dscp-marker", version: "3.0.0", headerBytes: 64, failure: "FailOpen" });

@hook("forward")
export function process(batch: Batch): void { mark(batch, KEEP, 3); }
