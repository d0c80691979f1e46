import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, extname, resolve } from "node:path";
import { parse as parseYaml, YAMLParseError } from "yaml";
import { type BuildOptions, type BuildResult, buildPlugin } from "../build/build.js";
import { ModuleError } from "../build/errors.js";
import type { Json } from "../build/manifest.js";
import { CommandError, fromHere, messageOf } from "./errors.js";

/** Throws CommandError. */
export async function readInput(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError("cannot-read", `cannot be read: ${messageOf(error)}`, "Give a file that exists", path, {
      cause: error,
    });
  }
}

/** Makes the folder too. Throws CommandError. */
export async function writeOutput(path: string, contents: Uint8Array | string): Promise<void> {
  try {
    await mkdir(dirname(resolve(path)), { recursive: true });
    await writeFile(path, contents);
  } catch (error) {
    const remedy = "Give another path, or make its folder writable";
    throw new CommandError("cannot-write", `cannot be written: ${messageOf(error)}`, remedy, path, { cause: error });
  }
}

/** A JSON or YAML file. Throws CommandError. */
export async function readConfig(path: string): Promise<Json> {
  const text = (await readInput(path)).toString("utf8");
  try {
    return parseYaml(text, { prettyErrors: true }) as Json; // JSON is YAML
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const at = error.linePos?.[0];
    const place = at === undefined ? path : `${path}:${at.line}:${at.col}`;
    const message = error.message.replace(/ at line \d+[\s\S]*$/, "");
    throw new CommandError("config", message, "Write JSON or YAML", place, { cause: error });
  }
}

/** Does the work; what it finds wrong with a module is said of the file at `path`. */
export async function ofModule<Value>(path: string, work: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ModuleError)) throw error;
    throw new CommandError(error.code, error.problem, error.remedy, path, { cause: error });
  }
}

/** As buildPlugin, with places as seen from the present folder. */
export async function buildEntry(entry: string, options: Omit<BuildOptions, "entry"> = {}): Promise<BuildResult> {
  if (extname(entry) === ".wasm") {
    throw new CommandError("not-source", "is a built module", "Give the plugin's main .ts file", entry);
  }
  try {
    return await buildPlugin({ entry, ...options });
  } catch (error) {
    throw fromHere(error, entry);
  }
}

/** Where a plugin's main file is when none is given. */
export const DEFAULT_ENTRY = "assembly/index.ts";

/** A module's bytes: a .wasm file's, or those of a source that is built. */
export async function moduleBytes(path: string): Promise<Uint8Array> {
  return extname(path) === ".wasm" ? readInput(path) : (await buildEntry(path)).wasm;
}
