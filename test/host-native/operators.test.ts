import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Dataplane, type TracedPacket } from "@sluice/native";
import { ipv4, packet, udp } from "@sluice/sdk/testing";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { withFields } from "../../host/src/cli/views/trace.js";
import { parseNodeFile } from "../../host/src/config/load.js";
import { DataplaneClient } from "../../host/src/dataplane/client.js";
import { FileStore } from "../../host/src/dataplane/file-store.js";
import { handlersOf, type Running, runningOf } from "../../host/src/dataplane/handlers.js";
import { PluginSources } from "../../host/src/dataplane/plugin-sources.js";
import type { CapturedPacket, CaptureRequest } from "../../host/src/dataplane/protocol.js";
import { serveDataplane } from "../../host/src/dataplane/server.js";
import { Shell } from "../../host/src/dataplane/shell.js";
import { Uplinks } from "../../host/src/dataplane/uplinks.js";
import type { UnixServer } from "../../host/src/grpc/unix-server.js";
import { inspect } from "../../host/src/plugins/builder.js";
import { resolveNode } from "../../host/src/plugins/resolve.js";
import { ROOT } from "./support.js";

// What observes a node, over its socket, with the addon in this process and packets through ports of kind inject. The
// stages: a marker that writes DSCP 10, and one that writes DSCP 1 and traps at UDP port 667.

const TRAPPING = "examples/faulty-trap/assembly/index.ts";
const NODE = `
name: operators-test
memory: {size: 128, hugepages: never, buffers: 4096, jumbos: 64}
conntrack: {maxFlows: 4096, persist: false}
ports:
  - {name: in, kind: inject, mac: "02:00:00:00:00:01", addresses: [10.0.0.1/24]}
  - {name: out, kind: inject, mac: "02:00:00:00:00:02", addresses: [10.0.1.1/24]}
neighbours:
  - {port: out, address: 10.0.1.9, mac: "02:00:00:00:00:09"}
plugins:
  - {name: marker, source: examples/dscp-marker/assembly/v1.ts}
  - {name: trap, source: ${TRAPPING}, failure: FailOpen, after: [marker]}
`;
const AF11 = 10;
const SOURCE = "10.0.0.9";
const THERE = "10.0.1.9";
const NOWHERE = "203.0.113.1";

const folder = mkdtempSync(join(tmpdir(), "operators-test-"));
const log = pino({ level: "silent" });
const never = new AbortController().signal;
let native: Dataplane;
let running: Running;
let server: UnixServer;
let client: DataplaneClient;

beforeAll(async () => {
  const settings = { name: "operators-test", workers: 1, memoryMb: 128, hugepages: "never" as const };
  const started = await Dataplane.start({ ...settings, stateDir: folder, cacheDir: folder, buffers: 4096, jumbos: 64 });
  native = started.dataplane;
  const { spec, modules } = await resolveNode(parseNodeFile(NODE, `${ROOT}node.yaml`));
  const store = await FileStore.open(folder);
  const sources = new PluginSources((digest) => store.module(digest), log);
  const uplinks = new Uplinks(spec.name, folder, log);
  const shell = new Shell({ native, store, log, started: spec, inspect, sources, uplinks });
  await shell.apply(spec, new Map([...modules].map(([digest, { wasm }]) => [digest, wasm])));
  running = runningOf(native, shell, sources);
  server = await serveDataplane(join(folder, "s.sock"), handlersOf({ running }, "operators-test"), log);
  client = new DataplaneClient(server.socket);
});
afterAll(async () => {
  client?.close();
  await server?.close();
  await native?.stop();
  rmSync(folder, { recursive: true, force: true });
});
/** What a call began in the addon has ended with it. */
afterEach(async () => {
  for (const end = Date.now() + 2000; running.observer.count > 0 && Date.now() < end; await sleep(10));
  expect(running.observer.count).toBe(0);
});

let sourcePort = 1024;

/** Sends UDP packets, each a flow of its own, and takes what comes out. */
async function send(count: number, to = THERE, destinationPort = 53): Promise<void> {
  const frames = Array.from({ length: count }, () => {
    sourcePort = sourcePort === 65535 ? 1024 : sourcePort + 1;
    const ip = packet(ipv4({ source: SOURCE, destination: to }), udp({ sourcePort, destinationPort }), "text");
    return Buffer.concat([Buffer.from("0200000000010200000000080800", "hex"), ip]);
  });
  expect(native.inject("in", frames)).toBe(count);
  await sleep(20);
  native.collect("out", 4096);
}

/** The packets of a trace; the work runs once it has begun. */
async function traced(packets: number, filter: string, work: () => Promise<void>): Promise<TracedPacket[]> {
  const found: TracedPacket[] = [];
  let isFirst = true;
  for await (const read of client.stream("trace", { filter, packets }, never)) {
    found.push(...read.packets);
    if (isFirst) await work();
    isFirst = false;
  }
  return found;
}

/** What a capture gets of the work's packets. */
async function captured(change: Partial<CaptureRequest>, work: () => Promise<void>): Promise<CapturedPacket[]> {
  const request = { filter: "", points: ["rx"], ports: [], snapLength: 128, ...change };
  const found: CapturedPacket[] = [];
  const end = new AbortController();
  let isFirst = true;
  for await (const message of client.stream("capture", request, end.signal)) {
    found.push(...message.packets);
    if (!isFirst) continue;
    isFirst = false;
    void work().then(() => setTimeout(() => end.abort(), 200));
  }
  return found;
}

describe("a trace", () => {
  test("has a packet's way from port to port, with the field that a stage wrote", async () => {
    const [packet, ...others] = await traced(1, `dst host ${THERE}`, () => send(3));
    if (packet === undefined) throw new Error("nothing was traced");
    expect(others).toEqual([]);
    const { steps } = withFields(packet);
    expect(steps[0]).toMatchObject({ kind: "rx" });
    expect(steps.at(-1)).toMatchObject({ kind: "tx" });
    const marker = steps.find(({ stage }) => stage === "marker");
    expect(marker).toMatchObject({ hook: "forward", verdict: "pass" });
    expect(marker?.fields).toContainEqual({ field: "ipv4.dscp", before: "0", after: String(AF11) });
  });

  test("ends with the reason where a packet is dropped", async () => {
    const [packet] = await traced(1, `dst host ${NOWHERE}`, () => send(1, NOWHERE));
    expect(packet?.steps.at(-1)).toMatchObject({ kind: "drop", reason: "no-route" });
  });

  test("takes packets that match only, as many as asked for", async () => {
    const packets = await traced(5, "udp dst port 99", async () => {
      await send(10);
      await send(10, THERE, 99);
    });
    expect(packets.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
    expect(packets.every(({ packetHex }) => packetHex.slice(44, 48) === "0063")).toBe(true);
  });
});

describe("a capture", () => {
  test.each([
    ["rx", "in", 0],
    ["stage:marker", "in", AF11],
    ["tx", "out", 1], // the other stage's
  ])("at %s has the packets as they are there", async (point, port, dscp) => {
    const packets = await captured({ points: [point], filter: "udp" }, () => send(4));
    expect(packets.map((each) => [each.point, each.port, (each.bytes[15] ?? 0) >> 2])).toEqual(
      Array.from({ length: 4 }, () => [point, port, dscp]),
    );
    expect(Math.abs((packets[0]?.seconds ?? 0) - Date.now() / 1000)).toBeLessThan(10);
  });

  test("of drops has the reason", async () => {
    const packets = await captured({ points: ["drop"] }, () => send(2, NOWHERE));
    expect(packets.map(({ reason }) => reason)).toEqual(["no-route", "no-route"]);
  });

  test("keeps the bytes asked for, and knows the length of the frame", async () => {
    const [packet] = await captured({ snapLength: 20 }, () => send(1));
    expect(packet).toMatchObject({ length: 14 + 20 + 8 + 4, bytes: { length: 20 } });
  });

  test("sees the ports asked for only", async () => {
    expect(await captured({ points: ["rx", "tx"], ports: ["out"] }, () => send(3))).toHaveLength(3);
  });

  test("whose client reads nothing loses packets, which are counted", async () => {
    const request = { filter: "", points: ["rx", "prerouting", "forward", "tx"], ports: [], snapLength: 2048 };
    const messages = client.stream("capture", request, never);
    await messages.next();
    for (let i = 0; i < 300; i++) {
      await send(250);
      await sleep(1);
    }
    let lost = 0;
    for (const end = Date.now() + 3000; lost === 0 && Date.now() < end; ) {
      const { value } = await messages.next();
      lost += value?.lost ?? 0;
    }
    expect(lost).toBeGreaterThan(0);
    await messages.return();
  }, 60_000);
});

/** Stream, request, what it is refused with. */
const REFUSED = [
  ["trace", { filter: "udp and and", packets: 1 }, /syntax error/],
  ["trace", { filter: "", packets: 0 }, /^invalid-request \/packets: found 0; allowed: at least 1$/],
  ["capture", { filter: "tpc", points: ["rx"], ports: [], snapLength: 64 }, /tpc|syntax error/],
  ["capture", { filter: "", points: [], ports: [], snapLength: 64 }, /^invalid-request \/points: found 0;/],
  [
    "capture",
    { filter: "", points: ["stage:markr"], ports: [], snapLength: 64 },
    /^unknown-point stage:markr: no such point \(did you mean "stage:marker"\?\); there are: rx, prerouting, .*stage:marker, stage:trap, tx, drop$/,
  ],
  [
    "capture",
    { filter: "", points: ["rx"], ports: ["int"], snapLength: 64 },
    /^unknown-port int: no such port \(did you mean "in"\?\); there are: in, out$/,
  ],
] as const;

test.each(REFUSED)("%s %j is refused", async (name, request, message) => {
  const messages = client.stream(name, structuredClone(request) as never, never);
  await expect(messages.next()).rejects.toThrow(message);
});

test("drops have a meaning and the last packet", async () => {
  await send(2, NOWHERE);
  const { drops } = await client.call("drops", {}, 5000);
  const drop = drops.find(({ reason }) => reason === "no-route");
  expect(drop).toMatchObject({ stage: "", meaning: "No route to the destination", last: { inPort: "in", worker: 0 } });
  expect(drop?.last?.packetHex.slice(32, 40)).toBe("cb007101");
});

test("flows can be asked for by address, port and protocol, page by page", async () => {
  await send(5, THERE, 700); // no source port is that low
  const query = { max: 2, address: THERE, port: 700, protocol: 17 };
  const { flows: first } = await client.call("flows", query, 5000);
  const after = first.at(-1)?.number ?? 0;
  const { flows: second } = await client.call("flows", { ...query, after }, 5000);
  expect([...first, ...second].map(({ original }) => original.destinationPort)).toEqual([700, 700, 700, 700]);
  expect(new Set([...first, ...second].map(({ number }) => number)).size).toBe(4);
  expect((await client.call("flows", { ...query, port: 701 }, 5000)).flows).toEqual([]);
});

test("a profile of a plugin without packets has no samples in it", async () => {
  const profile = await client.call("profile", { plugin: "marker", durationMs: 200, hertz: 100 }, 5000);
  expect(profile).toMatchObject({ inPlugin: 0, places: [] });
});

// Last: the stage stays failed.
test("a trap is placed in its source, with the packet", async () => {
  await send(1, THERE, 667);
  const { native: figures } = await client.call("status", {}, 5000);
  const trap = figures.stages.find(({ name }) => name === "trap")?.lastTrap;
  const line =
    1 +
    readFileSync(`${ROOT}${TRAPPING}`, "utf8")
      .split("\n")
      .findIndex((text) => text.includes("u8At"));
  const source = trap?.frames.find((frame) => frame.source !== null)?.source;
  expect(source?.near ?? source).toMatchObject({ file: "assembly/index.ts", line });
  expect(trap).toMatchObject({ hook: "forward", worker: 0, packetHex: expect.stringMatching(/^45.*029b/) });
});
