import { definePlugin } from "@sluice/sdk";

definePlugin({ name: "srv6", version: "1.0.0", headerBytes: 256, segmentBytes: 4194304, failure: "FailClosed" });
