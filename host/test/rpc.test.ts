import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DataplaneClient } from "../src/dataplane/client.js";
import {
  CALL_NAMES,
  type CallName,
  type Calls,
  methodOf,
  STREAM_NAMES,
  type StreamName,
  type Streams,
} from "../src/dataplane/protocol.js";
import { serveDataplane } from "../src/dataplane/server.js";
import { SluiceError } from "../src/errors.js";
import { probeSocket } from "../src/grpc/probe-socket.js";
import { digest, FULL_STATUS, refusing } from "./helpers.js";

let folder: string;
let socket: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rpc-test-"));
  socket = join(folder, "s.sock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: "silent" });

async function errorOfCall(thrown: unknown): Promise<unknown> {
  const server = await serveDataplane(socket, refusing(thrown), log);
  const client = new DataplaneClient(socket);
  try {
    return await client.call("status", {}, 5000).catch((error: unknown) => error);
  } finally {
    client.close();
    await server.close();
  }
}

type Messages = { [Name in CallName]: { request: Calls[Name][0]; response: Calls[Name][1] } } & {
  [Name in StreamName]: { request: Streams[Name][0]; response: Streams[Name][1] };
};

const PACKET = { packetHex: "45", length: 1500, summary: "IPv4 10.0.0.1 > 10.0.0.2 protocol 6, 1500 bytes" };

/** One of each message with something in every field: types and proto file can't drift apart unseen. */
const MESSAGES: Messages = {
  apply: {
    request: { specJson: "{}", modules: [{ digest: digest("a"), wasm: Buffer.from([0, 1, 255]) }] },
    response: { generation: 3, plugins: [{ name: "p", action: "swapped", flowState: "migrated" }], revision: "x.3" },
  },
  update: {
    request: {
      base: "x.3",
      differenceJson: "{}",
      modules: [{ digest: digest("a"), wasm: Buffer.from([0, 1, 255]) }],
    },
    response: { generation: 4, plugins: [], revision: "x.4" },
  },
  shadow: {
    request: {
      pluginsJson: ["{}", '{"name":"b"}'],
      modules: [{ digest: digest("a"), wasm: Buffer.from("a") }],
      limits: { packets: 1000, maxDifferences: 2, timeoutMs: 5000 },
    },
    response: {
      shadows: [{ plugin: "a", passed: false, packets: 9, differences: 2, failures: 1, first: "trap" }],
    },
  },
  digest: { request: {}, response: { revision: "x.3", digest: digest("a") } },
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
      revision: "x.5",
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
  status: {
    request: {},
    response: { name: "n", pid: 7, version: "0.1.0", native: FULL_STATUS, observers: 2, revision: "x.1" },
  },
  drops: {
    request: {},
    response: {
      drops: [
        { reason: "no-route", meaning: "No route", stage: "", packets: 2 ** 40, last: null },
        {
          reason: "policy",
          meaning: "",
          stage: "policy",
          packets: 1,
          last: { at: 1_700_000_000_123.5, worker: 1, inPort: "pod-1", ...PACKET },
        },
      ],
    },
  },
  flows: {
    request: { max: 100, after: 2 ** 33, address: "10.0.0.1", port: 80, protocol: 6 },
    response: {
      flows: [
        {
          number: 17,
          protocol: 6,
          original: { source: "10.0.0.1", sourcePort: 4000, destination: "10.96.0.10", destinationPort: 80 },
          reply: { source: "10.0.0.7", sourcePort: 8080, destination: "10.0.0.1", destinationPort: 4000 },
          state: "established",
          idleMs: 1.5,
          expiresInMs: 432_000_000,
          slots: { nat: "0a000007" },
        },
      ],
    },
  },
  profile: {
    request: { plugin: "nat", durationMs: 5000, hertz: 997 },
    response: {
      samples: 5000,
      inPlugin: 1000,
      digest: digest("a"),
      places: [
        {
          function: "nat/translate",
          offset: 77,
          samples: 999,
          source: { file: "assembly/translate.ts", line: 30, column: 3, function: "translate", near: null },
        },
        { function: "?", offset: -1, samples: 1, source: null },
      ],
    },
  },
  trace: {
    request: { filter: "icmp", packets: 10 },
    response: {
      packets: [
        {
          number: 1,
          worker: 0,
          at: 1_700_000_000_123.25,
          ...PACKET,
          steps: [
            { kind: "rx", afterNs: 0, detail: "port pod-1", rewrites: [], values: [] },
            {
              kind: "stage",
              afterNs: 1234,
              detail: "",
              stage: "nat",
              hook: "prerouting",
              verdict: "pass",
              rewrites: [{ offset: 16, before: "0a60000a", after: "0a000007" }],
              values: [{ name: "backend", value: -3 }],
              cycles: 31.5,
            },
            { kind: "drop", afterNs: 2000, detail: "", reason: "policy", rewrites: [], values: [] },
          ],
        },
      ],
      left: 9,
      inWork: 1,
      lost: 3,
    },
  },
  capture: {
    request: { filter: "", points: ["rx", "stage:nat"], ports: ["pod-1"], snapLength: 128 },
    response: {
      packets: [
        {
          seconds: 1_700_000_000,
          nanoseconds: 999_999_999,
          point: "drop",
          port: "pod-1",
          length: 9000,
          bytes: Buffer.from([0, 1, 255]),
          reason: "policy",
          stage: "egress-policy",
        },
        { seconds: 1, nanoseconds: 0, point: "rx", port: "pod-1", length: 60, bytes: Buffer.alloc(60) },
      ],
      lost: 12,
    },
  },
};

describe("messages come through whole", () => {
  test.each([...CALL_NAMES, ...STREAM_NAMES])("%s", (name) => {
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

test("a call's serializers are made once: the proto file takes milliseconds", () => {
  expect(methodOf("status")).toBe(methodOf("status"));
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
    const server = await serveDataplane(socket, refusing(new Error()), log);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    await server.close();
    expect(existsSync(socket)).toBe(false);
  });

  test("belongs to one process: a second one is refused, and the first goes on", async () => {
    const server = await serveDataplane(socket, refusing(new Error()), log);
    await expect(serveDataplane(socket, refusing(new Error()), log)).rejects.toThrow(
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
    const server = await serveDataplane(socket, refusing(new Error()), log);
    expect(await probeSocket(socket)).toBe("alive");
    await server.close();
  });

  test("with too long a path is refused with the limit", async () => {
    const long = join(folder, "x".repeat(120));
    await expect(serveDataplane(long, refusing(new Error()), log)).rejects.toThrow(
      /^socket-unusable .*up to 107 bytes/,
    );
  });

  test("whose process has ended since the call before says that nobody answers", async () => {
    const server = await serveDataplane(socket, refusing(SluiceError.of("refused", "", "as asked")), log);
    const client = new DataplaneClient(socket);
    await expect(client.call("status", {}, 5000)).rejects.toThrow("refused");
    await server.close();
    await expect(client.call("status", {}, 5000)).rejects.toThrow(/^(not-running|connection-lost) /);
    await expect(client.call("status", {}, 5000)).rejects.toThrow("not-running");
    client.close();
  });

  test("where nobody listens gives one clear error", async () => {
    const client = new DataplaneClient(socket);
    await expect(client.call("status", {}, 1000)).rejects.toThrow(`not-running ${socket}: no dataplane answers there`);
    client.close();
  });
});
