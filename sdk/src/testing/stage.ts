// A stage under test, packet by packet.

import type { HookName, Json, Manifest } from "../build/manifest.js";
import { hookNumber } from "../build/manifest.js";
import { Conntrack, type Tracked } from "./conntrack.js";
import { type LoadedPlugin, load, type PluginSource } from "./load.js";
import type { HistogramValue } from "./metrics.js";
import { burstFacts } from "./node-stage.js";
import { isMalformed, parsePacket } from "./parse.js";
import type { CtStateName, MirroredPacket, PacketResult, PacketRow, Row, RowResult, VerdictName } from "./rows.js";
import { StageSession } from "./session.js";
import { DEFAULT_TIME_LIMIT } from "./time-limit.js";
import { verifyLater } from "./verify.js";

/** A packet from its L3 header on: bytes, or hex. */
export type Packet = Uint8Array | string;

/** How a stage is started. */
export interface StageOptions {
  /** Given to the stage's configure; without it configure is not called. */
  config?: Json;
  /** Numbers of the ports that there are, for redirects and mirroring; default 0 to 15. */
  ports?: number[];
  /** Milliseconds that one call of the stage may take before it is stopped; 0: no limit. Default 1000. */
  timeLimit?: number;
}

/** How a packet comes to the stage. */
export interface SendOptions {
  /**
   * Where it meets the stage: one hook, or several one after the other as on its way through a node. Default: those of
   * prerouting, forward and postrouting that the stage has; else its first.
   */
  hook?: HookName | HookName[];
  /** Milliseconds since the stage was loaded; not before the packet before. Default: now. */
  at?: number;
  /**
   * Default: the flow that conntrack finds, with its state and direction, as in a node. A name: packets with the same name
   * share a flow. False: no flow (untracked).
   */
  flow?: string | false;
  /** Instead of what conntrack says. */
  ctState?: CtStateName;
  /** Instead of what conntrack says. */
  direction?: "original" | "reply";
  /** Default 0. */
  inPort?: number;
  /** The port that it was routed to; default: not routed yet. */
  outPort?: number;
  /** Routing table; default 0. */
  table?: number;
  /** Default 0. */
  mark?: number;
  /** The link header it came with. */
  link?: Packet;
  /** The L4 checksum field holds the pseudo-header's sum only. */
  partial?: boolean;
  /** A super-frame, with segments of so many payload bytes. */
  gsoSize?: number;
  /** Collect the values that the stage notes of it; default true. */
  traced?: boolean;
}

/** What came of one packet. */
export interface SendResult {
  /** "redirect" and "reply" as the last hook said; "drop" as the first did. */
  verdict: VerdictName;
  /** Of a drop: a well-known reason's name, or one of the stage's own. */
  reason?: string;
  /** As it was sent. */
  sent: Uint8Array;
  /** As it left the stage; absent for a drop. */
  packet?: Uint8Array;
  table: number;
  mark: number;
  /** Of a redirect. */
  outPort?: number;
  /** Of a redirect: the neighbour's address, or "" for the packet's destination. */
  nextHop?: string;
  /** The conntrack state it came with. */
  ctState: CtStateName;
  direction: "original" | "reply";
  /** The name of its flow. */
  flow?: string;
  /** The stage's state in the flow, after the call. */
  flowState?: Uint8Array;
  /** What the stage noted of it, by name. */
  trace: Record<string, number>;
  /** Packets that the stage sent by itself in the calls that this packet was in, from their L3 header on. */
  emitted: Uint8Array[];
  /** Copies of this packet that it had sent out by a port. */
  mirrored: { port: number; packet: Uint8Array }[];
  /** Why the stage failed, if it did with this packet or has before. */
  trap?: string;
}

const bytesOf = (packet: Packet): Uint8Array => (typeof packet === "string" ? Buffer.from(packet, "hex") : packet);
const hexOf = (packet: Packet): string => (typeof packet === "string" ? packet : Buffer.from(packet).toString("hex"));

/** Builds (or reads) a plugin and starts it in Node. Throws BuildError, ModuleError, ConfigureError. */
export async function loadPlugin(plugin: PluginSource, options: StageOptions = {}): Promise<Stage> {
  return new Stage(await load(plugin), options);
}

/** A packet on its way. */
interface Travel {
  options: SendOptions;
  tracked: Tracked;
  result: SendResult;
  /** The row as the stage gets it next; undefined: dropped, or out of the pipeline. */
  next?: PacketRow;
}

/** A running stage. Time stands still but for `advance` and `at`. */
export class Stage {
  private readonly session: StageSession;
  private readonly conntrack = new Conntrack({ onEnd: (flow) => this.session.forget(flow) });
  private nowMs = 0;
  private bursts = 0;
  private taken = 0;
  private isReplayable = true;
  private readonly sent: PacketRow[] = [];
  private plugin: LoadedPlugin;

  /** Use loadPlugin. */
  constructor(
    plugin: LoadedPlugin,
    private readonly options: StageOptions,
  ) {
    this.plugin = plugin;
    this.session = new StageSession(plugin.node, segmentOf(plugin, options.config), {
      timeLimit: options.timeLimit ?? DEFAULT_TIME_LIMIT,
      ...(options.ports ? { ports: options.ports } : {}),
    });
    verifyLater(this);
  }

  /** What the plugin says of itself. */
  get manifest(): Manifest {
    return this.plugin.node.manifest;
  }
  /** Milliseconds since the stage was loaded. */
  get now(): number {
    return this.nowMs;
  }
  /** By name. */
  get counters(): Record<string, number> {
    return this.session.metrics.counters;
  }
  /** By name. */
  get gauges(): Record<string, number> {
    return this.session.metrics.gauges;
  }
  /** By name. */
  get histograms(): Record<string, HistogramValue> {
    return this.session.metrics.histograms;
  }
  /** Why the stage failed, and the number (from 0) of the packet that it was at. A new configuration or version revives it. */
  get trap(): RowResult["trap"] {
    return this.session.trap;
  }
  /** Packets that the stage sent by itself since it was loaded, from their L3 header on. */
  get emitted(): Uint8Array[] {
    return this.session.emitted.map(bytesOf);
  }
  /** Copies that it had sent out by ports; `packet` counts what was sent, from 0. */
  get mirrored(): MirroredPacket[] {
    return [...this.session.mirrored];
  }

  /** Lets time pass. @param milliseconds a whole number */
  advance(milliseconds: number): this {
    this.setTime(this.nowMs + milliseconds);
    return this;
  }

  /** A packet in a burst of its own. */
  send(packet: Packet, options: SendOptions = {}): SendResult {
    return this.burst([packet], options)[0] as SendResult;
  }

  /** Packets in one burst, at most 256, each with what is said of it before what is said of all. */
  burst(
    packets: (Packet | [Packet, SendOptions])[],
    options: Omit<SendOptions, "at"> & { at?: number } = {},
  ): SendResult[] {
    this.setTime(options.at ?? this.nowMs);
    const travels = packets.map((each) => {
      const [packet, own] = Array.isArray(each) ? each : [each, {}];
      return this.begin(packet, { ...options, ...own });
    });
    for (const hook of this.hooksOf(options.hook))
      this.runHook(
        hook,
        travels.filter(({ next }) => next),
      );
    this.session.checkSegment();
    for (const { tracked, result } of travels) {
      if (result.packet && result.verdict !== "reply") this.conntrack.confirm(tracked, result.sent, result.packet);
    }
    this.conntrack.settle(travels.map(({ tracked }) => tracked));
    return travels.map(({ result }) => {
      if (this.session.trap) result.trap = this.session.trap.message;
      return result;
    });
  }

  /** Publishes a new configuration: flows, counters and per-worker tables stay. Throws ConfigureError, and nothing changes. */
  configure(config: Json): void {
    this.session.configure(segmentOf(this.plugin, config));
    this.isReplayable = false;
  }

  /**
   * Puts another version in the stage's place: flows and counters stay; flow states of older schemas go through its `migrate`
   * as their packets come, or begin anew. Without a configuration it gets none.
   */
  async swap(plugin: PluginSource, options: { config?: Json } = {}): Promise<void> {
    const next = await load(plugin);
    this.session.swap(next.node, segmentOf(next, options.config));
    this.plugin = next;
    this.isReplayable = false;
  }

  /**
   * All that was sent, as a data row with what came of it: for a packet thread, or to be kept. Undefined when the stage was
   * configured or swapped since it was loaded, which a row cannot say.
   */
  row(name: string): Row | undefined {
    if (!this.isReplayable) return undefined;
    const { config, ports } = this.options;
    const [hook = "forward"] = this.manifest.hooks;
    const facts = { ...(config === undefined ? {} : { config }), ...(ports ? { ports } : {}) };
    return { name, hook, ...facts, packets: this.sent.map((packet) => ({ ...packet })), ...this.outcome };
  }

  private get outcome() {
    const { metrics, emitted, mirrored } = this.session;
    return { ...metrics, emitted: [...emitted], mirrored: [...mirrored] };
  }

  /** The module's bytes, for other executors. */
  get wasm(): Uint8Array {
    return this.plugin.wasm;
  }

  private setTime(milliseconds: number): void {
    if (!Number.isSafeInteger(milliseconds) || milliseconds < this.nowMs) {
      throw new RangeError(
        `time is a whole number of milliseconds and does not go back: ${milliseconds} after ${this.nowMs}`,
      );
    }
    this.nowMs = milliseconds;
  }

  private hooksOf(hook: SendOptions["hook"]): HookName[] {
    if (hook !== undefined) return typeof hook === "string" ? [hook] : hook;
    const transit = transitHooks.filter((name) => this.manifest.hooks.includes(name));
    return transit.length > 0 ? transit : this.manifest.hooks.slice(0, 1);
  }

  private begin(packet: Packet, options: SendOptions): Travel {
    const sent = bytesOf(packet);
    const tracked = this.track(sent, options);
    const { table, mark, inPort, outPort, partial, gsoSize, link } = options;
    const given = {
      table,
      mark,
      inPort,
      outPort,
      partial,
      gsoSize,
      link: link === undefined ? undefined : hexOf(link),
    };
    const next = {
      in: hexOf(packet),
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      ...tracked,
      traced: options.traced ?? true,
    } as PacketRow;
    const result: SendResult = {
      ...{ verdict: "pass", sent, table: 0, mark: 0, trace: {}, emitted: [], mirrored: [] },
      ...tracked,
    };
    return { options, tracked, result, next };
  }

  private track(packet: Uint8Array, { flow, ctState, direction }: SendOptions): Tracked {
    const parsed = parsePacket(packet);
    const found: Tracked =
      flow === undefined && !isMalformed(parsed)
        ? this.conntrack.track(parsed, BigInt(this.nowMs) * 1_000_000n)
        : { ctState: "untracked", direction: "original", ...(flow ? this.named(flow) : {}) };
    return { ...found, ...(ctState ? { ctState } : {}), ...(direction ? { direction } : {}) };
  }

  private readonly names = new Set<string>();
  private named(flow: string): { flow: string; ctState: CtStateName } {
    const ctState = this.names.has(flow) ? "established" : "new";
    this.names.add(flow);
    return { flow, ctState };
  }

  private runHook(hook: HookName, travels: Travel[]): void {
    if (travels.length === 0) return;
    const rows = travels.map(({ next }): PacketRow => ({ ...(next as PacketRow), hook, at: this.nowMs }));
    const { emitted, mirrored } = this.session;
    const [before, copied, first] = [emitted.length, mirrored.length, this.sent.length];
    const facts = burstFacts(hookNumber(hook), BigInt(this.nowMs) * 1_000_000n, this.bursts++);
    const results = this.session.burst(facts, rows);
    travels.forEach((travel, i) => {
      const found = results[i] as PacketResult;
      const row = rows[i] as PacketRow;
      this.sent.push({ ...row, expect: found });
      take(travel, row, found);
      travel.result.emitted.push(...emitted.slice(before).map(bytesOf));
      const copies = mirrored.slice(copied).filter(({ packet }) => packet === first + i);
      travel.result.mirrored.push(...copies.map(({ port, hex }) => ({ port, packet: bytesOf(hex) })));
    });
  }
}

const transitHooks: HookName[] = ["prerouting", "forward", "postrouting"];

function segmentOf(plugin: LoadedPlugin, config: Json | undefined): Uint8Array {
  return config === undefined ? new Uint8Array() : plugin.node.build(JSON.stringify(config));
}

/** Notes what one hook made of a packet. */
function take(travel: Travel, row: PacketRow, found: PacketResult): void {
  const { result } = travel;
  const { verdict, out, flowState, trace, outPort, nextHop, reason, table, mark } = found;
  Object.assign(result, { table, mark });
  if (verdict !== "pass") result.verdict = verdict;
  if (reason !== undefined) result.reason = reason;
  if (outPort !== undefined) result.outPort = outPort;
  if (nextHop !== undefined) result.nextHop = nextHop;
  if (flowState !== undefined) result.flowState = bytesOf(flowState);
  Object.assign(result.trace, trace);
  if (out === undefined) {
    delete result.packet;
    delete travel.next;
    return;
  }
  result.packet = bytesOf(out);
  const { expect: _expect, ...came } = row;
  if (verdict === "pass" || verdict === "redirect") {
    travel.next = { ...came, in: out, table, mark, ...(outPort === undefined ? {} : { outPort }) } as PacketRow;
  } else delete travel.next;
}
