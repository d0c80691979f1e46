import { watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { BuildResult } from "../../build/build.js";
import { diagnosticFromHere, formatProblem, problemOf, problemsOf } from "../errors.js";
import { buildEntry, DEFAULT_ENTRY, readInput, writeOutput } from "../files.js";
import { bytes, example, facts, type Io } from "../shell.js";
import { untilInterrupted } from "../signals.js";

interface BuildFlags {
  out?: string;
  debug?: boolean;
  watch?: boolean;
}

export function addBuild(program: Command, io: Io): void {
  const command = program
    .command("build")
    .summary("compile a plugin into a module")
    .description("Compile a plugin, check it against the ABI and embed its manifest.")
    .argument("[entry]", "the plugin's main file", DEFAULT_ENTRY)
    .option("-o, --out <file.wasm>", "where to write it; default: build/<name>.wasm")
    .option("--debug", "for debuggers: nothing optimised, source map beside it")
    .option("--watch", "build again whenever a source changes, until Ctrl-C")
    .action(async (entry: string, flags: BuildFlags) => {
      if (!flags.watch) return build(entry, flags, io);
      await readInput(entry);
      await watchSources(entry, () =>
        build(entry, flags, io).catch((error: unknown) => {
          for (const problem of problemsOf(error)) io.err(`error: ${formatProblem(problem)}`);
        }),
      );
    });
  example(command, "sluice-plugin build -o build/my-filter.wasm", "builds assembly/index.ts");
}

async function build(entry: string, { out, debug = false }: BuildFlags, io: Io): Promise<void> {
  const started = performance.now();
  await readInput(entry);
  const map = out === undefined ? {} : { sourceMapUrl: `${basename(out)}.map` };
  const result = await buildEntry(entry, { debug, ...map });
  for (const warning of result.warnings)
    io.err(`warning: ${formatProblem(problemOf(diagnosticFromHere(warning, entry)))}`);
  const path = out ?? join("build", `${result.manifest.name}.wasm`);
  await writeOutput(path, result.wasm);
  if (debug) await writeOutput(`${path}.map`, result.sourceMap);
  io.out(resultText(result, path, performance.now() - started));
}

function resultText({ manifest, wasm, digest }: BuildResult, path: string, ms: number): string {
  return facts([
    ["module", `${path}, ${(ms / 1000).toFixed(2)} s`],
    ["name", `${manifest.name} ${manifest.version}`],
    ["hooks", manifest.hooks.join(", ")],
    ["size", bytes(wasm.length)],
    ["sha256", digest],
  ]);
}

/** Does `work` now and after each change of a .ts file in the entry's folder, one at a time, until SIGINT or SIGTERM. */
async function watchSources(entry: string, work: () => Promise<void>): Promise<void> {
  let queue = work();
  let isWaiting = false;
  const again = (): void => {
    if (isWaiting) return;
    isWaiting = true;
    queue = queue
      .then(() => new Promise((done) => setTimeout(done, 50))) // an editor's save is several events
      .then(() => {
        isWaiting = false;
        return work();
      });
  };
  const watcher = watch(dirname(resolve(entry)), { recursive: true }, (_event, name) => {
    if (name !== null && basename(name).endsWith(".ts")) again();
  });
  try {
    await untilInterrupted();
    await queue;
  } finally {
    watcher.close();
  }
}
