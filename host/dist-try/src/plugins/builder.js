import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { messageOf, SluiceError } from "../errors.js";
/**
 * The module of a .wasm file, or of AssemblyScript source (.ts), which is compiled.
 * @throws SluiceError with every mistake in the source, or what is wrong with the module
 */
export async function buildModule(file) {
    if (file.endsWith(".ts"))
        return compile(file);
    if (!file.endsWith(".wasm")) {
        throw SluiceError.of("unknown-plugin-file", file, "allowed: AssemblyScript source (.ts) or a compiled module (.wasm)");
    }
    const wasm = await read(file);
    return { wasm, digest: digestOf(wasm), manifest: await inspect(wasm, file), origin: file };
}
/** Checks a module and reads its manifest without running it. @throws SluiceError */
export async function inspect(wasm, origin) {
    const { inspectModule } = await import("@sluice/sdk/build");
    try {
        return inspectModule(wasm).manifest;
    }
    catch (error) {
        throw isModuleError(error) ? new SluiceError([moduleProblem(error, origin)], { cause: error }) : error;
    }
}
export function digestOf(wasm) {
    return createHash("sha256").update(wasm).digest("hex");
}
/** The compiler is a large module: loaded only when there is something to compile. */
async function compile(entry) {
    await read(entry);
    const { buildPlugin } = await import("@sluice/sdk/build");
    try {
        const { wasm, manifest } = await buildPlugin({ entry });
        return { wasm, manifest, digest: digestOf(wasm), origin: entry };
    }
    catch (error) {
        if (isBuildError(error))
            throw new SluiceError(buildProblems(error, entry), { cause: error });
        throw isModuleError(error) ? new SluiceError([moduleProblem(error, entry)], { cause: error }) : error;
    }
}
async function read(file) {
    try {
        return await readFile(file);
    }
    catch (error) {
        throw SluiceError.of("unreadable-file", file, messageOf(error), { cause: error });
    }
}
function buildProblems(error, entry) {
    return error.diagnostics
        .filter(({ severity }) => severity === "error")
        .map(({ code, message, file, line, column, remedy }) => {
        const place = file === undefined ? entry : relative(process.cwd(), join(dirname(entry), file));
        return {
            code: "plugin-build-failed",
            path: line === undefined ? place : `${place}:${line}:${column ?? 1}`,
            message: `${message} [${code}]${remedy === undefined ? "" : `; ${remedy}`}`,
        };
    });
}
function moduleProblem({ code, message }, origin) {
    return { code: `module-${code}`, path: origin, message };
}
function isBuildError(error) {
    return error instanceof Error && error.name === "BuildError";
}
function isModuleError(error) {
    return error instanceof Error && error.name === "ModuleError";
}
//# sourceMappingURL=builder.js.map