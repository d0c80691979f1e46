// Just enough of the WebAssembly binary format to check a module's shape before anything compiles it.
// https://webassembly.github.io/spec/core/binary/modules.html

import { ModuleError } from "./errors.js";

const broken = (what: string) =>
  new ModuleError("not-wasm", `The module is not valid WebAssembly: ${what}`, "Build it again");

export class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public position = 0,
    readonly end = bytes.length,
  ) {}

  get done(): boolean {
    return this.position >= this.end;
  }
  byte(): number {
    const value = this.position < this.end ? this.bytes[this.position++] : undefined;
    if (value === undefined) throw broken("it ends too early");
    return value;
  }
  /** LEB128, unsigned, up to 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw broken("a number is too long");
  }
  /** LEB128, signed, 32 or 64 bits. */
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return byte & 0x40 ? value - (1n << (shift + 7n)) : value;
    }
    throw broken("a number is too long");
  }
  take(length: number): Uint8Array {
    if (this.position + length > this.end) throw broken("it ends too early");
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }
  name(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }
  list<T>(item: () => T): T[] {
    return Array.from({ length: this.unsigned() }, item);
  }
}

export interface Section {
  id: number;
  /** Of custom sections (id 0). */
  name: string;
  content: Uint8Array;
  /** The whole section, header included. */
  bytes: Uint8Array;
}

export const SectionId = {
  Custom: 0,
  Type: 1,
  Import: 2,
  Function: 3,
  Table: 4,
  Memory: 5,
  Global: 6,
  Export: 7,
  Start: 8,
  Code: 10,
  Data: 11,
} as const;

export function readSections(wasm: Uint8Array): Section[] {
  const reader = new Reader(wasm);
  const magic = wasm.subarray(0, 8);
  if (!Buffer.from(magic).equals(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])))
    throw broken("it does not start with \\0asm and version 1");
  reader.position = 8;
  const sections: Section[] = [];
  while (!reader.done) {
    const start = reader.position;
    const id = reader.byte();
    const content = reader.take(reader.unsigned());
    const bytes = wasm.subarray(start, reader.position);
    if (id !== 0) {
      sections.push({ id, name: "", content, bytes });
      continue;
    }
    const inner = new Reader(content);
    const name = inner.name();
    sections.push({ id, name, content: content.subarray(inner.position), bytes });
  }
  return sections;
}

function encodeUnsigned(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/**
 * The module with custom sections of these names put last, in this order; sections that had the names are gone. Code keeps its
 * place in the file when those lay behind it, as compilers write them.
 */
export function withCustomSections(wasm: Uint8Array, sections: [name: string, content: Uint8Array][]): Uint8Array {
  const names = sections.map(([name]) => name);
  const kept = readSections(wasm).filter(({ id, name }) => id !== SectionId.Custom || !names.includes(name));
  const added = sections
    .filter(([, content]) => content.length > 0)
    .map(([name, content]) => customSection(name, content));
  return new Uint8Array(Buffer.concat([wasm.subarray(0, 8), ...kept.map(({ bytes }) => bytes), ...added]));
}

function customSection(name: string, content: Uint8Array): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  const body = [encodeUnsigned(encoded.length), encoded, content];
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(SectionId.Custom), encodeUnsigned(length), ...body]);
}
