import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { messageOf } from "../errors.js";
import type { ServerAnswer } from "./server.js";

/** One call that a pod or a node makes. */
export const probeSchema = z.object({
  id: z.string(),
  /** tcp: an HTTP request; udp: a datagram and its answer; open: a connection to anybody's port; url: a request to anybody. */
  kind: z.enum(["tcp", "udp", "open", "url"]),
  /** An address or a name; of url the URL. */
  host: z.string(),
  port: z.int().min(0).max(65535),
  /** Of tcp: fetched besides, all of which must come. */
  bytes: z.int().min(0).default(0),
  /** Of each try. */
  timeoutMs: z.int().min(1).default(3000),
  tries: z.int().min(1).default(1),
});
export type Probe = z.output<typeof probeSchema>;

export const probeResultSchema = z.object({
  id: z.string(),
  ok: z.boolean(),
  /** Why it failed. */
  error: z.string().optional(),
  /** Who answered, and as whom it saw the caller. */
  server: z.string().optional(),
  client: z.string().optional(),
  ms: z.number(),
});
export type ProbeResult = z.output<typeof probeResultSchema>;

const RETRY_MS = 200;

/** Makes all of the calls at once. */
export function runProbes(probes: readonly Probe[]): Promise<ProbeResult[]> {
  return Promise.all(probes.map(runProbe));
}

async function runProbe(probe: Probe): Promise<ProbeResult> {
  const begun = performance.now();
  let error = "";
  for (let tried = 0; tried < probe.tries; tried++) {
    if (tried > 0) await pause(RETRY_MS);
    try {
      const answer = await called(probe);
      return { id: probe.id, ok: true, ...answer, ms: performance.now() - begun };
    } catch (failure) {
      error = reasonOf(failure);
    }
  }
  return { id: probe.id, ok: false, error, ms: performance.now() - begun };
}

function called(probe: Probe): Promise<Partial<ServerAnswer>> {
  if (probe.kind === "udp") return callUdp(probe);
  if (probe.kind === "open") return open(probe);
  return probe.kind === "url" ? callUrl(probe) : callHttp(probe);
}

async function callHttp({ host, port, bytes, timeoutMs }: Probe): Promise<ServerAnswer> {
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = (await (await fetch(url, { signal })).json()) as ServerAnswer;
  if (bytes > 0) {
    const body = await (await fetch(`${url}?bytes=${bytes}`, { signal })).arrayBuffer();
    if (body.byteLength !== bytes) throw new Error(`of ${bytes} bytes ${body.byteLength} came`);
  }
  return answer;
}

/** Whatever it answers: it was reached. */
async function callUrl({ host, timeoutMs }: Probe): Promise<Partial<ServerAnswer>> {
  const response = await fetch(host, { signal: AbortSignal.timeout(timeoutMs), redirect: "manual" });
  await response.body?.cancel();
  return {};
}

function callUdp({ host, port, timeoutMs }: Probe): Promise<ServerAnswer> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  return ended<ServerAnswer>(timeoutMs, (resolve, reject) => {
    socket.once("error", reject);
    socket.once("message", (message) => resolve(JSON.parse(message.toString()) as ServerAnswer));
    socket.send("who", port, host);
  }).finally(() => socket.close());
}

function open({ host, port, timeoutMs }: Probe): Promise<Partial<ServerAnswer>> {
  const socket = connect(port, host);
  return ended<Partial<ServerAnswer>>(timeoutMs, (resolve, reject) => {
    socket.once("error", reject).once("connect", () => resolve({}));
  }).finally(() => socket.destroy());
}

function ended<Value>(
  timeoutMs: number,
  work: (resolve: (value: Value) => void, reject: (error: Error) => void) => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), timeoutMs);
    const over = <Argument>(end: (argument: Argument) => void) => {
      return (argument: Argument) => {
        clearTimeout(timer);
        end(argument);
      };
    };
    work(over(resolve), over(reject));
  });
}

/** fetch() says what happened in the cause only. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "no answer";
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}
