import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPlugin } from "../build/build.js";
import { NodeStage } from "./node-stage.js";

/**
 * What is under test: the path of a plugin's main AssemblyScript file or of a built .wasm (from the working folder, or as a
 * file: URL), a text to build, or a module's bytes.
 */
export type PluginSource = string | URL | Uint8Array | { source: string; name?: string };

/** A plugin, built and checked. */
export interface LoadedPlugin {
  wasm: Uint8Array;
  node: NodeStage;
}

const built = new Map<string, Promise<LoadedPlugin>>();

/** Builds or reads a plugin; the same content once a process. Throws BuildError, ModuleError, or what reading the file does. */
export async function load(plugin: PluginSource): Promise<LoadedPlugin> {
  if (plugin instanceof Uint8Array) return once(plugin, async () => plugin);
  if (typeof plugin === "object" && "source" in plugin) {
    return once(Buffer.from(JSON.stringify(plugin)), async () => (await buildPlugin(plugin)).wasm);
  }
  const file = plugin instanceof URL ? fileURLToPath(plugin) : resolve(plugin);
  const content = await readFile(file);
  if (file.endsWith(".wasm")) return once(content, async () => content);
  const sources = await sourcesBeside(file);
  return once(Buffer.concat([Buffer.from(file), ...sources]), async () => (await buildPlugin({ entry: file })).wasm);
}

function once(content: Uint8Array, make: () => Promise<Uint8Array>): Promise<LoadedPlugin> {
  const digest = createHash("sha256").update(content).digest("hex");
  const found = built.get(digest) ?? make().then((wasm) => ({ wasm, node: new NodeStage(wasm) }));
  built.set(digest, found);
  return found;
}

/** All AssemblyScript in and below the main file's folder: what it may import of its own. */
async function sourcesBeside(file: string): Promise<Buffer[]> {
  const entries = await readdir(dirname(file), { recursive: true });
  const sources = entries.filter((name) => name.endsWith(".ts")).sort();
  return Promise.all(sources.map((name) => readFile(join(dirname(file), name))));
}
