import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { MEMORY_PAGES, PRIVATE_BASE, PRIVATE_SIZE } from "../generated/abi.js";
import type { BinaryenModule, Parser, Program } from "./ast.js";
import { SourceKind } from "./ast.js";
import { CallGraph } from "./callgraph.js";
import { allocationProblems, flowStateProblems, flowStateSize, sizeProblems } from "./checks.js";
import { DeclarationCollector, type Declarations } from "./declarations.js";
import { BuildError, type Diagnostic, formatDiagnostic } from "./errors.js";
import { type FunctionRange, functionRanges } from "./functions.js";
import { MAIN_PATH, mainSource } from "./main.js";
import { remedyFor } from "./remedies.js";

export interface CompileInput {
  /** The plugin's main file. */
  entry: string;
  /** Its text, when it is not to be read from disk. */
  source?: string;
  /** True: no file is read but the SDK's. */
  isAlone?: boolean;
  /** Keeps the compiler's assertions, optimises nothing. */
  debug: boolean;
}
export interface CompileOutput {
  /** With a name section. */
  wasm: Uint8Array;
  /** The compiler's source map of it; sources as the compiler names them. */
  sourceMap: string;
  functions: Map<string, FunctionRange[]>;
  declarations: Declarations;
  flowStateSize: number;
  /** A hook can change header bytes, HEAD or lengths. */
  writes: boolean;
  settles: boolean;
  warnings: Diagnostic[];
}

const sdkFolder = resolve(dirname(fileURLToPath(import.meta.url)), "../../assembly");
/** The SDK's own file for a path inside some node_modules/@sluice/sdk: sources anywhere on disk import the SDK. */
const sdkFile = /(?:^|[\\/])node_modules[\\/]@sluice[\\/]sdk[\\/](.*)$/;
const RUNTIME = "runtime.ts";
/** What takes the place of files of AssemblyScript's library. */
const REPLACED = { "rt/stub": RUNTIME, "util/memory": "memory.ts" };
/** Static data starts here, so that the zero page stays free: a read through a null view finds zeroes. */
const MEMORY_BASE = 4096;
const SETTLE_MARKER = "~lib/@sluice/sdk/packet/Packet#settle";
const WRITE_MARKER = "~lib/@sluice/sdk/slot/PacketBytes#markWritten";

/**
 * The SDK's functions for what few packets need. Where they were inlined, the values of all other packets would have to go
 * over the stack, for want of registers.
 */
const RARE = "~lib/@sluice/sdk/*/rarely*";

const options = (file: string, debug: boolean): string[] => [
  file,
  ...(debug ? ["--optimizeLevel", "0"] : ["--optimizeLevel", "3", "--shrinkLevel", "0", "--noAssert"]),
  ...["--runtime", "stub", "--disable", "bulk-memory", "--debug", "--sourceMap"],
  ...["--exportStart", "init", "--memoryBase", String(MEMORY_BASE), "--noColors"],
  ...["--initialMemory", String(MEMORY_PAGES), "--maximumMemory", String(MEMORY_PAGES), "--outFile", "stage.wasm"],
];

/** Runs the AssemblyScript compiler with the SDK's transform. Throws BuildError. */
export async function compile(input: CompileInput): Promise<CompileOutput> {
  if (input.source === undefined) await checkReadable(input.entry);
  const { asc, optimiser, library } = await loadCompiler();
  const folder = dirname(resolve(input.entry));
  const file = basename(input.entry);
  const diagnostics: Diagnostic[] = [];
  const sources = new Map<string, string>();
  let wasm: Uint8Array | undefined;
  let sourceMap: string | undefined;
  let functions: CompileOutput["functions"] = new Map();
  let collector: DeclarationCollector | undefined;
  let graph: CallGraph | undefined;
  let program: Program | undefined;

  class SluiceTransform {
    declare readonly program: Program;
    afterParse(parser: Parser): void {
      program = this.program;
      functions = functionRanges(parser.sources);
      collector = new DeclarationCollector(parser);
      for (const source of parser.sources) {
        if (source.sourceKind === SourceKind.UserEntry) source.sourceKind = SourceKind.User;
      }
      collector.collect();
      if (collector.diagnostics.length > 0) throw new BuildError(collector.diagnostics);
      const main = mainSource(collector.found);
      sources.set(MAIN_PATH, main);
      parser.parseFile(main, MAIN_PATH, true);
    }
    afterCompile(module: BinaryenModule): void {
      const text = module.emitText();
      graph = new CallGraph(text);
      const found = (collector as DeclarationCollector).found;
      const problems = [
        ...allocationProblems(graph, this.program),
        ...flowStateProblems(graph, found),
        ...sizeProblems(text),
      ];
      if (problems.length > 0) throw new BuildError(problems); // before the optimiser, which takes the most time
      // Nothing lies below MEMORY_BASE, so a small number that is added to an address can go into the access itself. With a
      // base given, the compiler does not say so by itself.
      optimiser.setLowMemoryUnused(true);
      optimiser.setPassArgument("no-inline", RARE);
      module.runPasses(["no-inline"]);
    }
  }

  const result = await asc.main(options(file, input.debug), {
    readFile: async (name: string, base: string) => {
      if (name === file && input.source !== undefined) return remember(sources, name, input.source);
      if (name === "asconfig.json") return null;
      const sdk = sdkFile.exec(name)?.[1];
      if (sdk !== undefined) return rememberIfFound(sources, name, library.get(sdk));
      if (input.isAlone) return null;
      const path = resolve(base === "." ? folder : join(folder, base), name);
      return readFile(path, "utf8").then(
        (text) => remember(sources, name, text),
        (error: NodeJS.ErrnoException) => {
          // asc asks for many candidates; it reports a file that none of them is
          if (error.code !== "ENOENT" && error.code !== "ENOTDIR") diagnostics.push(unreadable(name, error));
          return null;
        },
      );
    },
    writeFile: (_name: string, contents: Uint8Array | string) => {
      if (typeof contents === "string") sourceMap = contents;
      else wasm = contents;
    },
    listFiles: () => [],
    transforms: [SluiceTransform as never],
    reportDiagnostic: (reported: unknown) => {
      const diagnostic = convert(reported as AscDiagnostic, sources);
      const isKnown = diagnostics.some((each) => formatDiagnostic(each) === formatDiagnostic(diagnostic));
      if (!isKnown) diagnostics.push(diagnostic); // the parser and the compiler may both tell of one
    },
  });
  const errors = diagnostics.filter((each) => each.severity === "error");
  if (errors.length > 0) throw new BuildError(errors);
  if (result.error instanceof BuildError) throw result.error;
  if (result.error || !wasm || !sourceMap || !collector || !graph || !program) {
    const message = result.error?.message ?? "the compiler wrote no module";
    throw new BuildError([{ severity: "error", code: "compiler", message, file }]);
  }
  return {
    wasm,
    sourceMap,
    functions,
    declarations: collector.found,
    flowStateSize: flowStateSize(collector.found, program),
    writes: graph.pathFrom("process", (name) => name === WRITE_MARKER) !== undefined,
    settles: graph.pathFrom("process", (name) => name === SETTLE_MARKER) !== undefined,
    warnings: diagnostics,
  };
}

interface Compiler {
  readonly asc: typeof import("assemblyscript/asc");
  readonly optimiser: typeof import("assemblyscript/binaryen").default;
  /** The SDK's own files, by their paths in it: read once, as there are many, and each is asked for by several names. */
  readonly library: ReadonlyMap<string, string>;
}

let compiler: Promise<Compiler> | undefined;

function loadCompiler(): Promise<Compiler> {
  compiler ??= load();
  return compiler;
}

/**
 * The compiler's optimiser is a WebAssembly module of some 12,000 functions. V8 would compile the hot ones twice, which takes
 * longer than one build: 4.4 against 2.4 s of processor time for a first build of a plugin with a large configuration.
 * The flag counts for modules that are made while it is set.
 */
async function load(): Promise<Compiler> {
  setFlagsFromString("--liftoff-only");
  const asc = await import("assemblyscript/asc").finally(() => setFlagsFromString("--no-liftoff-only"));
  const { default: optimiser } = await import("assemblyscript/binaryen");
  const library = await readLibrary();
  for (const [place, file] of Object.entries(REPLACED)) asc.libraryFiles[place] = library.get(file) as string;
  return { asc, optimiser, library };
}

async function readLibrary(): Promise<Map<string, string>> {
  const names = (await readdir(sdkFolder, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(names.map((name) => readFile(join(sdkFolder, name), "utf8")));
  const library = new Map(names.map((name, index) => [name.split(sep).join("/"), texts[index] as string]));
  const runtime = library.get(RUNTIME) as string;
  return library.set(
    RUNTIME,
    runtime.replace("const END: usize = 0;", `const END: usize = ${PRIVATE_BASE + PRIVATE_SIZE};`),
  );
}

async function checkReadable(entry: string): Promise<void> {
  await readFile(entry).catch((error: Error) => {
    throw new BuildError([unreadable(basename(entry), error)]);
  });
}

const unreadable = (file: string, { message }: Error): Diagnostic => ({
  ...{ severity: "error", code: "unreadable", message: `The file cannot be read: ${message}` },
  ...{ remedy: "Give the path of a file that can be read", file },
});

const remember = (sources: Map<string, string>, name: string, text: string): string => {
  const file = sdkFile.exec(name)?.[1];
  sources.set(file === undefined ? name : `~lib/@sluice/sdk/${file}`, text);
  return text;
};

const rememberIfFound = (sources: Map<string, string>, name: string, text: string | undefined): string | null =>
  text === undefined ? null : remember(sources, name, text);

const SIGNATURES =
  "Hooks and migrations take one Batch, configure takes an object of a @config class; none returns a value";

interface AscDiagnostic {
  message: string;
  code: number;
  /** 0 pedantic, 1 info, 2 warning, 3 error */
  category: number;
  range: { start: number; end: number; source: { normalizedPath: string } | null } | null;
}

function convert(reported: AscDiagnostic, sources: Map<string, string>): Diagnostic {
  const { message, code, category, range } = reported;
  const diagnostic: Diagnostic = { severity: category === 3 ? "error" : "warning", code: `AS${code}`, message };
  const remedy = remedyFor(code, message);
  if (remedy !== undefined) diagnostic.remedy = remedy;
  const file = range?.source?.normalizedPath;
  if (file === undefined || !range) return diagnostic;
  if (file === MAIN_PATH) return { ...diagnostic, remedy: SIGNATURES };
  diagnostic.file = file;
  const before = sources.get(file)?.slice(0, range.start).split("\n");
  if (!before) return diagnostic;
  diagnostic.line = before.length;
  diagnostic.column = (before.at(-1)?.length ?? 0) + 1;
  return diagnostic;
}
