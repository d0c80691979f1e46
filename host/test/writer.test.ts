import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { eventually } from "../../test/support/process.js";
import { Fence } from "../src/reflector/fence.js";
import { EtcdWriter } from "../src/reflector/writer.js";
import { EtcdStore } from "../src/store/etcd-store.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WAIT_MS = 20_000;
const PREFIX = "/sluice/v1/test/";
const log = pino({ level: "silent" });
const key = (name: string | number) => `${PREFIX}${name}`;

let etcd: EtcdServer;
let store: EtcdStore;
let end: AbortController;
beforeAll(async () => {
  etcd = await EtcdServer.start();
});
afterAll(() => etcd.stop());
beforeEach(async () => {
  await etcd.empty();
  await etcd.start();
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  end = new AbortController();
});
afterEach(async () => {
  end.abort();
  await store.close();
});

const refused: string[] = [];
async function writer(): Promise<{ writer: EtcdWriter; fence: Fence; ended: Promise<boolean> }> {
  const fence = await Fence.raise(store, "test");
  refused.length = 0;
  const made = new EtcdWriter({ store, fence: fence.condition, log, onRefused: (of) => refused.push(of) });
  await made.load(PREFIX);
  return { writer: made, fence, ended: made.run(end.signal) };
}

async function held(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { entries } of store.list(PREFIX))
    for (const { key, value } of entries) found[key.slice(PREFIX.length)] = value;
  return found;
}

describe("what is set is in etcd", () => {
  test("the newest value of a key, and nothing of what is deleted", async () => {
    const { writer: one } = await writer();
    for (const value of ["1", "2", "3"]) void one.set(key("a"), value);
    void one.set(key("b"), "1");
    void one.set(key("b"), undefined);
    await one.flushed();
    expect(await held()).toEqual({ a: "3" });
  });

  test("what a key holds already is not written again, also by the next writer", async () => {
    const { writer: one } = await writer();
    for (let i = 0; i < 300; i++) void one.set(key(i), "v");
    await one.flushed();
    expect(one.writes).toBe(300);
    for (let i = 0; i < 300; i++) void one.set(key(i), "v");
    void one.set(key("not there"), undefined);
    await one.flushed();
    expect(one.writes).toBe(300);
    const { writer: next } = await writer();
    for (let i = 0; i < 300; i++) void next.set(key(i), i === 7 ? "other" : "v");
    await next.flushed();
    expect(next.writes).toBe(1);
    expect([...next.keys(PREFIX)]).toHaveLength(300);
  });

  test("after etcd was killed and came back", async () => {
    const { writer: one } = await writer();
    void one.set(key("before"), "1");
    await one.flushed();
    await etcd.kill();
    void one.set(key("while away"), "1");
    void one.set(key("before"), undefined);
    await etcd.start();
    await one.flushed();
    expect(await held()).toEqual({ "while away": "1" });
  });

  test("large values go in several transactions; one that etcd does not take keeps no other from it", async () => {
    const { writer: one } = await writer();
    for (let i = 0; i < 10; i++) void one.set(key(i), String(i).repeat(200_000));
    void one.set(key("too large"), "x".repeat(2_000_000));
    void one.set(key("after"), "1");
    await one.flushed();
    expect(refused).toEqual([key("too large")]);
    expect(Object.keys(await held())).toHaveLength(11);
  });

  test("more than may wait: whoever sets it waits", async () => {
    const { writer: one } = await writer();
    await etcd.kill();
    let waits: Promise<void> | undefined;
    for (let i = 0; waits === undefined && i < 10_000; i++) waits = one.set(key(i), "v") ?? undefined;
    expect(waits).toBeInstanceOf(Promise);
    expect(one.pending).toBeLessThan(5000);
    await etcd.start();
    await waits;
  });
});

describe("another one that raises its fence", () => {
  test("ends the writer, which writes nothing more", async () => {
    const old = await writer();
    await Fence.raise(store, "other");
    void old.writer.set(key("a"), "old");
    expect(await old.ended).toBe(false);
    await old.writer.set(key("b"), "old");
    await old.writer.flushed();
    expect(await held()).toEqual({});
  });

  test("is noticed by one that writes nothing", async () => {
    const { fence } = await writer();
    const lost = fence.lost(end.signal, log);
    await Fence.raise(store, "other");
    await lost;
    expect(end.signal.aborted).toBe(false);
  });

  test("so is an etcd that was emptied", async () => {
    const { fence } = await writer();
    let lost = false;
    void fence.lost(end.signal, log).then(() => {
      lost = true;
    });
    await etcd.empty();
    await etcd.start();
    await eventually("the loss", WAIT_MS, () => (lost ? true : undefined));
  });
});
