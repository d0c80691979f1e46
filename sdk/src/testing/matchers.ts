// Importing this file teaches vitest's expect about stages and what came of their packets:
//   import "@sluice/sdk/testing/matchers";
//   expect(stage.send(packet)).toDrop("policy");

import { afterAll, expect } from "vitest";
import { stopNative } from "./native-stage.js";
import type { HistogramExpectation, RedirectExpectation } from "./packet-matchers.js";
import { matchers } from "./packet-matchers.js";
import type { Packet } from "./send.js";
import { verifyStages } from "./verify.js";

expect.extend(matchers);

// The packet thread is not left to the next file: a process has at most one dataplane.
afterAll(async () => {
  try {
    await verifyStages();
  } finally {
    await stopNative();
  }
}, 60_000);

/** What can be expected of a `SendResult` (the first ones) or of a `Stage` (the last ones). */
export interface SluiceMatchers<R = unknown> {
  /** The packet goes on; with an argument: as this packet. */
  toPass(packet?: Packet): R;
  /** The packet is dropped; with an argument: for this reason. */
  toDrop(reason?: string): R;
  /** The packet leaves by a port without a routing lookup; with an argument: by this one, to this neighbour. */
  toRedirect(to?: RedirectExpectation): R;
  /** The packet was turned into an answer; with an argument: into this one. */
  toReply(packet?: Packet): R;
  /** The packet is handled as if just received; with an argument: as this packet. */
  toReinput(packet?: Packet): R;
  /** The packet leaves the stage as this one, or with these fields as describePacket() names them; not for a drop. */
  toLeaveAs(packet: Packet | Record<string, string | number>): R;
  /** The packet leaves the stage byte by byte as it came. */
  toLeaveUnchanged(): R;
  /** The stage noted these values of the packet. */
  toHaveTraced(values: Record<string, number>): R;
  /** Of a result or a stage: exactly these packets were sent by the stage itself, in this order. */
  toHaveEmitted(...packets: Packet[]): R;
  /** Of a result: the stage had a copy of the packet sent out by this port; with a second argument: this copy. */
  toHaveMirrored(port: number, packet?: Packet): R;
  /** Of a stage. */
  toHaveCounter(name: string, value: number): R;
  /** Of a stage. */
  toHaveGauge(name: string, value: number): R;
  /** Of a stage: the counts by bound and the sum, those that are given. */
  toHaveHistogram(name: string, expected: HistogramExpectation): R;
  /** Of a stage: it failed (trapped, or did not return in time); with an argument: with this in its message. */
  toHaveTrapped(message?: string | RegExp): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: vitest's own declaration, which this one extends, says any.
  interface Matchers<T = any> extends SluiceMatchers<T> {}
}
