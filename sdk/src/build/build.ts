import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ABI_VERSION } from "../generated/abi.js";
import type { CompileOutput } from "./compile.js";
import { compileInWorker } from "./compile-service.js";
import { BuildError, type Diagnostic, ModuleError, type Place } from "./errors.js";
import { inspectModule } from "./inspect.js";
import { embedManifest, type FailureStrategy, type Json, type Manifest, manifestProblems } from "./manifest.js";
import { importRemedy } from "./remedies.js";

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
}

export interface BuildResult {
  /** The module, manifest included. */
  wasm: Uint8Array;
  manifest: Manifest;
  /** SHA-256 of `wasm`, hex. */
  digest: string;
  warnings: Diagnostic[];
}

const DEFAULT_HEADER_BYTES = 128;
const DEFAULT_SEGMENT_BYTES = 1 << 20;
const pluginKeys = ["name", "version", "headerBytes", "segmentBytes", "failure", "configSchema"];

/** Compiles a plugin, checks it against the ABI and embeds its manifest. Throws BuildError. */
export async function buildPlugin(options: BuildOptions): Promise<BuildResult> {
  if (options.entry === undefined && options.source === undefined)
    throw new TypeError("buildPlugin needs an entry or a source");
  const entry = resolve(options.entry ?? "plugin.ts");
  const compiled = await compileInWorker({
    entry,
    ...(options.source === undefined ? {} : { source: options.source }),
  });
  const { declarations } = compiled;
  checkPluginKeys(compiled);
  if (declarations.hooks.size === 0) {
    const remedy = 'Mark a function: @hook("forward") export function process(batch: Batch): void';
    throw new BuildError([{ severity: "error", code: "hook", message: "The plugin has no hook", remedy, file: entry }]);
  }
  if (declarations.tables.length > 0 && !declarations.configure) {
    const message = `The plugin has tables (${declarations.tables.join(", ")}), but nothing fills them`;
    const remedy = "Add @configure export function build(config: Json): void";
    throw new BuildError([{ severity: "error", code: "configure", message, remedy, file: entry }]);
  }
  const manifest = await makeManifest(options, entry, compiled);
  const wasm = embedManifest(compiled.wasm, manifest);
  checkModule(wasm, entry);
  return { wasm, manifest, digest: createHash("sha256").update(wasm).digest("hex"), warnings: compiled.warnings };
}

async function makeManifest(options: BuildOptions, entry: string, compiled: CompileOutput): Promise<Manifest> {
  const { declarations: found, flowStateSize } = compiled;
  const { plugin } = found;
  const fallback = options.source === undefined ? await nearestPackage(dirname(entry)) : {};
  const segmentBytes = plugin.segmentBytes ?? (found.configure ? DEFAULT_SEGMENT_BYTES : 0);
  const manifest: Manifest = {
    abi: ABI_VERSION,
    name: options.name ?? (plugin.name as string) ?? fallback.name ?? "plugin",
    version: options.version ?? (plugin.version as string) ?? fallback.version ?? "0.0.0",
    hooks: [...found.hooks.keys()],
    headerBytes: (plugin.headerBytes as number) ?? DEFAULT_HEADER_BYTES,
    writes: compiled.writes,
    flowState: found.flowState ? { size: flowStateSize, schema: found.flowState.schema } : null,
    migratesFrom: [...found.migrations.keys()],
    counters: found.counters,
    gauges: found.gauges,
    histograms: found.histograms,
    traceValues: found.traceValues,
    dropReasons: found.dropReasons,
    segmentBytes: typeof segmentBytes === "number" ? Math.ceil(segmentBytes / 65536) * 65536 : (segmentBytes as never),
    failure: (plugin.failure as FailureStrategy) ?? "FailClosed",
    configSchema: (plugin.configSchema as Json) ?? null,
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
  const message = `definePlugin() does not know ${unknown.join(", ")}`;
  const remedy = `It takes ${pluginKeys.join(", ")}`;
  throw new BuildError([{ severity: "error", code: "plugin", message, remedy, ...pluginAt }]);
}

/** Name (without scope and "plugin-") and version of the package.json that is nearest above a folder. */
async function nearestPackage(folder: string): Promise<{ name?: string; version?: string }> {
  for (let at = folder; ; at = dirname(at)) {
    const text = await readFile(join(at, "package.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    });
    if (text !== undefined) {
      const { name, version } = JSON.parse(text) as { name?: string; version?: string };
      return {
        ...(name === undefined ? {} : { name: name.replace(/^@[^/]+\//, "").replace(/^plugin-/, "") }),
        ...(version === undefined ? {} : { version }),
      };
    }
    if (dirname(at) === at) return {};
  }
}
