import {
  BURST_COUNT,
  BURST_CURRENT,
  BURST_ERROR_LENGTH,
  BURST_ERROR_TEXT,
  BURST_GENERATION,
  BURST_HOOK,
  BURST_INPUT_LENGTH,
  BURST_NOW_NS,
  BURST_RANDOM,
  BURST_SEGMENT_BASE,
  BURST_SEGMENT_SIZE,
  BURST_SPARE_BASE,
  BURST_SPARE_SIZE,
  BURST_WALL_NS,
  BURST_WORKERS,
  COUNTERS_BASE,
  COUNTERS_SIZE,
  ConfigureResult,
  INPUT_BASE,
  INPUT_SIZE,
  SEGMENT_A_BASE,
  SEGMENT_B_BASE,
  SEGMENT_B_SIZE,
  SLOT_LIST_OFFSET,
  WINDOW_BASE,
} from "../generated/abi.js";
import { HostImports } from "./imports.js";
import { ConfigureError } from "./rows.js";

/** What a call is told about the burst. */
export interface BurstFacts {
  hook: number;
  nowNs: bigint;
  wallNs: bigint;
  random: bigint;
  /** Configuration generation; default 1. */
  generation?: number;
}

interface StageExports {
  memory: WebAssembly.Memory;
  process(hook: number, count: number): void;
  init?(): void;
  configure?(): number;
  migrate?(from: number, count: number): void;
}

/** The stage called abort: a failed assertion, a `throw`, an index out of range in AssemblyScript's library. */
export class StageAbort extends Error {
  override readonly name = "StageAbort";
}

/** One instance of a stage in Node's WebAssembly, with the regions at the ABI's addresses. */
export class StageInstance {
  readonly memory: ArrayBuffer;
  readonly imports: HostImports;
  private readonly exports: StageExports;
  private readonly burst: Buffer;

  /** `traceValues`: names of the manifest. */
  constructor(module: WebAssembly.Module, traceValues: string[]) {
    const abort = (message: number, file: number, line: number, column: number): never => {
      const place = file === 0 ? "" : ` at ${this.text(file)}:${line}:${column}`;
      throw new StageAbort(`${message === 0 ? "abort" : this.text(message)}${place}`);
    };
    this.imports = new HostImports(() => this.memory, traceValues);
    const imports = { env: { abort }, ...this.imports.module };
    this.exports = new WebAssembly.Instance(module, imports).exports as unknown as StageExports;
    this.memory = this.exports.memory.buffer;
    this.burst = Buffer.from(this.memory, WINDOW_BASE, 4096);
    this.exports.init?.();
  }

  /** Builds the config segment. Throws ConfigureError when the stage refuses the text. */
  configure(text: string, segmentBytes: number): Uint8Array {
    const input = Buffer.from(text, "utf8");
    if (!this.exports.configure) throw new ConfigureError("the stage takes no configuration: it has no configure");
    if (input.length > INPUT_SIZE)
      throw new ConfigureError(`the configuration has ${input.length} bytes, at most ${INPUT_SIZE} fit`);
    input.copy(Buffer.from(this.memory, INPUT_BASE, input.length));
    this.burst.writeUInt32LE(input.length, BURST_INPUT_LENGTH);
    this.burst.writeUInt32LE(SEGMENT_A_BASE, BURST_SEGMENT_BASE);
    this.burst.writeUInt32LE(segmentBytes, BURST_SEGMENT_SIZE);
    this.burst.writeUInt32LE(SEGMENT_B_BASE, BURST_SPARE_BASE);
    this.burst.writeUInt32LE(SEGMENT_B_SIZE, BURST_SPARE_SIZE);
    const result = this.exports.configure();
    if (result !== ConfigureResult.OK) {
      const silent =
        result === ConfigureResult.TOO_LARGE ? "the tables do not fit in segmentBytes" : "it gives no reason";
      throw new ConfigureError(this.errorText() || silent);
    }
    return new Uint8Array(this.memory, SEGMENT_A_BASE, segmentBytes).slice();
  }

  /** Calls the stage on the slots at these addresses. */
  process(facts: BurstFacts, addresses: number[], segmentBytes: number): void {
    this.list(facts, addresses, segmentBytes);
    this.exports.process(facts.hook, addresses.length);
  }

  /** Has the flow states of these slots upgraded from an older schema; inspectModule has seen to it that there is migrate. */
  migrate(facts: BurstFacts, schema: number, addresses: number[], segmentBytes: number): void {
    this.list(facts, addresses, segmentBytes);
    this.exports.migrate?.(schema, addresses.length);
  }

  private list(facts: BurstFacts, addresses: number[], segmentBytes: number): void {
    addresses.forEach((address, i) => {
      this.burst.writeUInt32LE(address, SLOT_LIST_OFFSET + i * 4);
    });
    this.burst.writeUInt32LE(addresses.length, BURST_COUNT);
    this.burst.writeUInt32LE(facts.hook, BURST_HOOK);
    this.burst.writeBigUInt64LE(facts.nowNs, BURST_NOW_NS);
    this.burst.writeUInt32LE(SEGMENT_A_BASE, BURST_SEGMENT_BASE);
    this.burst.writeUInt32LE(segmentBytes, BURST_SEGMENT_SIZE);
    this.burst.writeUInt32LE(facts.generation ?? 1, BURST_GENERATION);
    this.burst.writeUInt32LE(0, BURST_CURRENT);
    this.burst.writeUInt32LE(1, BURST_WORKERS);
    this.burst.writeBigUInt64LE(facts.random, BURST_RANDOM);
    this.burst.writeBigUInt64LE(facts.wallNs, BURST_WALL_NS);
  }

  /** The worker's copy of a segment. */
  publish(segment: Uint8Array): void {
    new Uint8Array(this.memory, SEGMENT_A_BASE, segment.length).set(segment);
  }
  /** False when the stage wrote where a packet thread would trap: its segment is read-only there. */
  isPublished(segment: Uint8Array): boolean {
    return Buffer.from(this.memory, SEGMENT_A_BASE, segment.length).equals(segment);
  }

  /** The metrics' cells, from the first counter's. */
  cells(): BigUint64Array {
    return new BigUint64Array(this.memory, COUNTERS_BASE, COUNTERS_SIZE / 8);
  }
  /** Index in the list of the packet in work. */
  get current(): number {
    return this.burst.readUInt32LE(BURST_CURRENT);
  }

  private errorText(): string {
    const length = this.burst.readUInt32LE(BURST_ERROR_LENGTH);
    return this.burst.toString("utf8", BURST_ERROR_TEXT, BURST_ERROR_TEXT + length);
  }
  /** An AssemblyScript string: UTF-16 at its address, its length in bytes in the 4 bytes before. */
  private text(address: number): string {
    const length = Buffer.from(this.memory, address - 4, 4).readUInt32LE();
    return Buffer.from(this.memory, address, length).toString("utf16le");
  }
}
