import { definePlugin } from "@sluice/sdk";

definePlugin({ name: "policy", version: "1.0.0", headerBytes: 128, segmentBytes: 16777216, failure: "FailClosed" });
