import { createHash } from "node:crypto";
import { dirname, relative, resolve } from "node:path";
import type { Manifest } from "@sluice/native";
import type { BuildError, BuildOptions, ModuleError } from "@sluice/sdk/build";
import { type Problem, SluiceError } from "../errors.js";
import { readBytes } from "../readable-file.js";

/** A compiled plugin and what it says of itself. */
export interface BuiltModule {
  readonly wasm: Uint8Array;
  /** sha-256, hex. */
  readonly digest: string;
  readonly manifest: Manifest;
  /** The file it came from. */
  readonly origin: string;
}

/**
 * The module of a .wasm file, or of AssemblyScript source (.ts), which is compiled.
 * @throws SluiceError with every mistake in the source, or what is wrong with the module
 */
export async function buildModule(file: string): Promise<BuiltModule> {
  if (file.endsWith(".ts")) return compile(file);
  if (!file.endsWith(".wasm")) {
    throw SluiceError.of(
      "unknown-plugin-file",
      file,
      "allowed: AssemblyScript source (.ts) or a compiled module (.wasm)",
    );
  }
  const wasm = await readBytes(file);
  return { wasm, digest: digestOf(wasm), manifest: await inspect(wasm, file), origin: file };
}

/** Checks a module and reads its manifest without running it. @throws SluiceError */
export async function inspect(wasm: Uint8Array, origin: string): Promise<Manifest> {
  const { inspectModule } = await import("@sluice/sdk/build");
  try {
    return inspectModule(wasm).manifest;
  } catch (error) {
    throw isModuleError(error) ? new SluiceError([moduleProblem(error, origin)], { cause: error }) : error;
  }
}

export function digestOf(wasm: Uint8Array): string {
  return createHash("sha256").update(wasm).digest("hex");
}

async function compile(entry: string): Promise<BuiltModule> {
  await readBytes(entry);
  return build({ entry }, entry);
}

/** What the SDK calls a source without a file. */
const TEXT_FILE = "plugin.ts";

/**
 * The module of AssemblyScript that can import nothing but the SDK.
 * @throws SluiceError with every mistake in the source, or what is wrong with the module; textPlacedIn() says where that is
 */
export async function compileText(source: string): Promise<BuiltModule> {
  // Who compiles texts is a process for nothing else, which is ended when its time has come.
  return build({ source, keepMs: Number.POSITIVE_INFINITY }, TEXT_FILE);
}

export const refusedText = (code: string, message: string): SluiceError => SluiceError.of(code, TEXT_FILE, message);

/** A text's problems, where its author finds them. @param place of the text, which line and column follow */
export function textPlacedIn(place: string, error: SluiceError): SluiceError {
  const problems = error.problems.map((problem) =>
    problem.path.split(":")[0] === TEXT_FILE
      ? { ...problem, path: `${place}${problem.path.slice(TEXT_FILE.length)}` }
      : problem,
  );
  return new SluiceError(problems, { cause: error });
}

/** The compiler is a large module: loaded only when there is something to compile. */
async function build(options: BuildOptions, entry: string): Promise<BuiltModule> {
  const { buildPlugin } = await import("@sluice/sdk/build");
  try {
    const { wasm, manifest } = await buildPlugin(options);
    return { wasm, manifest, digest: digestOf(wasm), origin: entry };
  } catch (error) {
    if (isBuildError(error)) throw new SluiceError(buildProblems(error, entry), { cause: error });
    throw isModuleError(error) ? new SluiceError([moduleProblem(error, entry)], { cause: error }) : error;
  }
}

function buildProblems(error: BuildError, entry: string): Problem[] {
  return error.diagnostics
    .filter(({ severity }) => severity === "error")
    .map(({ code, message, file, line, column, remedy }) => {
      const place = file === undefined ? entry : relative(process.cwd(), resolve(dirname(entry), file));
      return {
        code: "plugin-build-failed",
        path: line === undefined ? place : `${place}:${line}:${column ?? 1}`,
        message: `${message} [${code}]${remedy === undefined ? "" : `; ${remedy}`}`,
      };
    });
}

function moduleProblem({ code, message }: ModuleError, origin: string): Problem {
  return { code: `module-${code}`, path: origin, message };
}

function isBuildError(error: unknown): error is BuildError {
  return error instanceof Error && error.name === "BuildError";
}

function isModuleError(error: unknown): error is ModuleError {
  return error instanceof Error && error.name === "ModuleError";
}
