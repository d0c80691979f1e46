import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataplaneSync } from "../../host/src/agent/dataplane-sync.js";
import { loadNodeFile, parseNodeSpec } from "../../host/src/config/load.js";
import type { NodeSpec } from "../../host/src/config/schema.js";
import { DataplaneClient } from "../../host/src/dataplane/client.js";
import { Bench } from "./support.js";

// What an agent sends to a dataplane process.

const COMPARE_MS = 100;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.end());

test("a dataplane that is as it was made is left alone, and one that is not is sent everything", async () => {
  const file = bench.node("ports:\n  - {name: a, kind: inject, addresses: [10.0.0.1/24]}\n");
  await bench.run("-f", file);
  const spec: NodeSpec = parseNodeSpec((await loadNodeFile(file)).node);
  const client = new DataplaneClient(bench.socket);
  const sync = new DataplaneSync({
    client,
    log: pino({ level: "silent" }),
    desired: async () => spec,
    module: () => new Uint8Array(),
    leaveOut: () => false,
    leaveOutPlugin: () => false,
    isWatchful: () => false,
    changed: () => undefined,
    compareMs: COMPARE_MS,
  });
  const status = () => client.call("status", {}, 5000);
  try {
    await sync.flush();
    const { revision } = await status();
    await sleep(5 * COMPARE_MS);
    expect((await status()).revision).toBe(revision);

    // As if the dataplane had missed it.
    spec.ports[0]?.addresses.push("10.0.1.1/24");
    for (const end = Date.now() + 10_000; (await status()).revision === revision; await sleep(20)) {
      if (Date.now() > end) throw new Error("nothing was sent");
    }
    expect((await client.call("digest", {}, 5000)).revision).not.toBe(revision);
    expect(sync.failures).toBe(0);
  } finally {
    await sync.close();
    client.close();
  }
});
