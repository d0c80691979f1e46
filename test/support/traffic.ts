import type { Cleanup } from "./cleanup.js";
import type { Namespace } from "./namespace.js";
import { type Background, eventually, type Output } from "./process.js";

export interface PingOptions {
  count?: number;
  /** Seconds between packets. */
  interval?: number;
  /** ICMP payload in bytes. */
  size?: number;
  /** Path MTU discovery: "do" sets DF and never fragments, "dont" never sets it. */
  pmtu?: "do" | "want" | "dont";
  ttl?: number;
  /** Seconds to wait for the last answer. */
  wait?: number;
}

export interface PingResult {
  sent: number;
  received: number;
  lost: number;
  duplicates: number;
  /** Sequence numbers of the first echoes that were lost; known of a PingFlow only. */
  missing?: number[];
  /** Milliseconds; 0 when nothing came back. */
  averageMs: number;
  maximumMs: number;
  /** What ping printed. */
  text: string;
}

const DEFAULT_INTERVAL = 0.05; // seconds

/** Pings `target` from a namespace and waits for the end. Loss is in the result, not an error. */
export async function ping(from: Namespace, target: string, options: PingOptions = {}): Promise<PingResult> {
  const count = options.count ?? 3;
  const interval = options.interval ?? DEFAULT_INTERVAL;
  const argv = [...pingCommand(target, options), "-c", String(count)];
  const output = await from.run(argv, { timeoutMs: count * interval * 1000 + 20_000 });
  return pingResult(output);
}

/** A ping that goes on until it is stopped. */
export class PingFlow {
  readonly #program: Background;
  readonly #interval: number;

  constructor(cleanup: Cleanup, from: Namespace, target: string, options: PingOptions = {}) {
    this.#interval = options.interval ?? DEFAULT_INTERVAL;
    this.#program = from.start(cleanup, pingCommand(target, options));
  }

  /** Echoes of the last second that are still under way when ping is stopped are not counted, neither as sent nor as lost. */
  async stop(): Promise<PingResult> {
    const output = await this.#program.stop("SIGINT");
    const summary = pingResult(output);
    const answered = sequenceNumbers(output.stdout);
    const underWay = Math.min(summary.sent - Math.max(0, ...answered), Math.ceil(1 / this.#interval));
    const sent = summary.sent - underWay;
    const arrived = new Set(answered);
    const numbers = Array.from({ length: sent }, (_, index) => index + 1);
    const missing = numbers.filter((number) => !arrived.has(number)).slice(0, 20);
    return { ...summary, sent, lost: sent - arrived.size, missing };
  }
}

/** Of the answers, from 1, as they came; ping's own 16 bits are unrolled. */
export function sequenceNumbers(text: string): number[] {
  let last = 0;
  return [...text.matchAll(/bytes from .+ icmp_seq=(\d+) /g)].map((match) => {
    const step = ((Number(match[1]) - last) << 16) >> 16;
    last += step;
    return last;
  });
}

function pingCommand(target: string, options: PingOptions): string[] {
  const argv = ["ping", "-n", "-i", String(options.interval ?? DEFAULT_INTERVAL), "-W", String(options.wait ?? 1)];
  if (options.size !== undefined) argv.push("-s", String(options.size));
  if (options.pmtu !== undefined) argv.push("-M", options.pmtu);
  if (options.ttl !== undefined) argv.push("-t", String(options.ttl));
  return [...argv, target];
}

export function pingResult(output: Output): PingResult {
  const text = `${output.stdout}${output.stderr}`;
  const counts = /(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?/.exec(text);
  if (!counts) throw new Error(`ping gave no summary (ended with ${output.status}):\n${text}`);
  const times = /= [\d.]+\/([\d.]+)\/([\d.]+)/.exec(text);
  const [sent, received] = [Number(counts[1]), Number(counts[2])];
  return {
    sent,
    received,
    lost: sent - received,
    duplicates: Number(counts[3] ?? 0),
    averageMs: Number(times?.[1] ?? 0),
    maximumMs: Number(times?.[2] ?? 0),
    text,
  };
}

export interface IperfResult {
  /** Of what the receiver got. */
  gigabitsPerSecond: number;
  retransmits: number;
  /** UDP only. */
  lostPackets: number;
}

export interface IperfOptions {
  seconds?: number;
  /** Of the server; one that no other flow of this process uses by default. */
  port?: number;
  /** Further iperf3 client options, such as "-u". */
  extra?: string[];
}

let nextPort = 5201;

/** An iperf3 run from one namespace to another; `server` is the address that the client calls. */
export class IperfFlow {
  private constructor(
    readonly port: number,
    private readonly client: Background,
    private readonly server: Background,
    private readonly seconds: number,
  ) {}

  /** Starts the server, waits until it listens, and starts the client. */
  static async start(
    cleanup: Cleanup,
    from: Namespace,
    to: Namespace,
    server: string,
    options: IperfOptions = {},
  ): Promise<IperfFlow> {
    const { seconds = 3, port = nextPort++, extra = [] } = options;
    const serving = to.start(cleanup, ["iperf3", "-s", "-1", "-p", String(port)]);
    await listening(to, port);
    const argv = [
      "iperf3",
      "-c",
      server,
      "-p",
      String(port),
      "-t",
      String(seconds),
      "-J",
      "--connect-timeout",
      "3000",
      ...extra,
    ];
    return new IperfFlow(port, from.start(cleanup, argv), serving, seconds);
  }

  /** Ends it before its time. */
  async stop(): Promise<void> {
    await this.client.stop("SIGKILL");
    await this.server.stop("SIGKILL");
  }

  async result(): Promise<IperfResult> {
    const output = await this.client.finish((this.seconds + 15) * 1000);
    const report = parseJson(output);
    if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
    const received = report.end?.sum_received ?? report.end?.sum;
    if (received === undefined) throw new Error(`iperf3 gave no figures:\n${output.stdout}${output.stderr}`);
    return {
      gigabitsPerSecond: received.bits_per_second / 1e9,
      retransmits: report.end?.sum_sent?.retransmits ?? 0,
      lostPackets: report.end?.sum?.lost_packets ?? 0,
    };
  }
}

interface IperfReport {
  error?: string;
  end?: {
    sum?: { bits_per_second: number; lost_packets?: number };
    sum_sent?: { retransmits?: number };
    sum_received?: { bits_per_second: number };
  };
}

function parseJson(output: Output): IperfReport {
  try {
    return JSON.parse(output.stdout) as IperfReport;
  } catch (error) {
    throw new Error(`iperf3 ended with ${output.status}:\n${output.stdout}${output.stderr}`, { cause: error });
  }
}

export async function iperf(
  cleanup: Cleanup,
  from: Namespace,
  to: Namespace,
  server: string,
  options: IperfOptions = {},
): Promise<IperfResult> {
  const flow = await IperfFlow.start(cleanup, from, to, server, options);
  return flow.result();
}

/** Waits until something in the namespace listens on a TCP (or UDP) port. */
export async function listening(namespace: Namespace, port: number, protocol: "tcp" | "udp" = "tcp"): Promise<void> {
  await eventually(`a ${protocol} listener on port ${port} in ${namespace.name}`, 5_000, async () => {
    const sockets = await namespace.must(["ss", "-H", "-ln", protocol === "tcp" ? "-t" : "-u", `sport = :${port}`]);
    return sockets.trim() === "" ? undefined : true;
  });
}

const HTTP_SERVER = `
const [port, name, bytes] = process.argv.slice(1);
require("node:http").createServer((request, response) => {
  const client = request.socket.remoteAddress.replace(/^::ffff:/, "");
  if (request.url === "/large") return response.end(Buffer.alloc(Number(bytes), 120));
  if (!request.url.startsWith("/ticks/")) return response.end(name + " " + client + "\\n");
  let left = Number(request.url.slice("/ticks/".length));
  const timer = setInterval(() => left-- > 0 ? response.write("tick\\n") : (clearInterval(timer), response.end()), 100);
}).listen(Number(port), "::");
`;

/** Size of what an HTTP server answers for /large: enough for many full segments. */
export const LARGE_BYTES = 1_000_000;

/** An HTTP server that answers with its name and the client's address as it sees it; /ticks/N sends N lines, ten a second. */
export async function httpServer(cleanup: Cleanup, namespace: Namespace, name: string, port = 8080): Promise<void> {
  namespace.start(cleanup, [process.execPath, "-e", HTTP_SERVER, String(port), name, String(LARGE_BYTES)]);
  await listening(namespace, port);
}

/** A connection on which something comes ten times a second, for `seconds`. Resolves to whether all of it came. */
export function longConnection(cleanup: Cleanup, from: Namespace, url: string, seconds: number): Promise<boolean> {
  const lines = seconds * 10;
  const argv = ["curl", "-gsSN", "--max-time", String(seconds + 30), `${url}ticks/${lines}`];
  const program = from.start(cleanup, argv);
  return program.finish((seconds + 30) * 1000).then((output) => output.stdout === "tick\n".repeat(lines));
}

export interface HttpAnswer {
  /** The server that answered; undefined when none did. */
  server: string | undefined;
  client: string;
}

/** One request on a connection of its own. */
export async function httpGet(from: Namespace, url: string): Promise<HttpAnswer> {
  const output = await from.run(["curl", "-gsS", "--max-time", "1.5", url]);
  const [server, client = ""] = output.stdout.trim().split(" ");
  return { server: output.status === 0 ? server : undefined, client };
}

/** How many of `count` requests each server answered; "none" counts those without an answer. */
export async function httpDistribution(from: Namespace, url: string, count: number): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const server = (await httpGet(from, url)).server ?? "none";
    answers.set(server, (answers.get(server) ?? 0) + 1);
  }
  return answers;
}

/** One UDP datagram. */
export async function sendUdp(from: Namespace, to: string, port: number, payload = "x"): Promise<void> {
  const script = `const s = require("node:dgram").createSocket(process.argv[1].includes(":") ? "udp6" : "udp4");
s.send(process.argv[3], Number(process.argv[2]), process.argv[1], (error) => { if (error) throw error; s.close(); });`;
  await from.must([process.execPath, "-e", script, to, String(port), payload]);
}

const UDP_EXCHANGE = `
const [to, first, count, wait] = process.argv.slice(1);
const dgram = require("node:dgram");
const socket = dgram.createSocket(to.includes(":") ? "udp6" : "udp4");
let answers = 0;
socket.on("message", () => answers++);
const send = (port) => port < Number(first) + Number(count)
  ? socket.send("x", port, to, () => setImmediate(send, port + 1))
  : setTimeout(() => { console.log(answers); socket.close(); }, Number(wait));
send(Number(first));
`;

/** Binds `count` ports from `first` on and sends each datagram back. */
const UDP_ECHO = `
const [first, count] = process.argv.slice(1).map(Number);
const dgram = require("node:dgram");
for (let port = first; port < first + count; port++) {
  const socket = dgram.createSocket("udp6");
  socket.on("message", (text, peer) => socket.send(text, peer.port, peer.address));
  socket.bind(port, "::");
}
`;

const FIRST_UDP_PORT = 20_000;

/** One datagram to each of `ports` ports, each a flow; with `echo`, all are answered. Returns the number of answers. */
export async function exchangeUdp(
  from: Namespace,
  to: string,
  { ports, echo }: { ports: number; echo?: { cleanup: Cleanup; at: Namespace } },
): Promise<number> {
  if (echo !== undefined) {
    echo.at.start(echo.cleanup, [process.execPath, "-e", UDP_ECHO, String(FIRST_UDP_PORT), String(ports)]);
    await listening(echo.at, FIRST_UDP_PORT + ports - 1, "udp");
  }
  const argv = [process.execPath, "-e", UDP_EXCHANGE, to, String(FIRST_UDP_PORT), String(ports), "500"];
  return Number(await from.must(argv));
}

const UDP_ERROR = `
const [to, port] = process.argv.slice(1);
const socket = require("node:dgram").createSocket(to.includes(":") ? "udp6" : "udp4");
const end = (text) => { console.log(text); process.exit(0); };
socket.on("error", (error) => end(error.code));
socket.connect(Number(port), to, () => { socket.send("x"); setTimeout(() => socket.send("x"), 300); });
setTimeout(end, 2000, "none");
`;

/** What a connected UDP socket gets back for a datagram: an errno code, from an ICMP error, or "none". */
export async function udpError(from: Namespace, to: string, port: number): Promise<string> {
  return (await from.must([process.execPath, "-e", UDP_ERROR, to, String(port)])).trim();
}
