// What a module's sections say of its functions: where their code lies in the file, and what they are called.

import { Reader, readSections, SectionId } from "./wasm.js";

export interface FunctionBody {
  /** Index among all functions, imported ones first. */
  index: number;
  /** The compiler's name for it, or "function 12". */
  name: string;
  /** Bytes in the module's file: first, and behind the last. */
  start: number;
  end: number;
}

const FUNCTION_NAMES = 1;

/** The functions that a module defines, in the order of their code. Throws ModuleError when it is not WebAssembly. */
export function readFunctions(wasm: Uint8Array): FunctionBody[] {
  const sections = readSections(wasm);
  const imports = sections.find(({ id }) => id === SectionId.Import);
  const code = sections.find(({ id }) => id === SectionId.Code);
  if (!code) return [];
  const first = imports ? countImportedFunctions(new Reader(imports.content)) : 0;
  const names = readNames(sections.find(({ id, name }) => id === SectionId.Custom && name === "name")?.content);
  const base = code.content.byteOffset - wasm.byteOffset;
  const reader = new Reader(code.content);
  const bodies = reader.list(() => {
    const size = reader.unsigned();
    const start = base + reader.position;
    reader.take(size);
    return { start, end: start + size };
  });
  return bodies.map((body, i) => ({
    index: first + i,
    name: names.get(first + i) ?? `function ${first + i}`,
    ...body,
  }));
}

/** By their numbers in the binary format. */
export const kinds = ["function", "table", "memory", "global", "tag"];

export interface Export {
  name: string;
  kind: number;
  index: number;
}
export function readExports(reader: Reader): Export[] {
  return reader.list(() => ({ name: reader.name(), kind: reader.byte(), index: reader.unsigned() }));
}

/** One import. `type`: index of a function's type; `kind`: 0 function, 1 table, 2 memory, 3 global. */
export interface Import {
  module: string;
  name: string;
  kind: number;
  type?: number;
}
export function readImports(reader: Reader): Import[] {
  return reader.list(() => {
    const module = reader.name();
    const name = reader.name();
    const kind = reader.byte();
    if (kind === 0) return { module, name, kind, type: reader.unsigned() };
    if (kind === 3) reader.take(2);
    else {
      if (kind === 1) reader.byte();
      const flags = reader.byte();
      reader.unsigned();
      if (flags & 1) reader.unsigned();
    }
    return { module, name, kind };
  });
}
const countImportedFunctions = (reader: Reader): number => readImports(reader).filter(({ kind }) => kind === 0).length;

/** The name section's names of functions, https://webassembly.github.io/spec/core/appendix/custom.html */
function readNames(content: Uint8Array | undefined): Map<number, string> {
  const names = new Map<number, string>();
  if (!content) return names;
  for (const reader = new Reader(content); !reader.done; ) {
    const id = reader.byte();
    const part = new Reader(reader.take(reader.unsigned()));
    if (id !== FUNCTION_NAMES) continue;
    part.list(() => names.set(part.unsigned(), part.name()));
  }
  return names;
}
