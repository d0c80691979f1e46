// A stage under test, packet by packet.

import type { Json, Manifest } from "../build/manifest.js";
import { type LoadedPlugin, load, type PluginSource } from "./load.js";
import type { HistogramValue } from "./metrics.js";
import { Passage, usualHooks } from "./passage.js";
import type { MirroredPacket, PacketResult, PacketRow, Row, RowResult } from "./rows.js";
import { bytesOf, type Packet, type SendOptions, type SendResult } from "./send.js";
import { StageSession } from "./session.js";
import { DEFAULT_TIME_LIMIT } from "./time-limit.js";
import { trapText } from "./trap.js";
import { verifyLater } from "./verify.js";

/** How a stage is started. */
export interface StageOptions {
  /** Given to the stage's configure; without it configure is not called. */
  config?: Json;
  /** Numbers of the ports that there are, for redirects and mirroring; default 0 to 15. */
  ports?: number[];
  /** Milliseconds that one call of the stage may take before it is stopped; 0: no limit. Default 5000. */
  timeLimit?: number;
}

/** Builds (or reads) a plugin and starts it in Node. Throws BuildError, ModuleError, ConfigureError. */
export async function loadPlugin(plugin: PluginSource, options: StageOptions = {}): Promise<Stage> {
  return new Stage(await load(plugin), options);
}

/** A running stage. Time stands still but for `advance` and `at`. */
export class Stage {
  private readonly session: StageSession;
  private readonly passage: Passage;
  private readonly sent: PacketRow[] = [];
  private nowMs = 0;
  private isReplayable = true;

  /** Use loadPlugin. */
  constructor(
    private plugin: LoadedPlugin,
    private readonly options: StageOptions,
  ) {
    this.session = new StageSession(plugin.node, segmentOf(plugin, options.config), {
      timeLimit: options.timeLimit ?? DEFAULT_TIME_LIMIT,
      ...(options.ports ? { ports: options.ports } : {}),
    });
    this.passage = new Passage(this.session, undefined, (rows, results) => {
      this.sent.push(...rows.map((row, i) => ({ ...row, expect: results[i] as PacketResult })));
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
  burst(packets: (Packet | [Packet, Omit<SendOptions, "at" | "hook">])[], options: SendOptions = {}): SendResult[] {
    this.setTime(options.at ?? this.nowMs);
    const given = packets.map((each): [Packet, SendOptions] =>
      Array.isArray(each) ? [each[0], { ...options, ...each[1] }] : [each, options],
    );
    const { hook = usualHooks(this.manifest) } = options;
    const passedNs = BigInt(this.nowMs) * 1_000_000n;
    const results = this.passage.run(passedNs, given, typeof hook === "string" ? [hook] : hook);
    this.session.checkSegment();
    const { trap } = this.session;
    return trap ? results.map((result) => ({ ...result, trap: trapText(trap) })) : results;
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
}

/** The tables that a configuration makes; empty without one. Throws ConfigureError. */
export function segmentOf(plugin: LoadedPlugin, config: Json | undefined): Uint8Array {
  return config === undefined ? new Uint8Array() : plugin.node.build(JSON.stringify(config));
}
