// A stage at work: its instance, the flows that it has state in, its counters. Flows and counters outlive configurations and
// versions, as in a node.

import type { Manifest } from "../build/manifest.js";
import { dropReasonNames, Flag, MAX_SLOTS, PLUGIN_REASON_BASE, Verdict } from "../generated/abi.js";
import { addressText } from "./addresses.js";
import type { CallPacket } from "./imports.js";
import { type BurstFacts, StageInstance } from "./instance.js";
import { addMetrics, type Metrics, readMetrics } from "./metrics.js";
import { isMalformed, type Parsed, parsePacket } from "./parse.js";
import type {
  CtStateName,
  MirroredPacket,
  PacketResult,
  PacketRow,
  RowResult,
  SourceEnd,
  Trap,
  VerdictName,
} from "./rows.js";
import { isPlacementPossible, Slot } from "./slots.js";
import { withTimeLimit } from "./time-limit.js";
import { packetLine, sourceOfTrap } from "./trap.js";
import { writeBack } from "./write-back.js";

/** One version of a stage. */
export interface StageVersion {
  wasm: Uint8Array;
  manifest: Manifest;
  module: WebAssembly.Module;
}

export interface SessionOptions {
  /** Ports that there are, for redirects; default 0 to 15. */
  ports?: number[];
  /** Milliseconds that a call may take; 0: no limit. */
  timeLimit: number;
}

interface Flow {
  number: number;
  packets: number;
  /** The stage's state, as it was written last. */
  state?: Buffer;
  /** Schema of `state`. */
  schema: number;
}
interface Work {
  row: PacketRow;
  index: number;
  slot: Slot;
  parsed: Parsed;
  headLength: number;
  isMigrated: boolean;
  /** What the stage noted of it, by name. */
  trace: Record<string, number>;
  isSourceTaken: (source: SourceEnd) => boolean;
  flow?: Flow;
}

const ALL_PORTS = Array.from({ length: 16 }, (_, i) => i);

export class StageSession {
  /** Why the stage is out of work, and the number (from 0) of the packet that it was at. */
  trap: RowResult["trap"];
  /** Hex of each packet that the stage sent, from its L3 header on, in order. */
  readonly emitted: string[] = [];
  /** Copies of packets that it had sent out by a port, in order; packets are numbered from 0. */
  readonly mirrored: MirroredPacket[] = [];
  private instance: StageInstance;
  private readonly flows = new Map<string, Flow>();
  private flowNumbers = 0;
  private generation = 1;
  private packets = 0;
  /** Of instances that are gone. */
  private pastMetrics: Metrics = { counters: {}, gauges: {}, histograms: {} };

  constructor(
    private version: StageVersion,
    private segment: Uint8Array,
    private readonly options: SessionOptions,
  ) {
    this.instance = this.start();
  }

  private start(): StageInstance {
    const instance = new StageInstance(this.version.module, this.version.manifest.traceValues);
    instance.publish(this.segment);
    return instance;
  }

  /** A new configuration: the instance stays, unless the stage has failed. */
  configure(segment: Uint8Array): void {
    this.checkSegment();
    this.segment = segment;
    this.generation++;
    if (this.trap) this.replaceInstance(this.version);
    else this.instance.publish(segment);
  }

  /** Another version, with its own configuration: a new instance. Flows that it cannot read begin anew. */
  swap(version: StageVersion, segment: Uint8Array): void {
    this.checkSegment();
    this.segment = segment;
    this.generation++;
    this.replaceInstance(version);
  }

  private replaceInstance(version: StageVersion): void {
    const { counters, gauges, histograms } = this.metrics;
    const past = this.pastMetrics;
    // What this version does not have may be of a later one again.
    this.pastMetrics = {
      ...{ counters: { ...past.counters, ...counters }, gauges },
      histograms: { ...past.histograms, ...histograms },
    };
    this.version = version;
    this.trap = undefined;
    this.instance = this.start();
  }

  get metrics(): Metrics {
    return addMetrics(this.pastMetrics, readMetrics(this.version.manifest, this.instance.cells()));
  }

  private get ports(): number[] {
    return this.options.ports ?? ALL_PORTS;
  }

  /** The flow is over: its name may be given to another. */
  forget(flow: string): void {
    this.flows.delete(flow);
  }

  /** A stage that wrote to its segment has failed: in a packet thread that traps at once. */
  checkSegment(): void {
    if (this.trap || this.instance.isPublished(this.segment)) return;
    const message = "the stage wrote to its config segment, which is read-only";
    this.trap = { message, packet: this.packets - 1 };
  }

  /**
   * Takes at most MAX_SLOTS packets through the stage in one burst. `isSourceTaken`: whether another flow owns the replies
   * to a packet of the burst with this source; default what its row says.
   */
  burst(
    facts: BurstFacts,
    packets: PacketRow[],
    isSourceTaken: (row: PacketRow, source: SourceEnd) => boolean = isListed,
  ): PacketResult[] {
    if (packets.length > MAX_SLOTS) throw new RangeError(`a burst has at most ${MAX_SLOTS} packets`);
    const results: PacketResult[] = [];
    const work: Work[] = [];
    packets.forEach((row, index) => {
      const parsed = parsePacket(Buffer.from(row.in, "hex"));
      if (isMalformed(parsed)) results[index] = dropped(row, parsed.reason);
      else work.push(this.load(row, index, parsed, work.length, (source) => isSourceTaken(row, source)));
    });
    const later = this.loadFlowStates(work, true);
    const first = work.filter((each) => !later.includes(each));
    this.call(facts, first, results);
    if (later.length > 0) {
      this.loadFlowStates(later, false);
      this.call(facts, later, results);
    }
    for (const { index, flow } of work) this.noteFlowState(results[index], flow);
    this.packets += packets.length;
    return results;
  }

  /** As the burst left it: of packets of one flow all show the same. */
  private noteFlowState(result: PacketResult | undefined, flow: Flow | undefined): void {
    const state = this.version.manifest.flowState && this.stateOf(flow);
    if (result && state) result.flowState = state.toString("hex");
  }

  private load(row: PacketRow, index: number, parsed: Parsed, at: number, isSourceTaken: Work["isSourceTaken"]): Work {
    const slot = new Slot(this.instance.memory, at);
    const flow = row.flow === undefined ? undefined : this.flow(row.flow);
    const usual: CtStateName = !flow ? "untracked" : flow.packets === 0 ? "new" : "established";
    if (flow) flow.packets++;
    const { flowState, headerBytes } = this.version.manifest;
    if (flow && row.flowState !== undefined) {
      flow.state = Buffer.from(row.flowState, "hex");
      flow.schema = flowState?.schema ?? 0;
    }
    const view = Math.ceil(headerBytes / 64) * 64;
    const headLength = slot.fill({ parsed, row, flow: flow?.number ?? 0, ctState: row.ctState ?? usual }, view);
    const work = { row, index, slot, parsed, headLength, isMigrated: false, trace: {}, isSourceTaken };
    return { ...work, ...(flow ? { flow } : {}) };
  }

  private flow(name: string): Flow {
    const found = this.flows.get(name) ?? { number: ++this.flowNumbers, packets: 0, schema: 0 };
    this.flows.set(name, found);
    return found;
  }

  /** The stage's state in the flow, if this version can read it. */
  private stateOf(flow: Flow | undefined): Buffer | undefined {
    const { flowState, migratesFrom } = this.version.manifest;
    const isKnown = flow?.schema === flowState?.schema || migratesFrom.includes(flow?.schema ?? 0);
    return isKnown ? flow?.state : undefined;
  }

  /** Of a flow whose state was never written, all but the first packet wait for a second call: those are returned. */
  private loadFlowStates(work: Work[], mayDefer: boolean): Work[] {
    const { flowState } = this.version.manifest;
    if (!flowState) return [];
    const first = new Set<Flow>();
    return work.filter((each) => {
      const { flow, slot } = each;
      const state = this.stateOf(flow);
      each.isMigrated = false;
      slot.flowState.fill(0);
      if (state) slot.flowState.set(state.subarray(0, flowState.size));
      slot.setNewSlot(flow !== undefined && state === undefined);
      if (!flow || state || !mayDefer) return false;
      const waits = first.has(flow);
      first.add(flow);
      return waits;
    });
  }

  private call(facts: BurstFacts, work: Work[], results: PacketResult[]): void {
    if (work.length === 0) return;
    if (this.trap) {
      this.fail(work, results);
      return;
    }
    let current = work;
    try {
      withTimeLimit(this.options.timeLimit, () => {
        for (const [schema, old] of this.outdated(work)) {
          current = old;
          this.migrate(facts, schema, old);
        }
        current = work;
        this.instance.imports.begin(work.map(callPacketOf), this.ports);
        this.instance.process({ ...facts, generation: this.generation }, addressesOf(work), this.segment.length);
      });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const at = current[Math.min(this.instance.current, current.length - 1)];
      this.trap = { message: error.message, packet: this.packets + (at?.index ?? 0), ...this.whereabouts(error, at) };
      this.fail(work, results);
      return;
    }
    this.send(work);
    for (const each of work) this.storeFlowState(each);
    for (const each of work) results[each.index] = this.commit(each);
  }

  private whereabouts(error: Error, at: Work | undefined): Partial<Trap> {
    const source = sourceOfTrap(error, this.version.wasm);
    return {
      ...(source === undefined ? {} : { source }),
      ...(at === undefined ? {} : { about: packetLine(at.row.in) }),
    };
  }

  /** What the call asked to be sent. */
  private send(work: Work[]): void {
    const { emitted, mirrored } = this.instance.imports.end();
    this.emitted.push(...emitted);
    for (const { address, port, hex } of mirrored) {
      const index = work.find(({ slot }) => slot.address === address)?.index ?? 0;
      this.mirrored.push({ packet: this.packets + index, port, hex });
    }
  }

  /** Packets whose flow state is of an older schema, by that. */
  private outdated(work: Work[]): Map<number, Work[]> {
    const found = new Map<number, Work[]>();
    for (const each of work) {
      const { flow } = each;
      if (!flow || flow.schema === this.version.manifest.flowState?.schema || !this.stateOf(flow)) continue;
      found.set(flow.schema, [...(found.get(flow.schema) ?? []), each]);
    }
    return found;
  }

  /** Only flow states are migrate's to write. */
  private migrate(facts: BurstFacts, schema: number, work: Work[]): void {
    const kept = work.map(({ slot }) => slot.save());
    this.instance.migrate({ ...facts, generation: this.generation }, schema, addressesOf(work), this.segment.length);
    work.forEach((each, i) => {
      each.slot.restore(kept[i] as Buffer);
      each.isMigrated = true;
    });
  }

  /** The stage trapped: its writes are thrown away, and the failure strategy decides. */
  private fail(work: Work[], results: PacketResult[]): void {
    const isOpen = this.version.manifest.failure === "FailOpen";
    for (const { row, index, trace } of work) {
      const result = isOpen ? { verdict: "pass" as const, out: row.in, ...metaOf(row) } : dropped(row, "stage-failed");
      results[index] = { ...result, ...traceOf(trace) };
    }
  }

  private storeFlowState({ slot, flow, isMigrated }: Work): void {
    const { flowState } = this.version.manifest;
    if (!flow || !flowState) return;
    if (!isMigrated && (slot.read().flags & Flag.FLOW_WRITTEN) === 0) return;
    flow.state = Buffer.from(slot.flowState.subarray(0, flowState.size));
    flow.schema = flowState.schema;
  }

  private commit(work: Work): PacketResult {
    const { slot, parsed, flow } = work;
    const { manifest } = this.version;
    const out = slot.read();
    const facts = {
      ...{ table: out.table, mark: out.mark },
      ...traceOf(work.trace),
    };
    const drop = (reason: string): PacketResult => ({ verdict: "drop", reason, ...facts });
    if (out.verdict === Verdict.DROP) return drop(reasonName(manifest, out.reason));
    const isPossible = isPlacementPossible(out, work.headLength, parsed.bytes.length, manifest.writes);
    const isRedirect = out.verdict === Verdict.REDIRECT;
    const hasPort = !isRedirect || this.ports.includes(out.outPort);
    if (!isPossible || out.verdict > Verdict.REPLY || !hasPort) return drop("stage-invalid-output");
    const written = writeBack(parsed, out);
    if (isMalformed(written)) return drop(written.reason);
    if (out.verdict === Verdict.REPLY && flow?.packets === 1 && work.row.flow !== undefined) this.forget(work.row.flow);
    const redirect = isRedirect ? { outPort: out.outPort, nextHop: nextHopText(out.nextHop) } : {};
    return {
      verdict: verdictNames[out.verdict] as VerdictName,
      out: written.bytes.toString("hex"),
      ...facts,
      ...redirect,
    };
  }
}

const callPacketOf = ({ slot, parsed, row, trace, isSourceTaken }: Work): CallPacket => ({
  ...{ address: slot.address, bytes: parsed.bytes, isTraced: row.traced === true, trace, isSourceTaken },
});
const isListed = (row: PacketRow, { address, port }: SourceEnd): boolean =>
  row.takenSources?.some((taken) => taken.address === address && taken.port === port) ?? false;
const traceOf = (trace: Record<string, number>) => (Object.keys(trace).length > 0 ? { trace } : {});

const addressesOf = (work: Work[]): number[] => work.map(({ slot }) => slot.address);

function reasonName(manifest: Manifest, reason: number): string {
  if (reason === 0) return "unspecified";
  const own = manifest.dropReasons[reason - PLUGIN_REASON_BASE];
  return own ?? dropReasonNames[reason] ?? "stage-invalid-output";
}

const verdictNames: VerdictName[] = ["pass", "drop", "redirect", "reinput", "reply"];
const metaOf = (row: PacketRow) => ({ table: row.table ?? 0, mark: row.mark ?? 0 });
const dropped = (row: PacketRow, reason: string): PacketResult => ({ verdict: "drop", reason, ...metaOf(row) });

/** An IPv4 address stands in the first 4 bytes; zeroes are the packet's own destination. */
function nextHopText(bytes: Buffer): string {
  if (bytes.every((byte) => byte === 0)) return "";
  return addressText(bytes.subarray(4).every((byte) => byte === 0) ? bytes.subarray(0, 4) : bytes);
}
