// Source maps (ECMA-426) of modules: a module is one line, and a column is a byte's place in the file.

import { encode } from "@jridgewell/sourcemap-codec";
import { decodedMappings, type SourceMapInput, TraceMap } from "@jridgewell/trace-mapping";
import { SOURCE_MAP_SECTION } from "../generated/abi.js";
import { ModuleError } from "./errors.js";
import { type FunctionRange, functionAt } from "./functions.js";
import { MAIN_PATH } from "./main.js";
import { type FunctionBody, readFunctions } from "./sections.js";
import { readSections, withCustomSections } from "./wasm.js";

const SDK = "~lib/@sluice/sdk/";
/** The library's sources, in a map. */
const SHOWN_SDK = "~sdk/";
const URL_SECTION = "sourceMappingURL";

/** A place in a source; `file` is relative to the project, or starts with ~sdk/ or ~lib/. Line and column count from 1. */
export interface SourcePlace {
  file: string;
  line: number;
  column: number;
}
/** Where an instruction comes from. */
export interface SourceLocation extends SourcePlace {
  /** The source's function, such as "Batch#at"; outside of any, the module's. */
  function: string;
  /** For a place in the library: the nearest of the plugin's own before it in the function, most often the call's. */
  near?: SourcePlace;
}

export interface MapOptions {
  /** The plugin's sources' folder, from the project's; "" for the same. */
  folder: string;
  /** The sources' texts are part of the map, and every expression has its column; else every line its first. */
  hasTexts: boolean;
  /** By the compiler's path of a source. */
  functions: Map<string, FunctionRange[]>;
}

/** The compiler's map with the sources that it uses, named for readers. Holds no path of the machine. */
export function finishMap(compiled: string, { folder, hasTexts, functions }: MapOptions): string {
  const map = new TraceMap(compiled);
  const sources = new Index();
  const names = new Index();
  const finish = (segment: Segment): FinishedSegment => {
    const [column, source, line, atColumn] = segment;
    const path = source === undefined ? undefined : originalPath(map.sources[source]);
    if (path === undefined || path === MAIN_PATH || line === undefined || atColumn === undefined) return [column];
    const name = functionAt(functions.get(path), line + 1, atColumn);
    const place: [number, number, number, number] = [column, sources.of(path), line, atColumn];
    return name === undefined ? place : [...place, names.of(name)];
  };
  const finished = decodedMappings(map).map((line) => line.map(finish));
  const mappings = encode(hasTexts ? finished : finished.map(byLine));
  const textOf = (path: string) => map.sourcesContent?.[map.sources.findIndex((each) => originalPath(each) === path)];
  return JSON.stringify({
    version: 3,
    sources: sources.values.map((path) => shownPath(path, folder)),
    names: names.values,
    mappings,
    ...(hasTexts ? { sourcesContent: sources.values.map((path) => textOf(path) ?? null) } : {}),
  });
}

/** One segment for instructions in a row that come from one line: a third of the size. */
function byLine(segments: FinishedSegment[]): FinishedSegment[] {
  const kept: FinishedSegment[] = [];
  for (const segment of segments) {
    const [, source, line, , name] = segment;
    const [, lastSource, lastLine, , lastName] = kept.at(-1) ?? [];
    if (source !== undefined && (source !== lastSource || line !== lastLine || name !== lastName)) kept.push(segment);
  }
  return kept;
}

type FinishedSegment = [number] | [number, number, number, number] | [number, number, number, number, number];

/** Numbers for values, in the order of their first use. */
class Index {
  private readonly numbers = new Map<string, number>();
  of(value: string): number {
    const number = this.numbers.get(value) ?? this.numbers.size;
    this.numbers.set(value, number);
    return number;
  }
  get values(): string[] {
    return [...this.numbers.keys()];
  }
}

/** The compiler's path of a source; it puts a folder of its own before all. */
const originalPath = (source: string | null | undefined): string | undefined => source?.replace(/^\.\/stage\//, "");

/** How a map names a source. */
export function shownPath(path: string, folder: string): string {
  if (path.startsWith(SDK)) return SHOWN_SDK + path.slice(SDK.length);
  if (path.startsWith("~") || folder === "") return path;
  const parts: string[] = [];
  for (const part of `${folder}/${path}`.split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** The module with a map in it; `url` is where debuggers find it as a file. */
export function embedMap(wasm: Uint8Array, map: string, url?: string): Uint8Array {
  const text = new TextEncoder().encode(url ?? "");
  const link = url === undefined ? text : Uint8Array.from([text.length, ...text]);
  return withCustomSections(wasm, [
    [URL_SECTION, link],
    [SOURCE_MAP_SECTION, new TextEncoder().encode(map)],
  ]);
}

interface Parsed {
  functions: FunctionBody[];
  map?: TraceMap;
}
const parsed = new WeakMap<Uint8Array, Parsed>();

/**
 * The source of the instruction at a byte of the module's file, as V8's and Wasmtime's stack traces give it; null when the
 * byte is no code, or the module has no map. Throws ModuleError when the bytes are no module.
 */
export function sourceOf(wasm: Uint8Array, offset: number): SourceLocation | null {
  const { functions, map } = parse(wasm);
  const body = functions.find(({ start, end }) => start <= offset && offset < end);
  if (!body || !map) return null;
  const segments = decodedMappings(map)[0] ?? [];
  let index = segments.findLastIndex(([column]) => column <= offset);
  // An instruction without a place of its own belongs to the one before it.
  while (index >= 0 && segments[index]?.length === 1) index--;
  const place = placeAt(map, segments[index], body);
  if (!place) return null;
  const near = isOwn(place) ? undefined : nearestOwn(map, segments, index, body);
  const name = segments[index]?.[4];
  return {
    function: name === undefined ? body.name : (map.names[name] as string),
    ...place,
    ...(near ? { near } : {}),
  };
}

type Segment = ReturnType<typeof decodedMappings>[number][number];
function placeAt(map: TraceMap, segment: Segment | undefined, body: FunctionBody): SourcePlace | undefined {
  if (!segment || segment.length === 1 || segment[0] < body.start) return undefined;
  const file = map.sources[segment[1]];
  return file ? { file, line: segment[2] + 1, column: segment[3] + 1 } : undefined;
}

const isOwn = ({ file }: SourcePlace): boolean => !file.startsWith("~");

function nearestOwn(map: TraceMap, segments: Segment[], from: number, body: FunctionBody): SourcePlace | undefined {
  for (let index = from; index >= 0 && (segments[index] as Segment)[0] >= body.start; index--) {
    const place = placeAt(map, segments[index], body);
    if (place && isOwn(place)) return place;
  }
  return undefined;
}

function parse(wasm: Uint8Array): Parsed {
  const known = parsed.get(wasm);
  if (known) return known;
  const section = readSections(wasm).find(({ id, name }) => id === 0 && name === SOURCE_MAP_SECTION);
  const found: Parsed = { functions: readFunctions(wasm) };
  if (section) found.map = readMap(section.content);
  parsed.set(wasm, found);
  return found;
}

function readMap(content: Uint8Array): TraceMap {
  try {
    return new TraceMap(JSON.parse(new TextDecoder().decode(content)) as SourceMapInput);
  } catch (error) {
    const problem = `The module's source map cannot be read: ${(error as Error).message}`;
    throw new ModuleError("source-map", problem, "Build the plugin again", { cause: error });
  }
}
