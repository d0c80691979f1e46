import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CapturedPacket, type CaptureRead, Dataplane, type Profile, type TracedPacket } from "@sluice/native";
import { buildPlugin } from "@sluice/sdk/build";
import { ethernet, ipv4, packetHex, udp } from "@sluice/sdk/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// The addon's calls for operators, from JavaScript to packets and back. What they tell of each kind of packet is
// native/test/observe's.

const SOURCE = `
import { Batch, definePlugin, dropReason, Scratch, TraceValue } from "@sluice/sdk";

definePlugin({ name: "busy", version: "1.0.0" });
const tooLarge = dropReason("too-large", "Longer than this test likes");
const length = new TraceValue("length");
const sums = new Scratch(8);

function burn(from: u32): u32 {
  let sum = from;
  for (let i: u32 = 0; i < 20000; i++) sum = sum * 31 + (sum >> 7);
  return sum;
}

@hook("forward")
function work(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.isTraced) length.note(packet, packet.length);
    if (packet.length > 1000) packet.drop(tooLarge);
    sums.set<u32>(0, burn(packet.length));
  }
}
`;

const folder = mkdtempSync(join(tmpdir(), "observe-"));
let dataplane: Dataplane;
let digest: string;

function state(): string {
  return JSON.stringify({
    ports: [
      { name: "a", kind: "inject", mac: "02:00:00:00:00:0a", addresses: ["10.0.0.1/24"] },
      { name: "b", kind: "inject", mac: "02:00:00:00:00:0b", addresses: ["10.0.1.1/24"] },
    ],
    neighbours: [{ port: "b", address: "10.0.1.2", mac: "02:00:00:00:00:b2" }],
    plugins: [
      { name: "busy", digest, budgetUs: 400_000 },
      { name: "spare", digest, budgetUs: 400_000 },
    ],
    pipeline: { forward: ["busy"] },
    conntrack: { maxFlows: 1024 },
  });
}

function frame(destinationPort: number, payload = 8): Uint8Array {
  return Buffer.from(
    packetHex(
      ethernet({ source: "02:00:00:00:00:a2", destination: "02:00:00:00:00:0a" }),
      ipv4({ source: "10.0.0.2", destination: "10.0.1.2" }),
      udp({ sourcePort: 1000, destinationPort }),
      new Uint8Array(payload),
    ),
    "hex",
  );
}

/** Asks again until there is something, for two seconds. */
async function until<T>(ask: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 400; tries++) {
    const answer = ask();
    if (answer !== undefined) return answer;
    await sleep(5);
  }
  throw new Error("nothing came within two seconds");
}

function refusal(call: () => unknown): Record<string, unknown> {
  try {
    call();
  } catch (error) {
    const { name, code, path, message } = error as Record<string, unknown>;
    return { name, code, path, message };
  }
  return {};
}

beforeAll(async () => {
  const { wasm } = await buildPlugin({ source: SOURCE, name: "busy.ts" });
  digest = createHash("sha256").update(wasm).digest("hex");
  const options = {
    name: "observe",
    workers: 1,
    memoryMb: 128,
    hugepages: "never",
    buffers: 4096,
    jumbos: 64,
  } as const;
  ({ dataplane } = await Dataplane.start({
    ...options,
    stateDir: join(folder, "state"),
    cacheDir: join(folder, "cache"),
  }));
  expect(refusal(() => dataplane.startTrace({ filter: "", packets: 1 }))).toMatchObject({ code: "not-applied" });
  await dataplane.addModule(digest, wasm);
  await dataplane.apply(state(), []);
});

afterAll(async () => {
  await dataplane?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a trace follows a packet from port to port", async () => {
  const id = dataplane.startTrace({ filter: "udp port 53", packets: 1 });
  dataplane.inject("a", [frame(80), frame(53)]);
  const packet = await until((): TracedPacket | undefined => dataplane.readTrace(id).packets[0]);
  expect(packet).toMatchObject({
    number: 1,
    worker: 0,
    length: 36,
    summary: "IPv4 10.0.0.2 > 10.0.1.2 protocol 17, 36 bytes",
  });
  expect(Math.abs(packet.at - Date.now())).toBeLessThan(60_000);
  expect(packet.steps.map(({ kind }) => kind)).toEqual(["rx", "parse", "conntrack", "route", "stage", "tx"]);
  expect(packet.steps[4]).toMatchObject({
    stage: "busy",
    hook: "forward",
    verdict: "pass",
    cycles: expect.any(Number),
    values: [{ name: "length", value: 36 }],
  });
  expect(packet.steps[3]?.rewrites?.[0]).toEqual({ offset: 8, before: "40", after: "3f" });
  expect(dataplane.readTrace(id)).toEqual({ packets: [], left: 0, inWork: 0, lost: 0 });
  dataplane.stopObserving(id);
  expect(refusal(() => dataplane.readTrace(id))).toMatchObject({ code: "no-such-observation" });
});

test("a capture takes frames at several points", async () => {
  const id = dataplane.startCapture({ filter: "udp port 53", points: ["rx", "drop"], ports: ["a"], snapLength: 60 });
  const large = frame(53, 1200);
  dataplane.inject("a", [frame(80), large]);
  const packets: CapturedPacket[] = [];
  await until(() => {
    const read: CaptureRead = dataplane.readCapture(id, 10);
    packets.push(...read.packets);
    return packets.length >= 2 ? packets : undefined;
  });
  expect(packets.map(({ point, port, length, reason }) => ({ point, port, length, reason }))).toEqual([
    { point: "rx", port: "a", length: large.length, reason: undefined },
    { point: "drop", port: "a", length: large.length, reason: "too-large" },
  ]);
  expect(packets[0]?.bytes).toEqual(Buffer.from(large.subarray(0, 60)));
  expect(typeof packets[0]?.at).toBe("bigint");
  dataplane.stopObserving(id);
});

test("drops are told with the stage and the last packet", async () => {
  const drop = await until(() => dataplane.drops().find(({ stage }) => stage === "busy"));
  expect(drop).toMatchObject({
    reason: "too-large",
    packets: expect.any(Number),
    last: { worker: 0, inPort: "a", length: 1228, summary: expect.stringContaining("10.0.0.2 > 10.0.1.2") },
  });
  expect(drop.last?.packetHex).toHaveLength(256);
});

test("flows are listed", async () => {
  const [flow] = dataplane.flows({ max: 1, port: 80 });
  expect(flow).toEqual({
    number: expect.any(Number),
    protocol: 17,
    original: { source: "10.0.0.2", sourcePort: 1000, destination: "10.0.1.2", destinationPort: 80 },
    reply: { source: "10.0.1.2", sourcePort: 80, destination: "10.0.0.2", destinationPort: 1000 },
    state: "new",
    idleMs: expect.any(Number),
    expiresInMs: expect.any(Number),
    slots: {},
  });
  expect(dataplane.flows({ max: 10, after: flow?.number ?? 0, port: 80 })).toEqual([]);
});

test("a profile names the place that takes the time", async () => {
  const options = { plugin: "busy", durationMs: 500, hertz: 1000 };
  const both = Promise.allSettled([dataplane.profile(options), dataplane.profile(options)]);
  let done = false;
  const traffic = (async () => {
    while (!done) {
      dataplane.inject(
        "a",
        Array.from({ length: 16 }, () => frame(80)),
      );
      dataplane.collect("b", 1000);
      await sleep(1);
    }
  })();
  const results = await both;
  done = true;
  await traffic;
  const profile = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))[0] as Profile;
  expect(profile.digest).toBe(digest);
  expect(profile.inPlugin).toBeGreaterThan(20);
  // The compiler puts the small function into its caller: the loop is where the most samples are.
  const [hottest] = profile.places;
  expect(hottest).toMatchObject({ function: expect.stringMatching(/process$/), offset: expect.any(Number) });
  const near = profile.places.filter(({ offset }) => Math.abs(offset - (hottest?.offset ?? 0)) < 64);
  expect(near.reduce((sum, { samples }) => sum + samples, 0)).toBeGreaterThan(profile.inPlugin * 0.8);
  expect(results.map((result) => (result.status === "rejected" ? result.reason : undefined))).toContainEqual(
    expect.objectContaining({ name: "SluiceNativeError", code: "profile-running" }),
  );
});

describe("what is wrong is refused", () => {
  type Any = never; // what TypeScript would refuse already
  test.each<[string, () => unknown, string, string]>([
    ["a filter", () => dataplane.startTrace({ filter: "udp prot 5", packets: 1 }), "invalid-filter", "/filter"],
    ["no packets", () => dataplane.startTrace({ filter: "", packets: 0 }), "invalid-options", "/packets"],
    ["a negative number", () => dataplane.startTrace({ filter: "", packets: -1 }), "invalid-options", "/packets"],
    [
      "a text for a number",
      () => dataplane.startTrace({ filter: "", packets: "1" as Any }),
      "invalid-options",
      "/packets",
    ],
    ["no options", () => dataplane.startTrace(undefined as Any), "invalid-options", ""],
    ["an unknown point", () => capture({ points: ["middle" as Any] }), "unknown-point", "/points/0"],
    ["an unknown stage", () => capture({ points: ["stage:none"] }), "unknown-stage", "/points/0"],
    ["an unknown port", () => capture({ ports: ["c"] }), "unknown-port", "/ports/0"],
    ["an endless snap length", () => capture({ snapLength: 1e9 }), "invalid-options", "/snapLength"],
    ["a trace that is none", () => dataplane.readTrace(1000), "no-such-observation", ""],
    ["a number that is none", () => dataplane.readCapture(-1, 5), "invalid-options", "/id"],
    ["an address", () => dataplane.flows({ max: 1, address: "here" }), "invalid-options", "/address"],
  ])("%s", (_, call, code, path) => {
    expect(refusal(call)).toEqual({ name: "SluiceNativeError", code, path, message: expect.stringMatching(/\w/) });
  });

  test("an unknown plugin to profile", async () => {
    await expect(dataplane.profile({ plugin: "none", durationMs: 10, hertz: 100 })).rejects.toMatchObject({
      name: "SluiceNativeError",
      code: "unknown-stage",
      path: "/plugin",
    });
  });

  test("a plugin to profile that is loaded and at no hook", async () => {
    await expect(dataplane.profile({ plugin: "spare", durationMs: 10, hertz: 100 })).rejects.toMatchObject({
      name: "SluiceNativeError",
      code: "at-no-hook",
      path: "/plugin",
      message: expect.stringContaining('"spare" is loaded, and at no hook'),
    });
  });

  function capture(options: Partial<Parameters<Dataplane["startCapture"]>[0]>): number {
    return dataplane.startCapture({ filter: "", points: ["rx"], ports: [], snapLength: 100, ...options });
  }
});
