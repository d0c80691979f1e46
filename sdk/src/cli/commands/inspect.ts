import { createHash } from "node:crypto";
import type { Command } from "commander";
import { inspectModule } from "../../build/inspect.js";
import type { Manifest } from "../../build/manifest.js";
import { readSections, SectionId } from "../../build/wasm.js";
import { ofModule, readInput } from "../files.js";
import { bytes, example, facts, type Io, type OutputOptions, table, withOutput } from "../shell.js";

export function addInspect(program: Command, io: Io): void {
  const command = program
    .command("inspect")
    .summary("show what a module says about itself")
    .description("Check a module against the ABI; show its manifest, hooks, sizes, imports and exports.")
    .argument("<file.wasm>", "the module");
  withOutput(command).action(async (file: string, { output }: OutputOptions) => {
    const wasm = await readInput(file);
    const about = await ofModule(file, () => describe(wasm));
    io.out(output === "json" ? JSON.stringify({ file, ...about }) : text(file, about));
  });
  example(command, "sluice-plugin inspect build/my-filter.wasm", "-o json shows the configuration's schema too");
}

interface About {
  manifest: Manifest;
  /** Bytes. */
  size: number;
  /** Hex. */
  sha256: string;
  imports: string[];
  exports: string[];
  /** In their order; `bytes` of their contents. */
  sections: { name: string; bytes: number }[];
}

/** Throws ModuleError. */
function describe(wasm: Buffer): About {
  const { manifest } = inspectModule(wasm);
  const module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
  return {
    manifest,
    size: wasm.length,
    sha256: createHash("sha256").update(wasm).digest("hex"),
    imports: WebAssembly.Module.imports(module).map((each) => `${each.module}.${each.name}`),
    exports: WebAssembly.Module.exports(module).map((each) => each.name),
    sections: readSections(wasm).map(({ id, name, content }) => ({
      name: id === SectionId.Custom ? name : (sectionNames[id] ?? `section ${id}`),
      bytes: content.length,
    })),
  };
}

const sectionNames: Record<number, string> = {
  1: "types",
  2: "imports",
  3: "functions",
  4: "tables",
  5: "memory",
  6: "globals",
  7: "exports",
  8: "start",
  9: "elements",
  10: "code",
  11: "data",
  12: "data count",
};

const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

function text(file: string, { manifest, size, sha256, imports, exports, sections }: About): string {
  const { flowState, migratesFrom, segmentBytes, configSchema } = manifest;
  const migrates = migratesFrom.length === 0 ? "" : `, migrates from ${migratesFrom.join(", ")}`;
  const properties = Object.keys((configSchema as { properties?: object } | null)?.properties ?? {});
  const head = facts([
    ["module", `${file}, ${bytes(size)}`],
    ["sha256", sha256],
    ["name", `${manifest.name} ${manifest.version}, ABI ${manifest.abi}`],
    ["hooks", list(manifest.hooks)],
    ["window", `${manifest.headerBytes} header bytes of each packet, ${manifest.writes ? "writes" : "reads only"}`],
    ["flow state", flowState === null ? "none" : `${flowState.size} bytes, schema ${flowState.schema}${migrates}`],
    ["segment", segmentBytes === 0 ? "none" : `at most ${bytes(segmentBytes)}`],
    ["config", configSchema === null ? "no schema" : `schema with ${list(properties)}`],
    ["failure", manifest.failure],
    ["imports", list(imports)],
    ["exports", list(exports)],
  ]);
  const sizes = table(
    [{ title: "SECTION" }, { title: "BYTES", right: true }],
    sections.map((each) => [each.name, String(each.bytes)]),
  );
  return [head, sizes, names(manifest)].filter((part) => part !== "").join("\n\n");
}

/** What an operator will see of it. */
function names({ counters, gauges, histograms, traceValues, dropReasons, help = {} }: Manifest): string {
  const kinds: [kind: string, names: string[]][] = [
    ["counter", counters],
    ["gauge", gauges],
    ["histogram", histograms.map(({ name }) => name)],
    ["trace value", traceValues],
    ["drop reason", dropReasons],
  ];
  const rows = kinds.flatMap(([kind, all]) => all.map((name) => [kind, name, help[name] ?? ""]));
  return rows.length === 0 ? "" : table([{ title: "KIND" }, { title: "NAME" }, { title: "HELP" }], rows);
}
