import {
  ABI_VERSION,
  Hook,
  MANIFEST_SECTION,
  MAX_COUNTERS,
  SEGMENT_A_SIZE,
  SLOT_FLOW_STATE_SIZE,
  SLOT_HEAD_BYTES_MAX,
} from "../generated/abi.js";
import { ModuleError } from "./errors.js";
import { encodeUnsigned, readSections } from "./wasm.js";

export type HookName = "prerouting" | "forward" | "postrouting" | "input" | "output";
export type FailureStrategy = "FailClosed" | "FailOpen" | "Reload";
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
  flowState: { size: number; schema: number } | null;
  /** Schemas of older versions whose flow states `migrate` upgrades. */
  migratesFrom: number[];
  /** In the order of the COUNTERS region. */
  counters: string[];
  /** In the order of their numbers from PLUGIN_REASON_BASE. */
  dropReasons: string[];
  /** Largest config segment in bytes, a multiple of 65536; 0 without `configure`. */
  segmentBytes: number;
  failure: FailureStrategy;
  /** JSON schema of the configuration. */
  configSchema: Json;
  /** Help texts of counters and drop reasons, by name. */
  help?: Record<string, string>;
}

export const hookNames = Object.keys(Hook).map((name) => name.toLowerCase()) as HookName[];
export const hookNumber = (name: HookName): number => Hook[name.toUpperCase() as keyof typeof Hook];
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

function checks(m: Record<string, unknown>): Check[] {
  const flow = m.flowState as { size?: unknown; schema?: unknown } | null | undefined;
  const isHook = (name: unknown) => (hookNames as unknown[]).includes(name);
  const hooks = isList(m.hooks, isHook) && isUnique(m.hooks) && (m.hooks as unknown[]).length > 0;
  const counters = isList(m.counters, matches(counterPattern)) && isUnique(m.counters);
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
    {
      field: "counters",
      ok: counters && (m.counters as unknown[]).length <= MAX_COUNTERS,
      must: `be at most ${MAX_COUNTERS} names of a-z, 0-9 and _, each once`,
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
  return manifest as Manifest;
}

/** The module with its manifest as the last section. */
export function embedManifest(wasm: Uint8Array, manifest: Manifest): Uint8Array {
  const encoder = new TextEncoder();
  const name = encoder.encode(MANIFEST_SECTION);
  const body = Buffer.concat([encodeUnsigned(name.length), name, encoder.encode(JSON.stringify(manifest))]);
  return new Uint8Array(Buffer.concat([wasm, Uint8Array.of(0), encodeUnsigned(body.length), body]));
}
