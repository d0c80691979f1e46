import { createHash } from "node:crypto";
import { inspectModule, type ModuleInfo } from "./inspect.js";
import { kinds, readExports, readFunctions, readImports } from "./sections.js";
import { Reader, readSections, SectionId } from "./wasm.js";

/** A module, for people: what it says of itself, what it needs, and what takes the room. Sizes are in bytes. */
export interface ModuleDescription extends ModuleInfo {
  /** SHA-256 of the whole file, hex. */
  digest: string;
  size: number;
  /** "env.abort"; functions only, there can be no others. */
  imports: string[];
  exports: { name: string; kind: string }[];
  /** In the file's order; custom ones by their name, the others by the specification's. */
  sections: { name: string; isCustom: boolean; bytes: number }[];
  functionCount: number;
  /** The ten with the most code, largest first. */
  largestFunctions: { name: string; bytes: number }[];
}

const LARGEST = 10;
const sectionNames: Record<number, string> = {
  ...{ 1: "type", 2: "import", 3: "function", 4: "table", 5: "memory", 6: "global", 7: "export", 8: "start" },
  ...{ 9: "element", 10: "code", 11: "data", 12: "data count", 13: "tag" },
};

/** Checks a module against the ABI and describes it. Throws ModuleError. */
export function describeModule(wasm: Uint8Array): ModuleDescription {
  const info = inspectModule(wasm);
  const sections = readSections(wasm);
  const content = (id: number) => new Reader(sections.find((each) => each.id === id)?.content ?? Uint8Array.of(0));
  const functions = readFunctions(wasm).map(({ name, start, end }) => ({ name, bytes: end - start }));
  return {
    ...info,
    digest: createHash("sha256").update(wasm).digest("hex"),
    size: wasm.length,
    imports: readImports(content(SectionId.Import)).map(({ module, name }) => `${module}.${name}`),
    exports: readExports(content(SectionId.Export)).map(({ name, kind }) => ({ name, kind: kinds[kind] ?? "?" })),
    sections: sections.map(({ id, name, content }) => ({
      name: id === SectionId.Custom ? name : (sectionNames[id] ?? `section ${id}`),
      isCustom: id === SectionId.Custom,
      bytes: content.length,
    })),
    functionCount: functions.length,
    largestFunctions: functions.sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST),
  };
}
