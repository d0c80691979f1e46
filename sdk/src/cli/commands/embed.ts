import type { Command } from "commander";
import { inspectModule } from "../../build/inspect.js";
import { embedManifest, type Manifest, readManifest } from "../../build/manifest.js";
import { readSections } from "../../build/wasm.js";
import { MANIFEST_SECTION } from "../../generated/abi.js";
import { CommandError, messageOf } from "../errors.js";
import { ofModule, readInput, writeOutput } from "../files.js";
import { bytes, example, facts, type Io } from "../shell.js";

export function addEmbed(program: Command, io: Io): void {
  const command = program
    .command("embed")
    .summary("give a module of another language its manifest")
    .description("Add a manifest to a module that another compiler made, and check both against the ABI.")
    .argument("<file.wasm>", "the module, without a manifest")
    .requiredOption("--manifest <file.json>", "what the stage says about itself")
    .option("-o, --out <file.wasm>", "where to write it; default: over the module")
    .action(async (file: string, { manifest: from, out = file }: { manifest: string; out?: string }) => {
      const bare = await readInput(file);
      const manifest = await readManifestFile(from);
      if (await ofModule(file, () => hasManifest(bare))) {
        throw new CommandError("manifest", "The module has a manifest already", "Give one without", file);
      }
      const wasm = embedManifest(bare, manifest);
      await ofModule(from, () => readManifest(wasm));
      await ofModule(file, () => inspectModule(wasm));
      await writeOutput(out, wasm);
      io.out(
        facts([
          ["module", out],
          ["name", `${manifest.name} ${manifest.version}`],
          ["hooks", manifest.hooks.join(", ")],
          ["size", bytes(wasm.length)],
        ]),
      );
    });
  example(command, "sluice-plugin embed guard.wasm --manifest guard.json", "of a stage written in C or Rust");
}

const hasManifest = (wasm: Uint8Array): boolean => readSections(wasm).some(({ name }) => name === MANIFEST_SECTION);

/** Throws CommandError. */
async function readManifestFile(path: string): Promise<Manifest> {
  const text = (await readInput(path)).toString("utf8");
  try {
    return JSON.parse(text) as Manifest;
  } catch (error) {
    throw new CommandError(
      "manifest",
      `is not JSON: ${messageOf(error)}`,
      "Write the manifest as one JSON object",
      path,
      {
        cause: error,
      },
    );
  }
}
