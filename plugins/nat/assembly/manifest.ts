import { definePlugin } from "@sluice/sdk";

definePlugin({ name: "nat", version: "1.0.0", headerBytes: 192, segmentBytes: 67108864, failure: "FailClosed" });
