import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { ownName } from "../support/leftovers.js";
import { type MachineState, machineDifferences, machineState } from "../support/machine.js";
import { connect, Namespace, namespaces } from "../support/namespace.js";
import { CommandError, must } from "../support/process.js";
import { httpDistribution, httpServer, iperf, PingFlow, ping, pingResult } from "../support/traffic.js";

// The instruments themselves, on the kernel's own networking: what they report must be true before they judge a dataplane.
describe("namespaces joined by a veth pair", () => {
  let cleanup: Cleanup;
  let left: Namespace;
  let right: Namespace;
  let before: MachineState;

  beforeEach(async () => {
    before = await machineState();
    cleanup = new Cleanup();
    left = await Namespace.create(cleanup, ownName("left"));
    right = await Namespace.create(cleanup, ownName("right"));
    await connect(left, "v0", right, "v0");
    await left.ip("addr", "add", "192.0.2.1/24", "dev", "v0");
    await right.ip("addr", "add", "192.0.2.2/24", "dev", "v0");
  });

  afterEach(async () => {
    await cleanup.close();
    const own = machineDifferences(before, await machineState()).filter((line) => line.includes(ownName("")));
    expect(own).toEqual([]);
  });

  test("ping counts what came back and what did not", async () => {
    expect(await ping(left, "192.0.2.2", { count: 20, interval: 0.001 })).toMatchObject({
      sent: 20,
      received: 20,
      lost: 0,
    });
    expect(await ping(left, "192.0.2.9", { count: 2, wait: 0.2 })).toMatchObject({ sent: 2, received: 0, lost: 2 });
  });

  test("a ping that is stopped counts what was lost, and not what was under way", async () => {
    const pings = new PingFlow(cleanup, left, "192.0.2.2", { interval: 0.001 });
    await sleep(500);
    await right.ip("addr", "del", "192.0.2.2/24", "dev", "v0");
    await sleep(100);
    await right.ip("addr", "add", "192.0.2.2/24", "dev", "v0");
    await sleep(300);
    const result = await pings.stop();
    expect(result.sent).toBeGreaterThan(50);
    expect(result.lost).toBeGreaterThan(5);
    expect(result.lost).toBeLessThan(result.sent);

    await left.ip("neigh", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "v0");
    const blackout = new PingFlow(cleanup, left, "192.0.2.9", { interval: 0.01 });
    await sleep(3_000);
    expect((await blackout.stop()).lost).toBeGreaterThan(20);
  });

  test("iperf3 and HTTP servers are ready when they are handed over", async () => {
    expect((await iperf(cleanup, left, right, "192.0.2.2", { seconds: 1 })).gigabitsPerSecond).toBeGreaterThan(0.1);
    await httpServer(cleanup, right, "right");
    expect(await httpDistribution(left, "http://192.0.2.2:8080/", 3)).toEqual(new Map([["right", 3]]));
    expect(await httpDistribution(left, "http://192.0.2.2:8081/", 1)).toEqual(new Map([["none", 1]]));
  });

  test("a namespace goes with the programs that run in it", async () => {
    const sleeper = left.start(cleanup, ["sleep", "1000"]);
    await cleanup.close();
    expect(sleeper.running).toBe(false);
    expect(namespaces().filter((name) => name === left.name || name === right.name)).toEqual([]);
  });

  test("a machine that is not as it was is told by kind", async () => {
    const extra = ownName("extra");
    await must(["ip", "netns", "add", extra]);
    try {
      expect(machineDifferences(before, await machineState())).toContain(`namespaces: left behind: ${extra}`);
    } finally {
      await must(["ip", "netns", "del", extra]);
    }
  });
});

test("a command that fails says what it was and what it printed", async () => {
  await expect(must(["sh", "-c", "echo why >&2; exit 3"])).rejects.toThrow(CommandError);
  await expect(must(["sh", "-c", "echo why >&2; exit 3"])).rejects.toThrow(/ended with 3:\nwhy/);
});

test("a command that hangs is killed", async () => {
  await expect(must(["sleep", "10"], { timeoutMs: 100 })).rejects.toThrow(/SIGKILL/);
});

test("clean-up runs backwards, runs once and reports every step that failed", async () => {
  const order: string[] = [];
  const cleanup = new Cleanup();
  cleanup.defer("first", () => void order.push("first"));
  cleanup.defer("bad", () => Promise.reject(new Error("no")));
  cleanup.defer("last", () => void order.push("last"));
  await expect(cleanup.close()).rejects.toThrow("clean-up of bad failed: no");
  expect(order).toEqual(["last", "first"]);
});

test("ping without a summary is an error, not a result", () => {
  expect(() => pingResult({ status: 2, stdout: "", stderr: "ping: bad" })).toThrow(/ping: bad/);
});
