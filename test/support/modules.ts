import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { embedManifest, type Manifest } from "@sluice/sdk/build";
import { root } from "./dataplane.js";
import { must } from "./process.js";

const PAGES = 3328; // sdk/abi/abi.json, memory.pages

/** A manifest that is in order. */
export const MANIFEST: Manifest = {
  abi: 1,
  name: "handmade",
  version: "1.0.0",
  hooks: ["forward"],
  headerBytes: 64,
  writes: false,
  flowState: null,
  migratesFrom: [],
  counters: [],
  gauges: [],
  histograms: [],
  traceValues: [],
  dropReasons: [],
  segmentBytes: 65536,
  failure: "FailOpen",
  configSchema: { type: "object" },
};

export interface ModuleText {
  /** Before the memory: imports. */
  imports?: string;
  memory?: string;
  /** Body of process(hook, count). */
  process?: string;
  abiVersion?: number;
  /** Further fields of the module. */
  rest?: string;
}

/** The text of a stage that passes everything, with parts of it replaced. */
function moduleText({
  imports = "",
  memory = `${PAGES} ${PAGES}`,
  process = "",
  abiVersion = 1,
  rest = "",
}: ModuleText): string {
  return `(module
    ${imports}
    (memory (export "memory") ${memory})
    (func (export "process") (param $hook i32) (param $count i32) ${process})
    (func (export "configure") (result i32) (i32.const 0))
    (func (export "sluice_abi_version") (result i32) (i32.const ${abiVersion}))
    ${rest})`;
}

/** Assembles a stage without its manifest. `folder`: for the assembler's files. */
export async function assemble(folder: string, parts: ModuleText): Promise<Uint8Array> {
  const own = mkdtempSync(join(folder, "wat-"));
  const [text, wasm] = [join(own, "stage.wat"), join(own, "stage.wasm")];
  writeFileSync(text, moduleText(parts));
  await must([`${root}/node_modules/.bin/wasm-as`, text, "-o", wasm, "--enable-bulk-memory", "--enable-multimemory"]);
  const bytes = readFileSync(wasm);
  rmSync(own, { recursive: true });
  return bytes;
}

/** Assembles a stage with a manifest of which `manifest` replaces parts. */
export async function assembleStage(
  folder: string,
  parts: ModuleText,
  manifest: Partial<Manifest> = {},
): Promise<Uint8Array> {
  return embedManifest(await assemble(folder, parts), { ...MANIFEST, ...manifest });
}
