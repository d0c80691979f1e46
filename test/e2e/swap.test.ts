import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UPLINK } from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import { Cleanup } from "../support/cleanup.js";
import { exampleSource } from "../support/plugins.js";
import { type Node, type Pod, twoNodes } from "../support/topology.js";
import { IperfFlow, PingFlow, type PingResult, ping } from "../support/traffic.js";

// dscp-marker 1.0.0 writes AF11 and 2.0.0 EF; both keep the same flow state, which says who saw the flow before.
const V1 = exampleSource("dscp-marker/assembly/v1.ts");
const V2 = exampleSource("dscp-marker/assembly/v2.ts");

const cleanup = new Cleanup();
let one: Node;
let from: Pod;
let to: Pod;

beforeAll(async () => {
  const [node, other] = await twoNodes(cleanup);
  one = node;
  from = one.pods[0] as Pod;
  to = other.pods[0] as Pod;
  await one.dataplane.must("plugin", "load", V1);
});

afterAll(() => cleanup.close());

const marker = async () => {
  const stage = (await one.dataplane.status()).native.stages.find(({ name }) => name === "dscp-marker");
  if (stage === undefined) throw new Error("dscp-marker is not in the pipeline");
  return stage;
};

/** Runs `change` while ping at 1 ms and iperf3 are under way; returns what ping saw. */
async function underLoad(change: () => Promise<void>): Promise<PingResult> {
  const stream = await IperfFlow.start(cleanup, from.namespace, to.namespace, to.v4, { seconds: 5 });
  const pings = new PingFlow(cleanup, from.namespace, to.v4, { interval: 0.001 });
  await sleep(500);
  await change();
  await sleep(500);
  const result = await pings.stop();
  expect((await stream.result()).gigabitsPerSecond).toBeGreaterThan(0.05);
  return result;
}

test("a stage is replaced under load: no packet lost, none twice, sessions kept", async () => {
  const result = await underLoad(async () => {
    for (const version of [V2, V1, V2]) {
      await one.dataplane.must("plugin", "swap", `dscp-marker=${version}`);
      await sleep(300);
    }
  });
  expect(result).toMatchObject({ lost: 0, duplicates: 0, missing: [] });
  expect(result.sent).toBeGreaterThan(500);
  const { version, counters } = await marker();
  expect(version).toBe("2.0.0");
  expect(counters.kept_sessions).toBeGreaterThan(0);
});

test("the new version is the one that works on packets", async () => {
  await one.dataplane.must("plugin", "swap", `dscp-marker=${V1}`);
  for (const [version, tos] of [
    [V2, "0xb8"], // EF << 2
    [V1, "0x28"], // AF11 << 2
  ] as const) {
    await one.dataplane.must("plugin", "swap", `dscp-marker=${version}`);
    const seen = await capture(cleanup, to.namespace, "eth0", "icmp[icmptype] = 8", ["-v"]);
    await ping(from.namespace, to.v4, { count: 3 });
    expect((await seen.stop()).join("\n")).toContain(`tos ${tos}`);
  }
});

test("a roll-back brings the previous version, under load and without loss", async () => {
  await one.dataplane.must("plugin", "swap", `dscp-marker=${V2}`);
  const result = await underLoad(async () => {
    await one.dataplane.must("plugin", "rollback", "dscp-marker");
  });
  expect(result).toMatchObject({ lost: 0, duplicates: 0, missing: [] });
  expect((await marker()).version).toBe("1.0.0");
});

test("a shadow run refuses a version that writes other bytes, and the live one stays", async () => {
  const pings = new PingFlow(cleanup, from.namespace, to.v4, { interval: 0.02 });
  const refused = await one.dataplane.sluice(
    ...["plugin", "swap", `dscp-marker=${V2}`, "--shadow", "packets=100,max-differences=0,seconds=5"],
  );
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/shadow-refused/);
  expect((await marker()).version).toBe("1.0.0");
  expect(await pings.stop()).toMatchObject({ lost: 0, duplicates: 0, missing: [] });
});

test("loading and unloading a stage under load loses nothing", async () => {
  const result = await underLoad(async () => {
    await one.dataplane.must("plugin", "load", exampleSource("tap-counter/assembly/index.ts"));
    await sleep(200);
    await one.dataplane.must("plugin", "unload", "tap-counter");
  });
  expect(result).toMatchObject({ lost: 0, duplicates: 0, missing: [] });
});

test("the tunnelled packets on the wire are not in disorder while stages change", async () => {
  const seen = await capture(cleanup, one.namespace, UPLINK, "udp dst port 4789", ["-Q", "out"]);
  const pings = new PingFlow(cleanup, from.namespace, to.v4, { interval: 0.002 });
  await sleep(200);
  await one.dataplane.must("plugin", "swap", `dscp-marker=${V2}`);
  await sleep(200);
  await pings.stop();
  const text = (await seen.stop()).join("\n");
  const sequence = [...text.matchAll(/ICMP echo request, id \d+, seq (\d+)/g)].map((match) => Number(match[1]));
  expect(sequence.length).toBeGreaterThan(50);
  const late = sequence.filter((number, index) => index > 0 && number < (sequence[index - 1] ?? 0));
  expect(late).toEqual([]);
});
