// What a stage may ask of its host, by the rules of abi.json's imports.

import {
  EMIT_BASE,
  EMIT_SIZE,
  IMPORT_MODULE,
  type importFunctions,
  MAX_EMITS,
  PAYLOAD_BASE,
  PAYLOAD_SIZE,
} from "../generated/abi.js";
import { addressText } from "./addresses.js";
import { isMalformed, parsePacket } from "./parse.js";
import type { SourceEnd } from "./rows.js";

/** A packet of the call in work. */
export interface CallPacket {
  /** Of its slot. */
  address: number;
  /** As it was before the call, from its L3 header on. */
  bytes: Buffer;
  isTraced: boolean;
  /** What the stage notes goes in here, by name: the last value of each. */
  trace: Record<string, number>;
  /** Another flow owns the replies to the packet, if it left with this source. */
  isSourceTaken: (source: SourceEnd) => boolean;
}
/** A copy of a packet that a stage had sent. */
export interface Mirrored {
  /** Of the slot. */
  address: number;
  port: number;
  /** From its L3 header on. */
  hex: string;
}
/** What a call asked for that is done when it has returned, in order. */
export interface Asked {
  /** Hex of each packet, from its L3 header on. */
  emitted: string[];
  mirrored: Mirrored[];
}

/** A stage asked for what the host traps on. */
export class ImportTrap extends Error {
  override readonly name = "ImportTrap";
}

type ImportName = keyof typeof importFunctions;

/** The host's functions of one instance. */
export class HostImports {
  private packets = new Map<number, CallPacket>();
  private ports: number[] = [];
  private asked: Asked = { emitted: [], mirrored: [] };

  /** `traceValues`: names of the manifest. */
  constructor(
    private readonly memory: () => ArrayBuffer,
    private readonly traceValues: string[],
  ) {}

  /** A call of process begins. */
  begin(packets: CallPacket[], ports: number[]): void {
    this.packets = new Map(packets.map((packet) => [packet.address, packet]));
    this.ports = ports;
    this.asked = { emitted: [], mirrored: [] };
  }
  /** It has returned. After a trap nothing of this is done. */
  end(): Asked {
    this.packets = new Map();
    return this.asked;
  }

  /** For WebAssembly.Instance. */
  get module(): WebAssembly.Imports {
    const functions: Record<ImportName, (...args: never[]) => number | undefined> = {
      read_payload: (slot: number, offset: number, length: number) =>
        this.readPayload(slot, offset >>> 0, length >>> 0),
      emit: (length: number) => this.emit(length >>> 0),
      mirror: (slot: number, port: number, length: number) => this.mirror(slot, port >>> 0, length >>> 0),
      source_taken: (slot: number, high: bigint, low: bigint, port: number) =>
        this.sourceTaken(slot, BigInt.asUintN(64, high), BigInt.asUintN(64, low), port >>> 0),
      trace: (slot: number, name: number, value: bigint) => this.trace(slot, name >>> 0, value),
    };
    return { [IMPORT_MODULE]: functions as WebAssembly.ModuleImports };
  }

  private packetAt(slot: number, name: ImportName): CallPacket {
    const found = this.packets.get(slot);
    if (!found) throw new ImportTrap(`${name} of a slot that is not in the list`);
    return found;
  }

  private readPayload(slot: number, offset: number, length: number): number {
    const { bytes } = this.packetAt(slot, "read_payload");
    if (length > PAYLOAD_SIZE) throw new ImportTrap(`read_payload of ${length} bytes, at most ${PAYLOAD_SIZE} fit`);
    return bytes.copy(Buffer.from(this.memory(), PAYLOAD_BASE, length), 0, Math.min(offset, bytes.length));
  }

  private emit(length: number): number {
    const { emitted } = this.asked;
    if (emitted.length === MAX_EMITS || length > EMIT_SIZE) return 0;
    const parsed = parsePacket(Buffer.from(this.memory(), EMIT_BASE, length));
    if (isMalformed(parsed)) return 0;
    emitted.push(parsed.bytes.toString("hex"));
    return 1;
  }

  private mirror(slot: number, port: number, length: number): number {
    const { bytes } = this.packetAt(slot, "mirror");
    const { mirrored } = this.asked;
    const isDone = mirrored.some((each) => each.address === slot && each.port === port);
    if (isDone || !this.ports.includes(port)) return 0;
    mirrored.push({ address: slot, port, hex: bytes.subarray(0, length || bytes.length).toString("hex") });
    return 1;
  }

  private sourceTaken(slot: number, high: bigint, low: bigint, port: number): number {
    const { bytes, isSourceTaken } = this.packetAt(slot, "source_taken");
    if (port > 65535) throw new ImportTrap(`source_taken with port ${port}, the largest is 65535`);
    const address = Buffer.alloc(16);
    address.writeBigUInt64BE(high, 0);
    address.writeBigUInt64BE(low, 8);
    const isIpv4 = bytes.readUInt8(0) >> 4 === 4;
    return isSourceTaken({ address: addressText(address.subarray(isIpv4 ? 12 : 0)), port }) ? 1 : 0;
  }

  private trace(slot: number, index: number, value: bigint): undefined {
    const { isTraced, trace } = this.packetAt(slot, "trace");
    const name = this.traceValues[index];
    if (name === undefined)
      throw new ImportTrap(`trace of value ${index}, the manifest has ${this.traceValues.length}`);
    if (isTraced) trace[name] = Number(value);
  }
}
