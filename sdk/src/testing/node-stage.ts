import { inspectModule } from "../build/inspect.js";
import { hookNumber, type Manifest } from "../build/manifest.js";
import { MAX_SLOTS } from "../generated/abi.js";
import { type BurstFacts, StageInstance } from "./instance.js";
import type { PacketResult, PacketRow, Row, RowResult, StageExecutor } from "./rows.js";
import { StageSession, type StageVersion } from "./session.js";
import { DEFAULT_TIME_LIMIT } from "./time-limit.js";

const START_NS = 1_000_000_000n;
const START_WALL_NS = 1_700_000_000_000_000_000n;

/** Runs a stage's rows in Node's WebAssembly, by the rules of the native host. */
export class NodeStage implements StageExecutor, StageVersion {
  /** Of the executor, for messages. */
  readonly name = "node";
  /** What the plugin says of itself. */
  readonly manifest: Manifest;
  /** The compiled module. */
  readonly module: WebAssembly.Module;
  private readonly segments = new Map<string, Uint8Array>();

  /** Throws ModuleError when the module is no stage of this ABI. */
  constructor(readonly wasm: Uint8Array) {
    this.manifest = inspectModule(wasm).manifest;
    this.module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
  }

  /** Rejects with ConfigureError when the stage refuses the row's configuration. */
  async run(row: Row): Promise<RowResult> {
    const segment = row.config === undefined ? new Uint8Array() : this.build(JSON.stringify(row.config));
    const options = { timeLimit: DEFAULT_TIME_LIMIT, ...(row.ports ? { ports: row.ports } : {}) };
    const session = new StageSession(this, segment, options);
    const packets: PacketResult[] = [];
    for (const burst of bursts(row)) packets.push(...session.burst(burst.facts, burst.packets));
    session.checkSegment();
    const { emitted, mirrored, metrics, trap } = session;
    return { packets, emitted, mirrored, ...metrics, ...(trap ? { trap } : {}) };
  }

  /** The segment for a configuration, built once. Throws ConfigureError. */
  build(text: string): Uint8Array {
    const known = this.segments.get(text);
    if (known) return known;
    const segment = new StageInstance(this.module, this.manifest.traceValues).configure(
      text,
      this.manifest.segmentBytes,
    );
    this.segments.set(text, segment);
    return segment;
  }
}

/** What a stage is told about its burst number `burst` (from 0), so many nanoseconds after the start. */
export function burstFacts(hook: number, passedNs: bigint, burst: number, startWallNs = START_WALL_NS): BurstFacts {
  const random = (BigInt(burst + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
  return { hook, nowNs: START_NS + passedNs, wallNs: startWallNs + passedNs, random };
}

/** Packets that follow each other at one time and hook, up to a window's slots, go in one burst. */
function bursts(row: Row): { facts: BurstFacts; packets: PacketRow[] }[] {
  const found: { key: string; facts: BurstFacts; packets: PacketRow[] }[] = [];
  let at = 0;
  for (const packet of row.packets) {
    at = packet.at ?? at;
    const hook = packet.hook ?? row.hook;
    const last = found.at(-1);
    if (last && last.key === `${hook} ${at}` && last.packets.length < MAX_SLOTS) {
      last.packets.push(packet);
      continue;
    }
    const facts = burstFacts(hookNumber(hook), BigInt(at) * 1_000_000n, found.length);
    found.push({ key: `${hook} ${at}`, facts, packets: [packet] });
  }
  return found;
}
