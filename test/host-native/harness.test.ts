import { join } from "node:path";
import {
  type ExecutorName,
  executorName,
  ipv4,
  loadPlugin,
  packet,
  type Row,
  requireAgreement,
  stageExecutor,
  tcp,
  udp,
  verifyStages,
} from "@sluice/sdk/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import "@sluice/sdk/testing/matchers";
import { ROOT } from "./support.js";

// The SDK's test harness with the native part at hand: what is sent to a stage in Node goes through a packet thread too.

const fixture = (name: string): string => join(ROOT, "sdk", "test", "assembly", `${name}.ts`);
const there = { source: "10.1.0.1", destination: "10.96.0.10" };
const syn = (destinationPort: number) => packet(ipv4(there), tcp({ sourcePort: 40000, destinationPort, flags: "S" }));
const datagram = (destinationPort: number) => packet(ipv4(there), udp({ sourcePort: 40000, destinationPort }), "text");
const reply = packet(
  ipv4({ source: "10.96.0.10", destination: "10.1.0.1" }),
  udp({ sourcePort: 5, destinationPort: 40000 }),
);
const config = { backend: "10.0.0.7" };

let given: string | undefined;
beforeEach(() => {
  given = process.env.SLUICE_EXECUTOR;
  delete process.env.SLUICE_EXECUTOR;
});
afterEach(() => {
  if (given === undefined) delete process.env.SLUICE_EXECUTOR;
  else process.env.SLUICE_EXECUTOR = given;
});

test("both executors are used where the native part is installed", () => {
  expect(executorName()).toBe("both");
});

describe("what a stage was sent in Node has the same results in a packet thread:", () => {
  test("verdicts, rewrites, redirects, flow states found by conntrack, drop reasons, counters", async () => {
    const stage = await loadPlugin(fixture("gate"), { config });
    stage.burst([syn(25), syn(22), syn(23), syn(80), syn(443), datagram(5), datagram(5)]);
    stage.send(reply, { at: 20 });
    stage.send(datagram(1), { inPort: 3, table: 2, mark: 9 });
    stage.send(packet(ipv4({ ...there, checksum: 1 })));
    expect(await verifyStages()).toEqual({ verified: 1, leftOut: 0 });
  }, 60_000);
  test("a trap", async () => {
    const stage = await loadPlugin(fixture("gate"), { config });
    stage.burst([datagram(25), datagram(9)]);
    expect(stage).toHaveTrapped();
    expect(await verifyStages()).toEqual({ verified: 1, leftOut: 0 });
  }, 60_000);
  test("replies, copies, packets sent, values noted, gauges and histograms", async () => {
    const stage = await loadPlugin(fixture("speaker"));
    for (const port of [5, 6, 7, 41, 81]) stage.send(port === 81 ? syn(port) : datagram(port), { at: port });
    expect(stage.emitted).toHaveLength(1);
    expect(await verifyStages()).toEqual({ verified: 1, leftOut: 0 });
  }, 60_000);
});

test("a stage that was configured anew or swapped is left out", async () => {
  const stage = await loadPlugin(fixture("gate"), { config });
  stage.send(datagram(25));
  stage.configure(config);
  expect(await verifyStages()).toEqual({ verified: 0, leftOut: 1 });
}, 60_000);

const row: Row = {
  name: "a row",
  hook: "forward",
  config,
  packets: [{ in: Buffer.from(syn(22)).toString("hex"), expect: { verdict: "drop", reason: "policy" } }],
};
test.each(["node", "native", "both"] as ExecutorName[])(
  "rows run in: %s",
  async (name) => {
    process.env.SLUICE_EXECUTOR = name;
    const { wasm } = await loadPlugin(fixture("gate"), { config });
    const result = await (await stageExecutor(wasm)).run(row);
    expect(result).toMatchObject({ packets: [{ verdict: "drop", reason: "policy" }], counters: { packets: 1 } });
  },
  60_000,
);

test("another executor is refused", () => {
  process.env.SLUICE_EXECUTOR = "fast";
  expect(() => executorName()).toThrow("SLUICE_EXECUTOR is 'fast'; it may be node, native, both, or not set");
});

test("a disagreement says what is different", () => {
  const packets = [{ verdict: "pass" as const, out: "4500", table: 0, mark: 0 }];
  const result = { packets, counters: { a: 1 }, gauges: {}, histograms: {}, emitted: [], mirrored: [] };
  const other = {
    ...result,
    packets: [{ verdict: "drop" as const, reason: "policy", table: 0, mark: 0 }],
    counters: { a: 2 },
  };
  expect(() => requireAgreement("a row", result, result)).not.toThrow();
  expect(() => requireAgreement("a row", result, other)).toThrow(
    [
      "Node and the packet thread disagree in 'a row':",
      '  packet 0: verdict: "drop" in the packet thread, "pass" in Node',
      '  packet 0: reason: "policy" in the packet thread, absent in Node',
      '  counters: {"a":2} in the packet thread, {"a":1} in Node',
    ].join("\n"),
  );
});
