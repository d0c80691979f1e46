import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ABI_VERSION } from "../generated/abi.js";
import type { CompileOutput } from "./compile.js";
import { compileInWorker } from "./compile-service.js";
import { schemaOf } from "./config/schema.js";
import { BuildError, type Diagnostic, ModuleError, type Place } from "./errors.js";
import { inspectModule } from "./inspect.js";
import { takesConfiguration } from "./main.js";
import { embedManifest, type FailureStrategy, type Manifest, manifestProblems } from "./manifest.js";
import { importRemedy } from "./remedies.js";
import { embedMap, finishMap } from "./sourcemap.js";
import { suggestion } from "./suggest.js";

/** What to build: a file on disk, or a text. */
export interface BuildOptions {
  /**
   * Path of the plugin's main AssemblyScript file. With `source`, where that text is taken to be; `source` without it can
   * import nothing but the SDK.
   */
  entry?: string;
  /** The main file's text. */
  source?: string;
  /** Before what the source's definePlugin() and the nearest package.json say. */
  name?: string;
  version?: string;
  /** For debuggers: nothing is optimised, assertions stay, and the source map has the sources' texts. Default: false. */
  debug?: boolean;
  /** Of a debug build: where debuggers find the source map as a file; default: the plugin's name with ".wasm.map". */
  sourceMapUrl?: string;
  /** Longest that the compiler may take, in milliseconds; default 120,000. */
  timeoutMs?: number;
  /** For how long the compiler, which starts slowly, is kept for another build, in milliseconds; default 30,000. */
  keepMs?: number;
}

/** A built plugin. */
export interface BuildResult {
  /** The module, manifest included. */
  wasm: Uint8Array;
  manifest: Manifest;
  /** SHA-256 of `wasm`, hex. */
  digest: string;
  /** Source map (ECMA-426) of `wasm`, JSON; the module has it in its section "sluice.sourcemap". */
  sourceMap: string;
  warnings: Diagnostic[];
}

const DEFAULT_HEADER_BYTES = 128;
const DEFAULT_SEGMENT_BYTES = 1 << 20;
const pluginKeys = ["name", "version", "headerBytes", "segmentBytes", "failure"];

/** Compiles a plugin, checks it against the ABI and embeds its manifest and source map. Throws BuildError. */
export async function buildPlugin(options: BuildOptions): Promise<BuildResult> {
  if (options.entry === undefined && options.source === undefined)
    throw new TypeError("buildPlugin needs an entry or a source");
  const entry = resolve(options.entry ?? "plugin.ts");
  const { source, timeoutMs, keepMs, debug = false } = options;
  const isAlone = options.entry === undefined;
  const compiled = await compileInWorker(
    { entry, isAlone, debug, ...(source === undefined ? {} : { source }) },
    { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(keepMs === undefined ? {} : { keepMs }) },
  );
  checkPluginKeys(compiled);
  checkDeclarations(compiled, basename(entry));
  const project = isAlone ? undefined : await nearestPackage(dirname(entry));
  const manifest = makeManifest(options, entry, compiled, source === undefined ? project : undefined);
  const folder = project ? relative(project.folder, dirname(entry)).split(sep).join("/") : "";
  const sourceMap = finishMap(compiled.sourceMap, { folder, hasTexts: debug, functions: compiled.functions });
  const url = debug ? (options.sourceMapUrl ?? `${manifest.name}.wasm.map`) : undefined;
  const wasm = embedManifest(embedMap(compiled.wasm, sourceMap, url), manifest);
  checkModule(wasm, basename(entry));
  const digest = createHash("sha256").update(wasm).digest("hex");
  return { wasm, manifest, digest, sourceMap, warnings: compiled.warnings };
}

function checkDeclarations({ declarations }: CompileOutput, file: string): void {
  const fail = (code: string, message: string, remedy: string) => {
    throw new BuildError([{ severity: "error", code, message, remedy, file, line: 1, column: 1 }]);
  };
  if (declarations.hooks.size === 0) {
    const remedy = 'Mark a function: @hook("forward") export function process(batch: Batch): void';
    fail("hook", "The plugin has no hook", remedy);
  }
  if (declarations.tables.length > 0 && !takesConfiguration(declarations)) {
    const message = `The plugin has tables (${declarations.tables.join(", ")}), but nothing fills them`;
    fail("configure", message, "Add @configure function build(config: ...): void, with a class marked @config");
  }
}

function makeManifest(options: BuildOptions, entry: string, compiled: CompileOutput, fallback: Package = {}): Manifest {
  const { declarations: found, flowStateSize } = compiled;
  const { plugin } = found;
  const segmentBytes = plugin.segmentBytes ?? (takesConfiguration(found) ? DEFAULT_SEGMENT_BYTES : 0);
  const manifest: Manifest = {
    abi: ABI_VERSION,
    name: options.name ?? (plugin.name as string) ?? fallback.name ?? "plugin",
    version: options.version ?? (plugin.version as string) ?? fallback.version ?? "0.0.0",
    hooks: [...found.hooks.keys()],
    headerBytes: (plugin.headerBytes as number) ?? DEFAULT_HEADER_BYTES,
    writes: compiled.writes,
    settles: compiled.settles,
    flowState: found.flowState ? { size: flowStateSize, schema: found.flowState.schema } : null,
    migratesFrom: [...found.migrations.keys()],
    counters: found.counters,
    gauges: found.gauges,
    histograms: found.histograms,
    traceValues: found.traceValues,
    dropReasons: found.dropReasons,
    segmentBytes: typeof segmentBytes === "number" ? Math.ceil(segmentBytes / 65536) * 65536 : (segmentBytes as never),
    failure: (plugin.failure as FailureStrategy) ?? "FailClosed",
    configSchema: found.configuration ? schemaOf(found.configuration.class) : null,
    help: found.help,
  };
  const problems = manifestProblems(manifest);
  if (problems.length === 0) return manifest;
  throw new BuildError(
    problems.map(({ field, must, value }) => {
      const message = `The plugin's ${field} is ${JSON.stringify(value)}`;
      const remedy = `It must ${must}`;
      return { severity: "error", code: "manifest", message, remedy, file: entry, ...placeFor(field, found) };
    }),
  );
}

const placeFor = (field: string, found: CompileOutput["declarations"]): Place | undefined =>
  field === "flowState" ? found.flowState?.at : found.pluginAt;

/** A module that the ABI refuses is the source's fault: it is reported as such. */
function checkModule(wasm: Uint8Array, entry: string): void {
  try {
    inspectModule(wasm);
  } catch (error) {
    if (!(error instanceof ModuleError)) throw error;
    const remedy = importRemedy(error.message) ?? error.remedy;
    throw new BuildError([{ severity: "error", code: error.code, message: error.problem, remedy, file: entry }]);
  }
}

function checkPluginKeys({ declarations: { plugin, pluginAt } }: CompileOutput): void {
  const unknown = Object.keys(plugin).filter((key) => !pluginKeys.includes(key));
  if (unknown.length === 0 || !pluginAt) return;
  const message = `definePlugin() does not know ${unknown.map((key) => key + suggestion(key, pluginKeys)).join(", ")}`;
  const remedy = unknown.includes("configSchema")
    ? "The schema is derived from the class marked @config that the function marked @configure takes"
    : `It takes ${pluginKeys.join(", ")}`;
  throw new BuildError([{ severity: "error", code: "plugin", message, remedy, ...pluginAt }]);
}

interface Package {
  name?: string;
  version?: string;
}

/** Name (without scope and "plugin-") and version of the package.json that is nearest above a folder, and its folder. */
async function nearestPackage(from: string): Promise<(Package & { folder: string }) | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw packageError(file, error);
    });
    if (text !== undefined) return { folder, ...readPackage(file, text) };
    if (dirname(folder) === folder) return undefined;
  }
}

function readPackage(file: string, text: string): Package {
  try {
    const { name, version } = JSON.parse(text) as { name?: string; version?: string };
    return {
      ...(name === undefined ? {} : { name: name.replace(/^@[^/]+\//, "").replace(/^plugin-/, "") }),
      ...(version === undefined ? {} : { version }),
    };
  } catch (error) {
    throw packageError(file, error as Error);
  }
}

const packageError = (file: string, { message }: Error): BuildError =>
  new BuildError([
    {
      ...{ severity: "error", code: "package", message: `The package.json cannot be read: ${message}` },
      ...{ remedy: "Correct it: the plugin's name and version are taken from it", file },
    },
  ]);
