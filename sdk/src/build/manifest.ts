import {
  ABI_VERSION,
  Hook,
  MANIFEST_SECTION,
  MAX_COUNTERS,
  MAX_TRACE_VALUES,
  SEGMENT_A_SIZE,
  SLOT_FLOW_STATE_SIZE,
  SLOT_HEAD_BYTES_MAX,
} from "../generated/abi.js";
import { ModuleError } from "./errors.js";
import { readSections, withCustomSections } from "./wasm.js";

/** A hook, as manifests name it. */
export type HookName = "prerouting" | "forward" | "postrouting" | "input" | "output";
/** What happens to packets when the stage has failed; docs/abi.md says more. */
export type FailureStrategy = "FailClosed" | "FailOpen" | "Reload";
/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What a stage says about itself; the JSON in its custom section. */
export interface Manifest {
  abi: number;
  name: string;
  version: string;
  hooks: HookName[];
  /** Bytes of each packet, from its L3 header, that the stage wants in its window. */
  headerBytes: number;
  /** False: header bytes, HEAD and lengths that it changes are ignored. */
  writes: boolean;
  /** The stage may settle flows: their packets then pass without it. */
  settles?: boolean;
  flowState: { size: number; schema: number } | null;
  /** Schemas of older versions whose flow states `migrate` upgrades. */
  migratesFrom: number[];
  /** Their cells in the COUNTERS region come first, in this order. */
  counters: string[];
  /** Their cells come next. */
  gauges: string[];
  /** Their cells come last: for each bound one, one for what is above the last bound, one for the sum of all values. */
  histograms: HistogramDeclaration[];
  /** In the order of their numbers. */
  traceValues: string[];
  /** In the order of their numbers from PLUGIN_REASON_BASE. */
  dropReasons: string[];
  /** Largest config segment in bytes, a multiple of 65536; 0 without `configure`. */
  segmentBytes: number;
  failure: FailureStrategy;
  /** JSON schema of the configuration. */
  configSchema: Json;
  /** Help texts of metrics, trace values and drop reasons, by name. */
  help?: Record<string, string>;
}
/** A histogram, as a manifest names it. */
export interface HistogramDeclaration {
  name: string;
  /** Upper bounds of its buckets, each included: whole numbers from 0 to 2^53 - 1, ascending. */
  bounds: number[];
}

/** All hooks, by number. */
export const hookNames = Object.keys(Hook).map((name) => name.toLowerCase()) as HookName[];
/** A hook's number, as `process` gets it. */
export const hookNumber = (name: HookName): number => Hook[name.toUpperCase() as keyof typeof Hook];
/** All failure strategies. */
export const failureStrategies: FailureStrategy[] = ["FailClosed", "FailOpen", "Reload"];

/** As the native host has it. */
const MAX_DROP_REASONS = 128;
const namePattern = /^[a-z][a-z0-9]*([-.][a-z0-9]+)*$/;
const counterPattern = /^[a-z][a-z0-9_]*$/;
const reasonPattern = /^[a-z][a-z0-9-]*$/;
const versionPattern = /^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/;

type Check = { field: string; ok: boolean; must: string };
const isInteger = (value: unknown, from: number, to: number): boolean =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to;
const isSchema = (value: unknown): boolean => isInteger(value, 1, 255);
const isList = (value: unknown, test: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(test);
const isUnique = (value: unknown): boolean => Array.isArray(value) && new Set(value).size === value.length;
const matches = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);

const isMetric = matches(counterPattern);
const isAscending = (bounds: number[]): boolean => bounds.every((bound, i) => i === 0 || bound > (bounds[i - 1] ?? 0));
function isHistogram(value: unknown): boolean {
  const { name, bounds } = (value ?? {}) as { name?: unknown; bounds?: unknown };
  const isBound = (bound: unknown) => isInteger(bound, 0, Number.MAX_SAFE_INTEGER);
  return (
    isMetric(name) && isList(bounds, isBound) && (bounds as number[]).length > 0 && isAscending(bounds as number[])
  );
}
const histogramNames = (value: unknown): unknown[] =>
  Array.isArray(value) ? value.map((each) => (each as HistogramDeclaration | null)?.name) : [];

/** Cells of the COUNTERS region that a stage's metrics take. */
export function metricCells(metrics: Partial<Pick<Manifest, "counters" | "gauges" | "histograms">>): number {
  const { counters, gauges, histograms } = metrics;
  const ofHistogram = (sum: number, each: HistogramDeclaration) => sum + (each?.bounds?.length ?? 0) + 2;
  const ofHistograms = Array.isArray(histograms) ? histograms.reduce(ofHistogram, 0) : 0;
  return (counters?.length ?? 0) + (gauges?.length ?? 0) + ofHistograms;
}

function checks(m: Record<string, unknown>): Check[] {
  const flow = m.flowState as { size?: unknown; schema?: unknown } | null | undefined;
  const isHook = (name: unknown) => (hookNames as unknown[]).includes(name);
  const hooks = isList(m.hooks, isHook) && isUnique(m.hooks) && (m.hooks as unknown[]).length > 0;
  const names = [m.counters, m.gauges ?? [], histogramNames(m.histograms ?? [])].flat();
  const traceValues = m.traceValues ?? [];
  const dropReasons = isList(m.dropReasons, matches(reasonPattern)) && isUnique(m.dropReasons);
  return [
    { field: "name", ok: matches(namePattern)(m.name), must: "be lower-case words joined by - or ." },
    { field: "version", ok: matches(versionPattern)(m.version), must: "be a version such as 1.2.3" },
    { field: "hooks", ok: hooks, must: `be one or more of ${hookNames.join(", ")}, each once` },
    {
      field: "headerBytes",
      ok: isInteger(m.headerBytes, 40, SLOT_HEAD_BYTES_MAX),
      must: `be 40 to ${SLOT_HEAD_BYTES_MAX}`,
    },
    { field: "writes", ok: typeof m.writes === "boolean", must: "be true or false" },
    { field: "settles", ok: m.settles === undefined || typeof m.settles === "boolean", must: "be true or false" },
    {
      field: "flowState",
      ok:
        flow === null ||
        (typeof flow === "object" && isInteger(flow.size, 1, SLOT_FLOW_STATE_SIZE) && isSchema(flow.schema)),
      must: `be null, or a size of 1 to ${SLOT_FLOW_STATE_SIZE} with a schema of 1 to 255`,
    },
    {
      field: "migratesFrom",
      ok: isList(m.migratesFrom, (v) => isSchema(v) && v !== flow?.schema) && isUnique(m.migratesFrom),
      must: "be a list of older schema numbers, 1 to 255, each once",
    },
    { field: "counters", ok: isList(m.counters, isMetric), must: "be names of a-z, 0-9 and _" },
    { field: "gauges", ok: isList(m.gauges ?? [], isMetric), must: "be names of a-z, 0-9 and _" },
    {
      field: "histograms",
      ok: isList(m.histograms ?? [], isHistogram),
      must: "each have a name and ascending bounds, whole numbers from 0",
    },
    { field: "counters", ok: isUnique(names), must: "share no name with another metric" },
    {
      field: "counters",
      ok: metricCells(m) <= MAX_COUNTERS,
      must: `with gauges and histograms (one value a bound, and two) be at most ${MAX_COUNTERS} values`,
    },
    {
      field: "traceValues",
      ok:
        isList(traceValues, isMetric) && isUnique(traceValues) && (traceValues as unknown[]).length <= MAX_TRACE_VALUES,
      must: `be at most ${MAX_TRACE_VALUES} names of a-z, 0-9 and _, each once`,
    },
    {
      field: "dropReasons",
      ok: dropReasons && (m.dropReasons as unknown[]).length <= MAX_DROP_REASONS,
      must: `be at most ${MAX_DROP_REASONS} names of a-z, 0-9 and -, each once`,
    },
    {
      field: "segmentBytes",
      ok: isInteger(m.segmentBytes, 0, SEGMENT_A_SIZE) && (m.segmentBytes as number) % 65536 === 0,
      must: `be a multiple of 65536 up to ${SEGMENT_A_SIZE}`,
    },
    {
      field: "failure",
      ok: (failureStrategies as unknown[]).includes(m.failure),
      must: `be one of ${failureStrategies.join(", ")}`,
    },
  ];
}

/** Says what is wrong with a manifest's fields; empty when all is well. */
export function manifestProblems(manifest: unknown): { field: string; must: string; value: unknown }[] {
  if (typeof manifest !== "object" || manifest === null)
    return [{ field: "manifest", must: "be an object", value: manifest }];
  const fields = manifest as Record<string, unknown>;
  return checks(fields)
    .filter((check) => !check.ok)
    .map(({ field, must }) => ({ field, must, value: fields[field] }));
}

/** The manifest of a compiled stage. Throws ModuleError when there is none, it is broken, or of another ABI. */
export function readManifest(wasm: Uint8Array): Manifest {
  const section = readSections(wasm).find((each) => each.id === 0 && each.name === MANIFEST_SECTION);
  if (!section) {
    throw new ModuleError(
      "manifest",
      `The module has no custom section '${MANIFEST_SECTION}'`,
      "Build it with Sluice's SDK",
    );
  }
  let manifest: unknown;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(section.content));
  } catch (cause) {
    throw new ModuleError(
      "manifest",
      `The manifest is not JSON: ${(cause as Error).message}`,
      "Build the plugin again",
    );
  }
  const abi = (manifest as { abi?: unknown } | null)?.abi;
  if (abi !== ABI_VERSION) {
    const remedy = `Build it with the SDK of ABI ${ABI_VERSION}`;
    throw new ModuleError("abi-version", `The module is for ABI ${String(abi)}, this is ABI ${ABI_VERSION}`, remedy);
  }
  const [problem] = manifestProblems(manifest);
  if (problem) {
    const { field, must, value } = problem;
    throw new ModuleError("manifest", `The manifest's ${field} is ${JSON.stringify(value)}`, `It must ${must}`);
  }
  return { ...noMetrics, ...(manifest as Manifest) };
}
/** Modules without these need not say so. */
const noMetrics = { gauges: [], histograms: [], traceValues: [] };

/** The module with a manifest as its last section, in place of one that it had; `inspectModule` checks both. */
export function embedManifest(wasm: Uint8Array, manifest: Manifest): Uint8Array {
  return withCustomSections(wasm, [[MANIFEST_SECTION, new TextEncoder().encode(JSON.stringify(manifest))]]);
}
