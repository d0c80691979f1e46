import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Carrier, NodeTunnel } from "../../src/cli/cluster/tunnel.js";
import { DataplaneClient } from "../../src/dataplane/client.js";
import { serveDataplane } from "../../src/dataplane/server.js";
import type { Exit } from "../../src/kube/exec.js";
import { refusing } from "../helpers.js";

// The way to a node, with `sluice relay` as the process that a node's container would run.

const SLUICE = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));
/** Processes are started, on machines that have other work. */
const TIMEOUT_MS = 120_000;

let folder: string;
const ends: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tunnel-test-"));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(folder, { recursive: true, force: true });
});

let started = 0;
function relay(socket: string): Promise<Carrier> {
  started++;
  const child = spawn(process.execPath, [SLUICE, "relay", "--socket", socket, "-o", "json"]);
  let stderr = "";
  child.stderr.on("data", (piece) => {
    stderr += String(piece);
  });
  const exit = new Promise<Exit>((resolve) => {
    child.once("close", (code) => resolve({ code: code ?? undefined, message: `exit code ${code}` }));
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  stream.once("close", () => child.stdin.end());
  return Promise.resolve(
    Object.defineProperties(stream, { exit: { value: exit }, stderr: { get: () => stderr } }) as Carrier,
  );
}

async function tunnelTo(socket: string): Promise<{ tunnel: NodeTunnel; client: DataplaneClient }> {
  started = 0;
  const tunnel = await NodeTunnel.open("node-a", () => relay(socket));
  const client = new DataplaneClient(tunnel.socket, "node node-a");
  ends.push(
    () => tunnel.close(),
    () => client.close(),
  );
  return { tunnel, client };
}

describe("a tunnel to a node", () => {
  test(
    "carries calls, one after the other over one process, and leaves nothing behind",
    async () => {
      const socket = join(folder, "s.sock");
      const drops = () => Promise.resolve({ drops: [] });
      const server = await serveDataplane(
        socket,
        refusing(new Error("not asked for"), { drops }),
        pino({ level: "silent" }),
      );
      ends.push(() => server.close());
      const { tunnel, client } = await tunnelTo(socket);
      expect(await client.call("drops", {}, TIMEOUT_MS)).toEqual({ drops: [] });
      expect(await client.call("drops", {}, TIMEOUT_MS)).toEqual({ drops: [] });
      expect(started).toBe(1);
      await tunnel.close();
      expect(existsSync(dirname(tunnel.socket))).toBe(false);
    },
    TIMEOUT_MS,
  );

  test(
    "says what the other end said when there is no dataplane, with the node's name",
    async () => {
      const { tunnel, client } = await tunnelTo(join(folder, "nobody.sock"));
      const error = await client.call("drops", {}, TIMEOUT_MS).catch((thrown: unknown) => thrown);
      expect(String(tunnel.explained(error))).toMatch(/not-running node-a .*nobody.sock: no dataplane answers there/);
    },
    TIMEOUT_MS,
  );

  test("says why its process can't be started", async () => {
    const tunnel = await NodeTunnel.open("node-a", () => Promise.reject(new Error("no such container")));
    const client = new DataplaneClient(tunnel.socket, "node node-a");
    ends.push(
      () => tunnel.close(),
      () => client.close(),
    );
    const error = await client.call("drops", {}, TIMEOUT_MS).catch((thrown: unknown) => thrown);
    expect(String(tunnel.explained(error))).toContain("node-unreachable node-a: no such container");
  });
});
