import type { Command } from "commander";
import { describeModule, type ModuleDescription } from "../../build/describe.js";
import type { Manifest } from "../../build/manifest.js";
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
    const about = await ofModule(file, () => describeModule(wasm));
    io.out(output === "json" ? JSON.stringify({ file, ...about }) : text(file, about));
  });
  example(command, "sluice-plugin inspect build/my-filter.wasm", "-o json shows the configuration's schema too");
}

const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

function text(file: string, about: ModuleDescription): string {
  const { manifest, size, digest, imports, exports, sections, functionCount, largestFunctions } = about;
  const { flowState, migratesFrom, segmentBytes, configSchema } = manifest;
  const migrates = migratesFrom.length === 0 ? "" : `, migrates from ${migratesFrom.join(", ")}`;
  const properties = Object.keys((configSchema as { properties?: object } | null)?.properties ?? {});
  const head = facts([
    ["module", `${file}, ${bytes(size)}`],
    ["sha256", digest],
    ["name", `${manifest.name} ${manifest.version}, ABI ${manifest.abi}`],
    ["hooks", list(manifest.hooks)],
    ["window", `${manifest.headerBytes} header bytes of each packet, ${manifest.writes ? "writes" : "reads only"}`],
    ["flow state", flowState === null ? "none" : `${flowState.size} bytes, schema ${flowState.schema}${migrates}`],
    ["segment", segmentBytes === 0 ? "none" : `at most ${bytes(segmentBytes)}`],
    ["config", configSchema === null ? "no schema" : `schema with ${list(properties)}`],
    ["failure", manifest.failure],
    ["imports", list(imports)],
    ["exports", list(exports.map(({ name }) => name))],
    ["functions", `${functionCount}, the largest of them below`],
  ]);
  const sizes = table(
    [{ title: "SECTION" }, { title: "BYTES", right: true }],
    sections.map((each) => [each.name, String(each.bytes)]),
  );
  const functions = table(
    [{ title: "FUNCTION" }, { title: "BYTES", right: true }],
    largestFunctions.map((each) => [shorten(each.name), String(each.bytes)]),
  );
  return [head, sizes, functions, names(manifest)].filter((part) => part !== "").join("\n\n");
}

/** A function's name is its path, class and all: its end says the most. */
const shorten = (name: string): string => (name.length <= 60 ? name : `...${name.slice(-57)}`);

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
