import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { sequenceNumbers } from "../support/traffic.js";
import type { Cluster } from "./cluster.js";
import type { Daemon } from "./daemon.js";
import type { ClusterNode } from "./node.js";
import { FAMILIES, type Pod } from "./pods.js";
import { UDP_PORT } from "./workloads.js";

const ECHO_MS = 20; // between echoes; below 10 ms ping waits for answers by asking over and over, with all of a core
/** That the last answers may take on a busy machine. */
const LAST_ANSWER_MS = 1000;
const REQUEST_MS = 100;

interface World {
  cluster: Cluster;
}

/** Of one stream, without the last echoes, whose answers may be under way still. */
export interface Counts {
  sent: number;
  lost: number;
  /** Milliseconds that as many echoes as were lost stand for. */
  lostMs: number;
}

/** Echoes, each of which is counted. */
export class Echoes {
  private constructor(private readonly streams: readonly Daemon[]) {}

  /** Of both families between two pods. */
  static async start(world: World, from: Pod, to: Pod): Promise<Echoes> {
    const ping = (target: string) => ["ping", "-i", String(ECHO_MS / 1000), target];
    return new Echoes(await Promise.all(FAMILIES.map((family) => inPod(world, from, "ping", ping(to[family])))));
  }

  /** Datagrams of both families to a pod's server, which answers each. */
  static async overUdp(world: World, from: Pod, to: Pod): Promise<Echoes> {
    const ask = (target: string) => [process.execPath, "-e", datagrams(target)];
    return new Echoes(await Promise.all(FAMILIES.map((family) => inPod(world, from, "datagrams", ask(to[family])))));
  }

  /** Ends them, and expects that none was lost. */
  async noneLost(): Promise<void> {
    for (const { sent, lost } of await this.counts()) {
      expect(sent).toBeGreaterThan(50);
      expect(lost).toBe(0);
    }
  }

  /** Ends them, and counts those of each family. */
  async counts(): Promise<Counts[]> {
    await this.stop();
    return this.streams.map((stream) => {
      const log = readFileSync(stream.logFile, "utf8");
      const [, ...totals] = /(\d+) packets transmitted, (\d+) received/.exec(log) ?? [];
      const [sent, received] = totals.map(Number);
      if (sent === undefined || received === undefined) throw new Error(`nothing was counted:\n${stream.logTail()}`);
      const lost = Math.max(0, sent - received - underWay(log, sent));
      return { sent, lost, lostMs: lost * ECHO_MS };
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.streams.filter(({ running }) => running).map((stream) => stream.stop("SIGINT")));
  }
}

/** Of what ping has sent since the last answer, as it does not wait for others when it ends: as much as may be under way. */
function underWay(log: string, sent: number): number {
  const answered = Math.max(0, ...sequenceNumbers(log));
  return answered === 0 ? 0 : Math.min(sent - answered, LAST_ANSWER_MS / ECHO_MS);
}

/** A program that counts what it sends and what is answered, and says so as ping does when it is interrupted. */
function datagrams(to: string): string {
  return `
    const socket = require("node:dgram").createSocket(${JSON.stringify(to.includes(":") ? "udp6" : "udp4")});
    let [sent, received] = [0, 0];
    socket.on("message", () => received++);
    const sending = setInterval(() => socket.send("hostname", ${UDP_PORT}, ${JSON.stringify(to)}, () => sent++), ${ECHO_MS});
    process.on("SIGINT", () => {
      clearInterval(sending);
      setTimeout(() => {
        console.log(sent + " packets transmitted, " + received + " received");
        process.exit();
      }, ${LAST_ANSWER_MS});
    });`;
}

/** Requests to an HTTP server on one connection until it is stopped; it ends by itself when the connection does. */
export function connection(world: World, from: Pod, to: string, port: number): Promise<Daemon> {
  const program = `
    const socket = require("node:net").connect(${port}, ${JSON.stringify(to)});
    socket.on("close", () => process.exit(1)).resume();
    setInterval(() => socket.write("GET /hostname HTTP/1.1\\r\\nHost: pod\\r\\n\\r\\n"), ${REQUEST_MS});`;
  return inPod(world, from, "connection", [process.execPath, "-e", program]);
}

/** Whether ten echoes of each family all come back. */
export async function reaches(world: World, from: Pod, to: Pod): Promise<boolean> {
  const { node, enter } = await podNetwork(world, from);
  const ping = ["ping", "-q", "-c", "10", "-i", "0.05", "-W", "2"];
  const outputs = await Promise.all(FAMILIES.map((family) => node.run([...enter, ...ping, to[family]])));
  return outputs.every(({ stdout }) => stdout.includes(" 10 received"));
}

/** Of programs in pods, for their logs' names. */
let started = 0;

/** A program on a pod's network. */
async function inPod(world: World, pod: Pod, name: string, argv: readonly string[]): Promise<Daemon> {
  const { node, enter } = await podNetwork(world, pod);
  const daemon = node.daemon({
    name: `${name}-${++started}`,
    argv: [...enter, ...argv],
    ready: async () => true,
    readyMs: 5_000,
  });
  await daemon.start();
  return daemon;
}

/** What enters a pod's network on its node, beside the container: kubectl's way in is the API server's. */
async function podNetwork({ cluster }: World, pod: Pod): Promise<{ node: ClusterNode; enter: string[] }> {
  const node = cluster.node(pod.node);
  const script = `for n in $(ls /run/netns); do ip -n $n -o address | grep -q " ${pod.v4}/" && echo $n; done`;
  const netns = (await node.run(["sh", "-c", script])).stdout.trim();
  return { node, enter: ["ip", "netns", "exec", netns] };
}
