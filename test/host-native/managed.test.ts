import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataplaneClient } from "../../host/src/dataplane/client.js";
import type { StatusResponse } from "../../host/src/dataplane/protocol.js";
import { type StartSettings, startedFile, startFile, writeSettings } from "../../host/src/dataplane/start-file.js";
import { Bench, ROOT } from "./support.js";

// The dataplane that an agent manages: `sluice dataplane`.

const SETTINGS: StartSettings = {
  name: "managed",
  workers: 1,
  busyPoll: false,
  memory: { size: 128, hugepages: "never" },
  logLevel: "info",
  maxFlows: 4096,
};

let bench: Bench;
let child: ChildProcess;
let client: DataplaneClient;
let log: string;

beforeEach(() => {
  bench = new Bench();
  log = "";
  const options = ["--node", "managed", "--socket", bench.socket, "--state-dir", bench.folder];
  child = spawn(process.execPath, [join(ROOT, "host/bin/sluice.js"), "dataplane", ...options]);
  child.stderr?.on("data", (data: Buffer) => {
    log += data.toString();
  });
  client = new DataplaneClient(bench.socket);
});
afterEach(async () => {
  client.close();
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await bench.end();
  for (const file of ["sluice-managed.flows", "sluice-managed.flows.slots"])
    rmSync(join("/dev/shm", file), { force: true });
});

async function status(fits: (status: StatusResponse) => boolean = () => true): Promise<StatusResponse> {
  for (const end = Date.now() + 40_000; Date.now() < end; await sleep(50)) {
    const found = await client.call("status", {}, 5000).catch(() => undefined);
    if (found !== undefined && fits(found)) return found;
  }
  throw new Error(`the dataplane is not as expected; its log:\n${log}`);
}

const port = { name: "p", kind: "inject", addresses: ["10.0.0.1/24"] };
const withPort = JSON.stringify({ ports: { set: [port] }, routes: {}, neighbours: {}, plugins: {} });

test("waits for its settings, starts again when they change, and keeps its state", async () => {
  await sleep(300);
  expect(existsSync(bench.socket)).toBe(false);
  await writeSettings(startFile(bench.folder), SETTINGS);
  const first = await status();
  expect(first.native.flows.max).toBe(4096);
  await client.call("update", { base: first.revision, differenceJson: withPort, modules: [] }, 20_000);

  await writeSettings(startFile(bench.folder), { ...SETTINGS, workers: 2, maxFlows: 8192 });
  const second = await status(({ native }) => native.workers.length === 2);
  expect(second).toMatchObject({ pid: first.pid, native: { flows: { max: 8192 }, ports: [{ name: "p" }] } });
  expect(JSON.parse(readFileSync(startedFile(bench.folder), "utf8"))).toMatchObject({ workers: 2 });
  const stale = client.call("update", { base: first.revision, differenceJson: withPort, modules: [] }, 20_000);
  await expect(stale).rejects.toThrow("stale-base");

  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code).toBe(0);
});

test("ends with a signal that comes while it starts again", async () => {
  await writeSettings(startFile(bench.folder), SETTINGS);
  await status();
  await writeSettings(startFile(bench.folder), { ...SETTINGS, workers: 2 });
  // Its end begins with the socket's.
  await expect.poll(() => existsSync(bench.socket), { timeout: 20_000, interval: 2 }).toBe(false);
  child.kill("SIGTERM");
  const ended = await Promise.race([once(child, "exit"), sleep(20_000)]);
  expect(ended).toEqual([0, null]);
});

test("goes on with the last good settings when it can't start with new ones, and says so", async () => {
  await writeSettings(startFile(bench.folder), SETTINGS);
  const first = await status();
  writeFileSync(startFile(bench.folder), "{ no JSON");
  await expect.poll(() => log, { timeout: 20_000 }).toContain("invalid-start-file");
  expect((await status()).revision).toBe(first.revision);
  // No machine has this much.
  await writeSettings(startFile(bench.folder), { ...SETTINGS, memory: { size: 1 << 20, hugepages: "require" } });
  await expect.poll(() => log, { timeout: 40_000 }).toMatch(/error: \S*(memory|hugepages)/);
  const second = await status(({ revision }) => revision !== first.revision);
  expect(second).toMatchObject({ pid: first.pid, native: { memoryMb: 128 } });
});
