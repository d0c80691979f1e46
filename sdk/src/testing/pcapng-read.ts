import type { ByteSource } from "./byte-source.js";
import { CUT_REMEDY, linkTypeOf, MAX_CAPTURED, PcapError, type PcapPacket } from "./pcap-format.js";

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const PACKET = 6;
const MAGIC = 0x1a2b3c4d;

interface Face {
  linkType: PcapPacket["linkType"];
  name?: string;
  snapLength: number;
  /** Nanoseconds of a time's unit are numerator / denominator. */
  numerator: bigint;
  denominator: bigint;
  /** Nanoseconds. */
  timeOffset: bigint;
}

export function* readPcapng(source: ByteSource): Generator<PcapPacket, void, undefined> {
  const reader = new SectionReader(source);
  for (let block = reader.next(); block; block = reader.next()) {
    const packet = reader.read(block);
    if (packet) yield packet;
  }
}

interface Block {
  type: number;
  offset: number;
  body: Buffer;
}

class SectionReader {
  private isLittle = true;
  private faces: Face[] = [];
  private packets = 0;

  constructor(private readonly source: ByteSource) {}

  private u32(bytes: Buffer, at: number): number {
    return this.isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }
  private u16(bytes: Buffer, at: number): number {
    return this.isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }
  private fail(problem: string, remedy: string, offset: number, isPacket = false): never {
    throw new PcapError(this.source.file, problem, remedy, offset, isPacket ? this.packets : undefined);
  }

  /** The next block; undefined at the file's end. */
  next(): Block | undefined {
    const { source } = this;
    const { offset } = source;
    const start = source.peek(12);
    if (start.length === 0) return undefined;
    if (start.length < 12) this.cut(start.length, 12, offset);
    const isSection = start.readUInt32BE(0) === SECTION;
    if (isSection) this.beginSection(start, offset);
    const type = isSection ? SECTION : this.u32(start, 0);
    const length = this.u32(start, 4);
    if (length < 12 || length % 4 !== 0 || length > MAX_CAPTURED)
      this.fail(
        `a block is said to have ${length} bytes`,
        "The file is damaged from here on: capture it again",
        offset,
      );
    const bytes = source.take(length);
    if (bytes.length < length) this.cut(bytes.length, length, offset);
    return { type, offset, body: bytes.subarray(8, length - 4) };
  }

  private cut(found: number, length: number, offset: number): never {
    return this.fail(`a block has ${found} of ${length} bytes (after packet ${this.packets})`, CUT_REMEDY, offset);
  }

  private beginSection(start: Buffer, offset: number): void {
    this.isLittle = start.readUInt32LE(8) === MAGIC;
    if (!this.isLittle && start.readUInt32BE(8) !== MAGIC)
      this.fail("a section has no byte order", "The file is damaged: capture it again", offset);
    this.faces = [];
  }

  /** The packet, if the block is one. */
  read({ type, offset, body }: Block): PcapPacket | undefined {
    if (type === INTERFACE) this.faces.push(this.readInterface(body, offset));
    if (type === PACKET) return this.readPacket(body, offset);
    if (type === SIMPLE_PACKET) return this.readSimple(body, offset);
    return undefined;
  }

  private readInterface(body: Buffer, offset: number): Face {
    this.need(body, 8, offset, "an interface's block");
    const face: Face = {
      linkType: linkTypeOf(this.source.file, this.u16(body, 0), offset),
      snapLength: this.u32(body, 4),
      ...{ numerator: 1000n, denominator: 1n, timeOffset: 0n },
    };
    for (const [code, value] of this.options(body.subarray(8))) {
      if (code === 2) face.name = value.toString("utf8").replace(/\0+$/, "");
      if (code === 9 && value.length === 1) Object.assign(face, resolution(value.readUInt8(0)));
      if (code === 14 && value.length === 8)
        face.timeOffset = (this.isLittle ? value.readBigInt64LE(0) : value.readBigInt64BE(0)) * 1_000_000_000n;
    }
    return face;
  }

  private *options(bytes: Buffer): Generator<[code: number, value: Buffer]> {
    for (let at = 0; at + 4 <= bytes.length; ) {
      const [code, length] = [this.u16(bytes, at), this.u16(bytes, at + 2)];
      if (code === 0) return;
      yield [code, bytes.subarray(at + 4, at + 4 + length)];
      at += 4 + ((length + 3) & ~3);
    }
  }

  private readPacket(body: Buffer, offset: number): PcapPacket {
    this.packets++;
    this.need(body, 20, offset, "a packet's block", true);
    const face = this.face(this.u32(body, 0), offset);
    const captured = this.u32(body, 12);
    this.need(body, 20 + captured, offset, "a packet's block", true);
    const time = (BigInt(this.u32(body, 4)) << 32n) | BigInt(this.u32(body, 8));
    return {
      bytes: body.subarray(20, 20 + captured),
      linkType: face.linkType,
      at: (time * face.numerator) / face.denominator + face.timeOffset,
      length: this.u32(body, 16),
      ...(face.name === undefined ? {} : { interface: face.name }),
    };
  }

  /** Of the first interface, without a time. */
  private readSimple(body: Buffer, offset: number): PcapPacket {
    this.packets++;
    this.need(body, 4, offset, "a packet's block", true);
    const face = this.face(0, offset);
    const length = this.u32(body, 0);
    const captured = Math.min(length, face.snapLength || length);
    this.need(body, 4 + captured, offset, "a packet's block", true);
    const name = face.name === undefined ? {} : { interface: face.name };
    return { bytes: body.subarray(4, 4 + captured), linkType: face.linkType, at: 0n, length, ...name };
  }

  private face(number: number, offset: number): Face {
    const none = "The file is damaged: capture it again";
    return (
      this.faces[number] ?? this.fail(`the packet is of interface ${number}, which there is not`, none, offset, true)
    );
  }

  private need(body: Buffer, length: number, offset: number, what: string, isPacket = false): void {
    if (body.length >= length) return;
    const problem = `${what} has ${body.length} bytes for what needs ${length}`;
    this.fail(problem, "The file is damaged from here on: capture it again", offset, isPacket);
  }
}

/** if_tsresol: a negative power of 10, or of 2 with the upper bit set. */
function resolution(value: number): Pick<Face, "numerator" | "denominator"> {
  const exponent = BigInt(value & 127);
  return { numerator: 1_000_000_000n, denominator: (value & 128) !== 0 ? 1n << exponent : 10n ** exponent };
}
