import {
  ABI_EXPORT,
  IMPORT_MODULE,
  importFunctions,
  MEMORY_PAGES,
  PRIVATE_BASE,
  PRIVATE_SIZE,
} from "../generated/abi.js";
import { ModuleError } from "./errors.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type Export, kinds, readExports } from "./sections.js";
import { Reader, readSections, type Section, SectionId } from "./wasm.js";

/** Types as in the binary format: i32 0x7f, i64 0x7e. */
interface FunctionType {
  parameters: number[];
  results: number[];
}
const FUNCTION = 0;
const MEMORY = 2;
const I32 = 0x7f;

const signature = (type: FunctionType): string => {
  const name = (code: number) => ({ 127: "i32", 126: "i64", 125: "f32", 124: "f64", 123: "v128" })[code] ?? "ref";
  return `(${type.parameters.map(name).join(", ")}) -> (${type.results.map(name).join(", ")})`;
};
/** Signatures of the functions that a module may import, by module and name. */
const importable = new Map([
  ["env.abort", "(i32, i32, i32, i32) -> ()"],
  ...Object.entries(importFunctions).map(
    ([name, { parameters, results }]) =>
      [`${IMPORT_MODULE}.${name}`, `(${parameters.join(", ")}) -> (${results.join(", ")})`] as const,
  ),
]);
const isType = (type: FunctionType | undefined, parameters: number, results: number): boolean =>
  type !== undefined &&
  type.parameters.length === parameters &&
  type.results.length === results &&
  [...type.parameters, ...type.results].every((code) => code === I32);

const fail = (code: ModuleError["code"], message: string, remedy: string): never => {
  throw new ModuleError(code, message, remedy);
};

/** Result of `inspectModule`. */
export interface ModuleInfo {
  manifest: Manifest;
  hasInit: boolean;
  hasConfigure: boolean;
  hasMigrate: boolean;
}

/**
 * Checks a module's shape against the ABI, without compiling it: manifest, imports, exports with their types, the memory,
 * data segments within PRIVATE, no start function. Throws ModuleError.
 */
export function inspectModule(wasm: Uint8Array): ModuleInfo {
  const sections = readSections(wasm);
  const manifest = readManifest(wasm);
  const content = (id: number): Reader =>
    new Reader(sections.find((each: Section) => each.id === id)?.content ?? Uint8Array.of(0));

  const types = readTypes(content(SectionId.Type));
  const imported = checkImports(content(SectionId.Import), types);
  const own = content(SectionId.Function);
  const functions = [...imported, ...own.list(() => own.unsigned())];
  checkMemory(content(SectionId.Memory));
  checkData(content(SectionId.Data));
  if (sections.some((each) => each.id === SectionId.Start)) {
    fail("start", "The module has a start function", "Export it as 'init': asc --exportStart init");
  }
  const exports = readExports(content(SectionId.Export));
  checkExports(exports, (index) => types[functions[index] ?? -1]);
  const has = (name: string) => exports.some((each) => each.name === name);
  if (manifest.migratesFrom.length > 0 && !has("migrate")) {
    fail("exports", "The manifest says migratesFrom, but there is no export 'migrate'", "Build the plugin again");
  }
  if (manifest.segmentBytes > 0 && !has("configure")) {
    const remedy = "Export configure, or make segmentBytes 0";
    fail("exports", "The manifest says segmentBytes, but there is no export 'configure'", remedy);
  }
  return { manifest, hasInit: has("init"), hasConfigure: has("configure"), hasMigrate: has("migrate") };
}

function readTypes(reader: Reader): FunctionType[] {
  return reader.list(() => {
    if (reader.byte() !== 0x60)
      fail("unsupported", "The module has types other than functions", "Build without GC types");
    return { parameters: reader.list(() => reader.byte()), results: reader.list(() => reader.byte()) };
  });
}

/** Type indices of the imported functions. */
function checkImports(reader: Reader, types: FunctionType[]): number[] {
  return reader.list(() => {
    const name = `${reader.name()}.${reader.name()}`;
    const kind = reader.byte();
    const expected = importable.get(name);
    if (expected === undefined || kind !== FUNCTION) {
      const remedy = `A stage may import nothing but the functions ${[...importable.keys()].join(", ")}`;
      return fail("imports", `The module imports the ${kinds[kind] ?? "?"} ${name}`, remedy);
    }
    const type = reader.unsigned();
    const found = types[type];
    if (found === undefined || signature(found) !== expected)
      fail("imports", `${name} has another type than the ABI's`, `It is ${expected}`);
    return type;
  });
}

function checkMemory(reader: Reader): void {
  const memories = reader.list(() => {
    const flags = reader.byte();
    const minimum = reader.unsigned();
    return { flags, minimum, maximum: flags & 1 ? reader.unsigned() : undefined };
  });
  const [memory] = memories;
  if (memories.length !== 1 || memory === undefined) {
    throw new ModuleError("memory", `The module defines ${memories.length} memories`, "It must define one, of its own");
  }
  if (memory.flags !== 1 || memory.minimum !== MEMORY_PAGES || memory.maximum !== MEMORY_PAGES) {
    const found = `${memory.minimum} to ${memory.maximum ?? "unlimited"} pages${memory.flags & 2 ? ", shared" : ""}`;
    fail(
      "memory",
      `The module's memory has ${found}`,
      `It must have ${MEMORY_PAGES} as minimum and maximum, not shared`,
    );
  }
}

function checkData(reader: Reader): void {
  let index = 0;
  reader.list(() => {
    const where = `Data segment ${index++}`;
    const flags = reader.unsigned();
    if (flags !== 0 && flags !== 2)
      return fail("data", `${where} is passive`, "Bulk memory is off: asc --disable bulk-memory");
    if (flags === 2 && reader.unsigned() !== 0)
      fail("data", `${where} is for another memory`, "There is one memory only");
    if (reader.byte() !== 0x41) fail("data", `${where} has no constant address`, "Build without imported globals");
    const start = Number(reader.signed() & 0xffffffffn);
    if (reader.byte() !== 0x0b) fail("data", `${where} has no constant address`, "Build without extended constants");
    const end = start + reader.take(reader.unsigned()).length;
    if (start < PRIVATE_BASE || end > PRIVATE_BASE + PRIVATE_SIZE) {
      const range = `0x${start.toString(16)} to 0x${end.toString(16)}`;
      fail("data", `${where} lies at ${range}`, `Data must lie below 0x${(PRIVATE_BASE + PRIVATE_SIZE).toString(16)}`);
    }
  });
}

function checkExports(exports: Export[], typeOf: (index: number) => FunctionType | undefined): void {
  const find = (name: string) => exports.find((each) => each.name === name);
  const expected: [name: string, parameters: number, results: number, required: boolean][] = [
    ["process", 2, 0, true],
    [ABI_EXPORT, 0, 1, true],
    ["init", 0, 0, false],
    ["configure", 0, 1, false],
    ["migrate", 2, 0, false],
  ];
  if (find("memory")?.kind !== MEMORY)
    fail("exports", "The module does not export its memory as 'memory'", "Export it");
  for (const [name, parameters, results, required] of expected) {
    const found = find(name);
    if (!found) {
      if (required) fail("exports", `The module does not export the function '${name}'`, "Build it with Sluice's SDK");
      continue;
    }
    const type = found.kind === FUNCTION ? typeOf(found.index) : undefined;
    if (!isType(type, parameters, results)) {
      const is = type ? signature(type) : `a ${kinds[found.kind] ?? "?"}`;
      const must = signature({ parameters: Array(parameters).fill(I32), results: Array(results).fill(I32) });
      fail("exports", `The export '${name}' is ${is}`, `It must be ${must}`);
    }
  }
}
