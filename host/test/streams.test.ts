import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TraceRead } from "@sluice/native";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DataplaneClient } from "../src/dataplane/client.js";
import type { CaptureResponse } from "../src/dataplane/protocol.js";
import { type Handlers, type Sink, serveDataplane } from "../src/dataplane/server.js";
import { SluiceError } from "../src/errors.js";
import type { UnixServer } from "../src/grpc/unix-server.js";
import { refusing } from "./helpers.js";

// The streams' transport alone, on a real socket: what it promises to who writes and to who reads.

let folder: string;
let server: UnixServer;
let client: DataplaneClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "streams-test-"));
});
afterEach(async () => {
  client.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(handlers: Partial<Handlers>): Promise<void> {
  const socket = join(folder, "s.sock");
  server = await serveDataplane(socket, refusing(new Error("not asked for"), handlers), pino({ level: "silent" }));
  client = new DataplaneClient(socket);
}

const REQUEST = { filter: "", packets: 1 };
const read = (left: number): TraceRead => ({ packets: [], left, inWork: 0, lost: 0 });

/** Writes messages until the call has ended; resolves then. */
function endless(): { trace: Handlers["trace"]; ended: Promise<void> } {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const trace = async (_request: unknown, sink: Sink<TraceRead>) => {
    for (let left = 1; !sink.ended.aborted; left++) {
      await sink.write(read(left));
      await sleep(1);
    }
    end();
  };
  return { trace, ended };
}

const never = new AbortController().signal;

describe("a stream's reader", () => {
  test("gets the messages in order, then the end", async () => {
    await serve({
      trace: async (_request, sink) => {
        for (const left of [3, 2, 1]) await sink.write(read(left));
      },
    });
    const seen: number[] = [];
    for await (const { left } of client.stream("trace", REQUEST, never)) seen.push(left);
    expect(seen).toEqual([3, 2, 1]);
  });

  test("gets the writer's error as it was, after the messages before it", async () => {
    await serve({
      trace: async (_request, sink) => {
        await sink.write(read(1));
        throw SluiceError.of("stopped", "", "the dataplane is stopping");
      },
    });
    const messages = client.stream("trace", REQUEST, never);
    expect((await messages.next()).value).toEqual(read(1));
    await expect(messages.next()).rejects.toThrow(/^stopped: the dataplane is stopping$/);
  });

  test("gets an error before any message", async () => {
    await serve({ trace: () => Promise.reject(SluiceError.of("bad-filter", "tpc", "syntax error")) });
    await expect(client.stream("trace", REQUEST, never).next()).rejects.toThrow(/^bad-filter tpc: syntax error$/);
  });

  test("is told when the server is gone", async () => {
    const { trace } = endless();
    await serve({ trace });
    const messages = client.stream("trace", REQUEST, never);
    await messages.next();
    const rest = (async () => {
      for await (const _ of messages);
    })();
    void server.close();
    await expect(rest).rejects.toThrow(/^connection-lost .*: the dataplane has ended; its log says why$/);
  });
});

describe("a stream's writer is told that the call has ended", () => {
  test("when the reader's signal is aborted, which is no error to the reader", async () => {
    const { trace, ended } = endless();
    await serve({ trace });
    const interrupt = new AbortController();
    const seen: number[] = [];
    for await (const { left } of client.stream("trace", REQUEST, interrupt.signal)) {
      seen.push(left);
      if (left === 3) interrupt.abort();
    }
    expect(seen.slice(0, 3)).toEqual([1, 2, 3]);
    await ended;
  });

  test("when the reader takes no more", async () => {
    const { trace, ended } = endless();
    await serve({ trace });
    for await (const _ of client.stream("trace", REQUEST, never)) break;
    await ended;
  });

  test("when the reader's connection breaks off", async () => {
    const { trace, ended } = endless();
    await serve({ trace });
    const messages = client.stream("trace", REQUEST, never);
    await messages.next();
    client.close();
    await messages.return();
    await ended;
  });
});

test("a reader that takes nothing stops the writer within some megabytes, and delays no other reader", async () => {
  const bytes = new Uint8Array(1024 * 1024);
  let written = 0;
  const packet = { seconds: 0, nanoseconds: 0, point: "rx", port: "a", length: bytes.length, bytes };
  await serve({
    capture: async (_request, sink: Sink<CaptureResponse>) => {
      for (; !sink.ended.aborted; written++) await sink.write({ packets: [packet], lost: 0 });
    },
    trace: async (_request, sink) => sink.write(read(1)),
  });
  const request = { filter: "", points: ["rx"], ports: [], snapLength: 128 };
  const stuck = client.stream("capture", request, never);
  await stuck.next();
  for (let before = 0; written !== before && written < 100; await sleep(400)) before = written;
  expect(written).toBeLessThan(40);

  const other = new DataplaneClient(client.socket);
  expect((await other.stream("trace", REQUEST, never).next()).value).toEqual(read(1));
  other.close();
  await stuck.return();
});
