// A capture through a stage, in Node: what `sluice-plugin run` does.

import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { HookName, Json, Manifest } from "../build/manifest.js";
import { load, type PluginSource } from "../testing/load.js";
import type { Metrics } from "../testing/metrics.js";
import { Passage, usualHooks } from "../testing/passage.js";
import { PcapWriter, packetsOf } from "../testing/pcap.js";
import { PcapError, type PcapPacket } from "../testing/pcap-format.js";
import type { Trap, VerdictName } from "../testing/rows.js";
import type { SendResult } from "../testing/send.js";
import { StageSession } from "../testing/session.js";
import { segmentOf } from "../testing/stage.js";
import { DEFAULT_TIME_LIMIT, StageTimeout, withTimeLimit } from "../testing/time-limit.js";
import { linkLength, ownLink, withLink } from "./link.js";

/** How a capture is taken through a stage. */
export interface RunPcapOptions {
  /** The plugin: a source to build, or a module. */
  plugin: PluginSource;
  /** The capture to read: pcap or pcapng, of Ethernet or raw IP. */
  in: string;
  /** What leaves is written here; a name that ends with .pcapng gives pcapng. */
  out?: string;
  /** Given to the stage's configure. */
  config?: Json;
  /** Default: those of prerouting, forward and postrouting that the stage has; else its first. */
  hook?: HookName | HookName[];
  /** Ports that there are, for redirects and mirroring; default 0 to 15. */
  ports?: number[];
  /** The port that packets come in by; default 0. */
  inPort?: number;
  /** Milliseconds that the stage may take for 256 packets before it is stopped; default 1000. */
  timeLimit?: number;
  /** Ends the run early; what was written until then is a whole file. */
  signal?: AbortSignal;
}

/** What became of a capture's packets. */
export interface RunPcapSummary extends Metrics {
  plugin: Pick<Manifest, "name" | "version">;
  /** Of the capture, those left out below included. */
  packets: number;
  /** Packets that no stage sees. `notIp`: ARP and such; `cut`: not whole in the capture. */
  leftOut: { notIp: number; cut: number };
  /** By verdict; a packet that was malformed counts as dropped. */
  verdicts: Record<VerdictName, number>;
  /** Of dropped packets, by reason. */
  reasons: Record<string, number>;
  /** Packets that the stage sent by itself, and copies that it had sent out by ports. */
  emitted: number;
  mirrored: number;
  /** To the file. */
  written: number;
  /** Seconds from the first packet to the last. */
  seconds: number;
  /** The stage failed, which ended the run: why, and at which packet, from 1 as tshark counts. */
  trap?: Trap;
  /** The signal ended the run. */
  isAborted: boolean;
}

/** Packets between two looks at the time limit and the event loop. */
const CHUNK = 256;

/**
 * Takes the packets of a capture through a stage, each in a burst of its own, at the times of the capture: the stage sees them
 * as its time of day. Flows are found as in a node. Written are, at the packet's time and with its link header: copies that the
 * stage mirrored, the packet if it leaves, and (with a link header of zeroes) packets that the stage emitted; in a pcapng
 * file, on interfaces named "pass", "port 3", "reply", "reinput", "mirror to port 3" and "emitted". Memory does not grow with
 * the file. Throws BuildError, ModuleError, ConfigureError, PcapError.
 */
export async function runPcap(options: RunPcapOptions): Promise<RunPcapSummary> {
  const plugin = await load(options.plugin);
  const session = new StageSession(plugin.node, segmentOf(plugin, options.config), {
    timeLimit: 0,
    ...(options.ports ? { ports: options.ports } : {}),
  });
  if (options.out !== undefined) requireOther(options.in, options.out);
  const run = new Run(options, session, plugin.node.manifest);
  try {
    for (const chunk of chunksOf(packetsOf(options.in))) {
      run.take(chunk);
      if (run.isOver) break;
      await nextTurn();
    }
  } finally {
    run.close();
  }
  return run.summary();
}

function* chunksOf(packets: Iterable<PcapPacket>): Generator<PcapPacket[]> {
  let chunk: PcapPacket[] = [];
  try {
    for (const packet of packets) {
      chunk.push(packet);
      if (chunk.length < CHUNK) continue;
      yield chunk;
      chunk = [];
    }
  } catch (error) {
    // What stands before the damage is run.
    yield chunk;
    throw error;
  }
  yield chunk;
}

/** A capture that is written over while it is read is lost. */
function requireOther(input: string, output: string): void {
  const real = (file: string) => {
    try {
      return realpathSync(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return resolve(file);
      throw error;
    }
  };
  if (real(input) === real(output))
    throw new PcapError(output, "the file to write is the one to read", "Name another file for what leaves");
}

class Run {
  private readonly hooks: HookName[];
  private readonly writer: PcapWriter | undefined;
  private passage: Passage | undefined;
  private startNs = 0n;
  private passedNs = 0n;
  private packets = 0;
  private readonly counts = { notIp: 0, cut: 0, emitted: 0, mirrored: 0, written: 0 };
  private readonly verdicts: Record<VerdictName, number> = { pass: 0, drop: 0, redirect: 0, reinput: 0, reply: 0 };
  private readonly reasons: Record<string, number> = {};
  private trap: Trap | undefined;

  constructor(
    private readonly options: RunPcapOptions,
    private readonly session: StageSession,
    private readonly manifest: Manifest,
  ) {
    const { hook = usualHooks(manifest), out } = options;
    this.hooks = typeof hook === "string" ? [hook] : hook;
    this.writer = out === undefined ? undefined : new PcapWriter(out);
  }

  get isOver(): boolean {
    return this.trap !== undefined || this.options.signal?.aborted === true;
  }

  /** One look at the time for many packets: a limit on each call would cost more than the packet. */
  take(chunk: PcapPacket[]): void {
    const limit = this.options.timeLimit ?? DEFAULT_TIME_LIMIT;
    const leaving: Leaving[] = [];
    try {
      withTimeLimit(limit, () => {
        for (const packet of chunk) {
          this.packets++;
          leaving.push(...this.send(packet));
          if (this.isOver) return;
        }
      });
    } catch (error) {
      if (!(error instanceof StageTimeout)) throw error;
      this.trap = { message: error.message, packet: this.packets };
    }
    for (const each of leaving) this.write(each);
  }

  private send(captured: PcapPacket): Leaving[] {
    const length = linkLength(captured);
    if (length === undefined) this.counts.notIp++;
    else if (captured.bytes.length < captured.length) this.counts.cut++;
    else return this.pass(captured, length);
    return [];
  }

  private pass(captured: PcapPacket, linkLength: number): Leaving[] {
    if (!this.passage) {
      this.startNs = captured.at;
      this.passage = new Passage(this.session, captured.at);
    }
    // Time does not go back, though packets in a capture of several queues may.
    const passed = captured.at - this.startNs;
    if (passed > this.passedNs) this.passedNs = passed;
    const link = captured.bytes.subarray(0, linkLength);
    const { inPort = 0 } = this.options;
    const packet = captured.bytes.subarray(linkLength);
    const [result] = this.passage.run(this.passedNs, [[packet, { inPort, link, traced: false }]], this.hooks);
    return this.outcome(captured, link, result as SendResult);
  }

  private outcome(captured: PcapPacket, link: Uint8Array, result: SendResult): Leaving[] {
    const { session, counts } = this;
    this.verdicts[result.verdict]++;
    if (result.reason !== undefined) this.reasons[result.reason] = (this.reasons[result.reason] ?? 0) + 1;
    if (session.trap) this.trap = { ...session.trap, packet: this.packets };
    counts.emitted += result.emitted.length;
    counts.mirrored += result.mirrored.length;
    session.emitted.length = session.mirrored.length = 0;
    const { at, linkType } = captured;
    const own = ownLink(linkType);
    return [
      ...result.mirrored.map(({ port, packet }) => ({ link, packet, at, linkType, way: `mirror to port ${port}` })),
      ...(result.packet ? [{ link, packet: result.packet, at, linkType, way: wayOf(result) }] : []),
      ...result.emitted.map((packet) => ({ link: own, packet, at, linkType, way: "emitted" })),
    ];
  }

  private write({ link, packet, at, linkType, way }: Leaving): void {
    if (!this.writer) return;
    this.writer.write({ bytes: withLink(link, packet), at, linkType, interface: way });
    this.counts.written++;
  }

  close(): void {
    this.writer?.close();
  }

  summary(): RunPcapSummary {
    this.session.checkSegment();
    const { notIp, cut, ...counts } = this.counts;
    const { name, version } = this.manifest;
    const trap = this.trap ?? (this.session.trap && { ...this.session.trap, packet: this.packets });
    return {
      plugin: { name, version },
      packets: this.packets,
      leftOut: { notIp, cut },
      verdicts: this.verdicts,
      reasons: this.reasons,
      ...counts,
      ...this.session.metrics,
      seconds: Number(this.passedNs) / 1e9,
      isAborted: this.options.signal?.aborted === true,
      ...(trap ? { trap } : {}),
    };
  }
}

/** A packet on its way out. */
interface Leaving {
  link: Uint8Array;
  packet: Uint8Array;
  at: bigint;
  linkType: PcapPacket["linkType"];
  /** The interface's name in a pcapng file. */
  way: string;
}

const wayOf = ({ verdict, outPort }: SendResult): string => (verdict === "redirect" ? `port ${outPort}` : verdict);
