import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Client,
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DataplaneClient } from "../src/dataplane/client.js";
import { serveDataplane } from "../src/dataplane/server.js";
import { SluiceError } from "../src/errors.js";
import { refusing } from "./helpers.js";

// What comes in by the socket and is no call of a client of this version. The server goes on serving those that are.

let folder: string;
let socket: string;
let server: Awaited<ReturnType<typeof serveDataplane>>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "socket-test-"));
  socket = join(folder, "s.sock");
  const answer = refusing(SluiceError.of("served", "", "as always"));
  server = await serveDataplane(socket, answer, pino({ level: "silent" }));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function expectServed(): Promise<void> {
  const client = new DataplaneClient(socket);
  await expect(client.call("status", {}, 10_000)).rejects.toThrow("served: as always");
  client.close();
}

/** Sends bytes; resolves when the server has ended the connection, or has not for a while. */
function throwAt(bytes: Uint8Array, patienceMs: number): Promise<"ended" | "open"> {
  return new Promise((resolve) => {
    const connection: Socket = connect(socket, () => connection.write(bytes));
    const settle = (how: "ended" | "open") => {
      clearTimeout(patience);
      connection.destroy();
      resolve(how);
    };
    const patience = setTimeout(() => settle("open"), patienceMs);
    connection.on("error", () => settle("ended"));
    connection.on("close", () => settle("ended"));
    connection.resume();
  });
}

/** The same bytes in each run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  });
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); // RFC 9113 section 3.4
/** An HTTP/2 frame (RFC 9113 section 4.1) whose header may lie about its length. */
const frame = (type: number, flags: number, stream: number, body: Uint8Array, length = body.length) =>
  Buffer.concat([
    Buffer.from([length >> 16, length >> 8, length, type, flags]),
    Buffer.from([stream >> 24, stream >> 16, stream >> 8, stream]),
    body,
  ]);
const SETTINGS = frame(4, 0, 0, new Uint8Array());

describe("garbage", () => {
  const rows: [what: string, bytes: Uint8Array][] = [
    ["a word", Buffer.from("hello\n")],
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a megabyte of noise", noise(1 << 20, 1)],
    ["half of HTTP/2's preface", PREFACE.subarray(0, 10)],
    ["noise behind the preface", Buffer.concat([PREFACE, noise(4096, 2)])],
    ["a frame of a type that nobody knows", Buffer.concat([PREFACE, SETTINGS, frame(0xbb, 0, 0, noise(64, 3))])],
    ["a frame longer than allowed", Buffer.concat([PREFACE, SETTINGS, frame(0, 0, 1, noise(64, 4), 0xffffff)])],
    ["headers that are no HPACK", Buffer.concat([PREFACE, SETTINGS, frame(1, 4, 1, noise(200, 5))])],
    ["data of a stream that is not open", Buffer.concat([PREFACE, SETTINGS, frame(0, 1, 7, noise(64, 6))])],
    ["a thousand resets", Buffer.concat([PREFACE, SETTINGS, ...Array(1000).fill(frame(3, 0, 1, new Uint8Array(4)))])],
  ];

  test.each(rows)("%s", async (_what, bytes) => {
    await throwAt(bytes, 300);
    await expectServed();
  });

  test("a hundred connections that say nothing", async () => {
    const silent = Array.from({ length: 100 }, () => connect(socket));
    await expectServed();
    for (const connection of silent) connection.destroy();
  });
});

/** A call of bytes to a path. @returns the error that came */
function callRaw(path: string, bytes: Uint8Array): Promise<ServiceError> {
  const Plain = makeGenericClientConstructor({}, "plain");
  const client: Client = new Plain(`unix:${socket}`, credentials.createInsecure());
  const same = (value: Buffer) => value;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error) => {
      client.close();
      if (error) resolve(error);
      else reject(new Error("it was answered"));
    });
  });
}

describe("a client", () => {
  test("of another version of the protocol is told so", async () => {
    const error = await callRaw("/sluice.v2.Dataplane/Status", new Uint8Array());
    expect(error.code).toBe(status.UNIMPLEMENTED);
    await expectServed();
  });

  test("is told when the dataplane is of another version", async () => {
    const path = join(folder, "other.sock");
    const other = new Server();
    await new Promise<void>((resolve, reject) => {
      const bound = (error: Error | null) => (error ? reject(error) : resolve());
      other.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), bound);
    });
    const of = new DataplaneClient(path);
    await expect(of.call("status", {}, 10_000)).rejects.toThrow(/^wrong-version .*another version of the protocol/);
    of.close();
    other.forceShutdown();
  });

  test("whose message is no protobuf is refused", async () => {
    const error = await callRaw("/sluice.v1.Dataplane/Apply", noise(300, 7));
    expect(error.code).not.toBe(status.OK);
    await expectServed();
  });
});
