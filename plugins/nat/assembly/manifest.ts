import { definePlugin } from "@sluice/sdk";

definePlugin({ name: "nat", version: "1.0.0", headerBytes: 192, segmentBytes: 16777216, failure: "FailClosed" });
