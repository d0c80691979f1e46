import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DataplaneClient, probeSocket } from "../src/dataplane/client.js";
import { CALL_NAMES, type CallName, type Calls, methodOf } from "../src/dataplane/protocol.js";
import { DataplaneServer, type Handlers } from "../src/dataplane/server.js";
import { SluiceError } from "../src/errors.js";
import { digest, FULL_STATUS } from "./helpers.js";

let folder: string;
let socket: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rpc-test-"));
  socket = join(folder, "s.sock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: "silent" });

/** The transport alone: every call ends with this error. */
function refusing(error: unknown): Handlers {
  const refuse = () => Promise.reject(error);
  return { apply: refuse, changePlugins: refuse, listPlugins: refuse, status: refuse };
}

async function errorOfCall(thrown: unknown): Promise<unknown> {
  const server = await DataplaneServer.listen(socket, refusing(thrown), log);
  const client = new DataplaneClient(socket);
  try {
    return await client.call("status", {}, 5000).catch((error: unknown) => error);
  } finally {
    client.close();
    await server.close();
  }
}

type Messages = { [Name in CallName]: { request: Calls[Name][0]; response: Calls[Name][1] } };

/** One of each message with something in every field: types and proto file can't drift apart unseen. */
const MESSAGES: Messages = {
  apply: {
    request: { specJson: "{}", modules: [{ digest: digest("a"), wasm: Buffer.from([0, 1, 255]) }] },
    response: { generation: 3, plugins: [{ name: "p", action: "swapped", flowState: "migrated" }] },
  },
  changePlugins: {
    request: {
      changes: [
        { load: { pluginJson: "{}" } },
        { swap: { name: "a", digest: digest("a"), origin: "a.ts", configJson: "{}", resetFlowState: true } },
        { swap: { name: "b", resetFlowState: false } },
        { unload: { name: "c" } },
        { rollback: { name: "d", revision: 2 } },
        { rollback: { name: "e" } },
      ],
      modules: [],
      shadow: { packets: 1000, maxDifferences: 0, timeoutMs: 5000 },
      probation: { durationMs: 5000, maxFailures: 1 },
    },
    response: {
      generation: 4,
      plugins: [],
      shadows: [{ plugin: "a", passed: true, packets: 1000, differences: 0, failures: 0, first: "" }],
    },
  },
  listPlugins: {
    request: {},
    response: {
      plugins: [
        {
          name: "p",
          version: "1.0.0",
          digest: digest("a"),
          origin: "p.ts",
          hooks: ["forward"],
          failure: "Reload",
          budgetUs: 5000,
          scope: ["pod-1"],
          revisions: [
            { number: 1, version: "1.0.0", digest: digest("a"), origin: "p.ts", appliedAt: "2024-01-01T00:00:00.000Z" },
          ],
        },
      ],
    },
  },
  status: { request: {}, response: { name: "n", pid: 7, version: "0.1.0", native: FULL_STATUS } },
};

describe("messages come through whole", () => {
  test.each(CALL_NAMES)("%s", (name) => {
    const method = methodOf(name);
    const { request, response } = MESSAGES[name];
    expect(method.requestDeserialize(method.requestSerialize(request))).toEqual(request);
    expect(method.responseDeserialize(method.responseSerialize(response))).toEqual(response);
  });

  test("without the fields that may be left out", () => {
    const method = methodOf("changePlugins");
    const request = { changes: [{ unload: { name: "c" } }], modules: [] };
    expect(method.requestDeserialize(method.requestSerialize(request))).toEqual(request);
  });
});

describe("a refused call", () => {
  test("carries every problem with code, path and message", async () => {
    const problems = [
      { code: "invalid-config", path: "/ports/0/mac", message: 'found "zz"; allowed: ä MAC address' },
      { code: "b", path: "", message: "second" },
    ];
    const error = await errorOfCall(new SluiceError(problems));
    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ problems });
  });

  test("is told from a defect, which shows no stack", async () => {
    const error = await errorOfCall(new TypeError("x is not a function"));
    expect(error).toMatchObject({
      problems: [{ code: "internal", path: "", message: "x is not a function; see the dataplane's log" }],
    });
  });

  test("with a thousand problems says how many there are", async () => {
    const problems = Array.from({ length: 1000 }, (_, i) => ({ code: "c", path: `/${i}`, message: "m".repeat(100) }));
    const error = await errorOfCall(new SluiceError(problems));
    if (!(error instanceof SluiceError)) throw error;
    const last = error.problems.at(-1);
    expect(last).toMatchObject({
      code: "more",
      message: `${1000 - error.problems.length + 1} more problems; see the dataplane's log`,
    });
  });
});

describe("the socket", () => {
  test("can be opened by its owner only, and is gone after the end", async () => {
    const server = await DataplaneServer.listen(socket, refusing(new Error()), log);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    await server.close();
    expect(existsSync(socket)).toBe(false);
  });

  test("belongs to one process: a second one is refused, and the first goes on", async () => {
    const server = await DataplaneServer.listen(socket, refusing(new Error()), log);
    await expect(DataplaneServer.listen(socket, refusing(new Error()), log)).rejects.toThrow(
      `already-running ${socket}: a dataplane of this name answers there; stop it first, or choose another name`,
    );
    expect(await probeSocket(socket)).toBe("alive");
    await server.close();
  });

  test("that a killed process left is taken over", async () => {
    const code = `require("net").createServer().listen(${JSON.stringify(socket)}, () => console.log("up"))`;
    const killed = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    await once(killed.stdout, "data");
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(await probeSocket(socket)).toBe("stale");
    const server = await DataplaneServer.listen(socket, refusing(new Error()), log);
    expect(await probeSocket(socket)).toBe("alive");
    await server.close();
  });

  test("with too long a path is refused with the limit", async () => {
    const long = join(folder, "x".repeat(120));
    await expect(DataplaneServer.listen(long, refusing(new Error()), log)).rejects.toThrow(
      /^socket-unusable .*up to 107 bytes/,
    );
  });

  test("where nobody listens gives one clear error", async () => {
    const client = new DataplaneClient(socket);
    await expect(client.call("status", {}, 1000)).rejects.toThrow(`not-running ${socket}: no dataplane answers there`);
    client.close();
  });
});
