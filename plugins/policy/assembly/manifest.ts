import { definePlugin } from "@sluice/sdk";

definePlugin({ name: "policy", version: "1.0.0", headerBytes: 128, segmentBytes: 33554432, failure: "FailClosed" });
