import { inspectModule } from "../build/inspect.js";
import { hookNumber, type Manifest } from "../build/manifest.js";
import { dropReasonNames, Flag, MAX_SLOTS, PLUGIN_REASON_BASE, SLOT_HEAD_OFFSET, Verdict } from "../generated/abi.js";
import { addressText } from "./addresses.js";
import { crc32c } from "./checksums.js";
import { type BurstFacts, StageInstance } from "./instance.js";
import { isMalformed, type Malformed, type Parsed, parsePacket } from "./parse.js";
import type { CtStateName, PacketResult, PacketRow, Row, RowResult, StageExecutor, VerdictName } from "./rows.js";
import { isPlacementPossible, Slot, type SlotOutput } from "./slots.js";

const START_NS = 1_000_000_000n;
const START_WALL_NS = 1_700_000_000_000_000_000n;
const SCTP = 132;

/** Runs a stage's rows in Node's WebAssembly, by the rules of the native host. */
export class NodeStage implements StageExecutor {
  readonly name = "node";
  readonly manifest: Manifest;
  private readonly module: WebAssembly.Module;
  private readonly segments = new Map<string, Uint8Array>();

  /** Throws ModuleError when the module is no stage of this ABI. */
  constructor(wasm: Uint8Array) {
    this.manifest = inspectModule(wasm).manifest;
    this.module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
  }

  async run(row: Row): Promise<RowResult> {
    const segment = row.config === undefined ? new Uint8Array() : this.build(JSON.stringify(row.config));
    return new RowRun(this.manifest, new StageInstance(this.module), segment, row).run();
  }

  /** The segment for a configuration, built once. Throws ConfigureError. */
  build(text: string): Uint8Array {
    const known = this.segments.get(text);
    if (known) return known;
    const segment = new StageInstance(this.module).configure(text, this.manifest.segmentBytes);
    this.segments.set(text, segment);
    return segment;
  }
}

interface Flow {
  number: number;
  packets: number;
  /** The stage's state, as it was written last. */
  state?: Buffer;
}
interface Work {
  row: PacketRow;
  index: number;
  slot: Slot;
  parsed: Parsed;
  headLength: number;
  flow?: Flow;
}

/** One row on its way through one instance. */
class RowRun {
  private readonly flows = new Map<string, Flow>();
  private readonly results: PacketResult[] = [];
  private trap: RowResult["trap"];

  constructor(
    private readonly manifest: Manifest,
    private readonly instance: StageInstance,
    private readonly segment: Uint8Array,
    private readonly row: Row,
  ) {
    instance.publish(segment);
  }

  run(): RowResult {
    for (const burst of bursts(this.row)) this.runBurst(burst.facts, burst.packets);
    if (!this.trap && !this.instance.isPublished(this.segment)) {
      this.trap = {
        message: "the stage wrote to its config segment, which is read-only",
        packet: this.results.length - 1,
      };
    }
    const counters = this.manifest.counters.map((name, i) => [name, this.instance.counter(i)] as const);
    return { packets: this.results, counters: Object.fromEntries(counters), ...(this.trap ? { trap: this.trap } : {}) };
  }

  private runBurst(facts: BurstFacts, packets: [PacketRow, number][]): void {
    const work: Work[] = [];
    for (const [row, index] of packets) {
      const parsed = parsePacket(Buffer.from(row.in, "hex"));
      if (isMalformed(parsed)) this.results[index] = dropped(row, parsed.reason);
      else work.push(this.load(row, index, parsed, work.length));
    }
    const later = this.loadFlowStates(work, true);
    this.call(
      facts,
      work.filter((each) => !later.includes(each)),
    );
    if (later.length === 0) return;
    this.loadFlowStates(later, false);
    this.call(facts, later);
  }

  private load(row: PacketRow, index: number, parsed: Parsed, at: number): Work {
    const slot = new Slot(this.instance.memory, at);
    const flow = row.flow === undefined ? undefined : this.flow(row.flow);
    const usual: CtStateName = !flow ? "untracked" : flow.packets === 0 ? "new" : "established";
    if (flow) flow.packets++;
    if (flow && row.flowState !== undefined) flow.state = Buffer.from(row.flowState, "hex");
    const view = Math.ceil(this.manifest.headerBytes / 64) * 64;
    const headLength = slot.fill({ parsed, row, flow: flow?.number ?? 0, ctState: row.ctState ?? usual }, view);
    return { row, index, slot, parsed, headLength, ...(flow ? { flow } : {}) };
  }

  private flow(name: string): Flow {
    const found = this.flows.get(name) ?? { number: this.flows.size + 1, packets: 0 };
    this.flows.set(name, found);
    return found;
  }

  /** Of a flow whose state was never written, all but the first packet wait for a second call: those are returned. */
  private loadFlowStates(work: Work[], mayDefer: boolean): Work[] {
    const { flowState } = this.manifest;
    if (!flowState) return [];
    const first = new Set<Flow>();
    return work.filter(({ flow, slot }) => {
      slot.flowState.fill(0);
      if (flow?.state) slot.flowState.set(flow.state);
      slot.setNewSlot(flow !== undefined && flow.state === undefined);
      if (!flow || flow.state || !mayDefer) return false;
      const waits = first.has(flow);
      first.add(flow);
      return waits;
    });
  }

  private call(facts: BurstFacts, work: Work[]): void {
    if (work.length === 0) return;
    if (this.trap) {
      this.fail(work);
      return;
    }
    const addresses = work.map(({ slot }) => slot.address);
    try {
      this.instance.process(facts, addresses, this.segment.length);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const current = work[Math.min(this.instance.current, work.length - 1)];
      this.trap = { message: error.message, packet: current?.index ?? 0 };
      this.fail(work);
      return;
    }
    for (const each of work) this.storeFlowState(each);
    for (const each of work) this.results[each.index] = this.commit(each);
  }

  /** The stage trapped: its writes are thrown away, and the failure strategy decides. */
  private fail(work: Work[]): void {
    const isOpen = this.manifest.failure === "FailOpen";
    for (const { row, index } of work) {
      this.results[index] = isOpen ? { verdict: "pass", out: row.in, ...metaOf(row) } : dropped(row, "stage-failed");
    }
  }

  private storeFlowState({ slot, flow }: Work): void {
    const { flowState } = this.manifest;
    if (!flow || !flowState || (slot.read().flags & Flag.FLOW_WRITTEN) === 0) return;
    flow.state = Buffer.from(slot.flowState.subarray(0, flowState.size));
  }

  private commit(work: Work): PacketResult {
    const { slot, parsed, flow } = work;
    const out = slot.read();
    const flowState = this.manifest.flowState && flow?.state ? { flowState: flow.state.toString("hex") } : {};
    const facts = { table: out.table, mark: out.mark, ...flowState };
    const drop = (reason: string): PacketResult => ({ verdict: "drop", reason, ...facts });
    if (out.verdict === Verdict.DROP) return drop(this.reasonName(out.reason));
    const isPossible = isPlacementPossible(out, work.headLength, parsed.bytes.length, this.manifest.writes);
    const ports = this.row.ports ?? Array.from({ length: 16 }, (_, i) => i);
    const isRedirect = out.verdict === Verdict.REDIRECT;
    if (!isPossible || out.verdict > Verdict.REINPUT || (isRedirect && !ports.includes(out.outPort))) {
      return drop("stage-invalid-output");
    }
    const written = writeBack(work, out);
    if (isMalformed(written)) return drop(written.reason);
    const redirect = isRedirect ? { outPort: out.outPort, nextHop: nextHopText(out.nextHop) } : {};
    return {
      verdict: verdictNames[out.verdict] as VerdictName,
      out: written.bytes.toString("hex"),
      ...facts,
      ...redirect,
    };
  }

  private reasonName(reason: number): string {
    if (reason === 0) return "unspecified";
    const own = this.manifest.dropReasons[reason - PLUGIN_REASON_BASE];
    return own ?? dropReasonNames[reason] ?? "stage-invalid-output";
  }
}

const verdictNames: VerdictName[] = ["pass", "drop", "redirect", "reinput"];
const metaOf = (row: PacketRow) => ({ table: row.table ?? 0, mark: row.mark ?? 0 });
const dropped = (row: PacketRow, reason: string): PacketResult => ({ verdict: "drop", reason, ...metaOf(row) });

/** The packet with what the stage wrote; a new frame is parsed again unless it is to be received again anyway. */
function writeBack({ parsed }: Work, out: SlotOutput): { bytes: Buffer } | Malformed {
  if ((out.flags & Flag.WRITTEN) === 0) return { bytes: parsed.bytes };
  const push = SLOT_HEAD_OFFSET - out.head;
  const bytes = Buffer.concat([out.bytes, parsed.bytes.subarray(out.headLength - push)]);
  let facts = parsed;
  if (push !== 0 && out.verdict !== Verdict.REINPUT) {
    const again = parsePacket(bytes);
    if (isMalformed(again)) return again;
    facts = again;
  }
  const isWhole = (facts.flags & Flag.FRAGMENT) === 0 && facts.l4Offset !== 0;
  if ((out.flags & Flag.SCTP_CHECKSUM_STALE) !== 0 && facts.protocol === SCTP && isWhole)
    completeSctp(bytes.subarray(facts.l4Offset));
  return { bytes };
}

function completeSctp(segment: Buffer): void {
  segment.writeUInt32LE(0, 8);
  segment.writeUInt32LE(crc32c(segment), 8);
}

/** An IPv4 address stands in the first 4 bytes; zeroes are the packet's own destination. */
function nextHopText(bytes: Buffer): string {
  if (bytes.every((byte) => byte === 0)) return "";
  return addressText(bytes.subarray(4).every((byte) => byte === 0) ? bytes.subarray(0, 4) : bytes);
}

/** Packets that follow each other at one time and hook, up to a window's slots, go in one burst. */
function bursts(row: Row): { facts: BurstFacts; packets: [PacketRow, number][] }[] {
  const found: { key: string; facts: BurstFacts; packets: [PacketRow, number][] }[] = [];
  let at = 0;
  row.packets.forEach((packet, index) => {
    at = packet.at ?? at;
    const hook = packet.hook ?? row.hook;
    const last = found.at(-1);
    if (last && last.key === `${hook} ${at}` && last.packets.length < MAX_SLOTS) {
      last.packets.push([packet, index]);
      return;
    }
    const passed = BigInt(at) * 1_000_000n;
    const random = (BigInt(found.length + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    const facts = { hook: hookNumber(hook), nowNs: START_NS + passed, wallNs: START_WALL_NS + passed, random };
    found.push({ key: `${hook} ${at}`, facts, packets: [[packet, index]] });
  });
  return found;
}
