import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, pointerSegments, SluiceError } from "../errors.js";
import { checkNode } from "./checks.js";
import { ConfigDocument } from "./document.js";
import { explainIssues } from "./explain.js";
import { nodeFileSchema, nodeSpecSchema } from "./schema.js";
/** Reads and checks a node file. @throws SluiceError with every problem found, each with file:line:column. */
export async function loadNodeFile(file) {
    return parseNodeFile(await readText(file), file);
}
export function parseNodeFile(text, file) {
    const document = ConfigDocument.parse(text, file);
    const value = document.value();
    const parsed = nodeFileSchema.safeParse(value ?? {});
    const problems = parsed.success ? checkNode(parsed.data) : explainIssues(parsed.error.issues, value ?? {});
    if (!parsed.success || problems.length > 0) {
        throw new SluiceError(problems.map((problem) => inFile(problem, document)));
    }
    return {
        node: parsed.data,
        folder: dirname(file),
        locate: (problem) => (problem.path.startsWith("/") ? locatePointer(problem, document, value) : problem),
    };
}
/** Checks a spec that came from elsewhere (gRPC, the store). @throws SluiceError with JSON pointers. */
export function parseNodeSpec(value) {
    const parsed = nodeSpecSchema.safeParse(value);
    const problems = parsed.success ? checkNode(parsed.data) : explainIssues(parsed.error.issues, value);
    if (!parsed.success || problems.length > 0)
        throw new SluiceError(problems.map(({ problem }) => problem));
    return parsed.data;
}
export async function readText(file) {
    try {
        return await readFile(file, "utf8");
    }
    catch (error) {
        throw SluiceError.of("unreadable-file", file, messageOf(error), { cause: error });
    }
}
function inFile({ problem, segments, atKey }, document) {
    return { ...problem, path: `${document.locate(segments, atKey)} ${problem.path}`.trimEnd() };
}
/** A pointer that leads nowhere in the file may be a file's absolute path. */
function locatePointer(problem, document, root) {
    const segments = pointerSegments(problem.path);
    const [top = ""] = segments;
    const isPointer = top in nodeFileSchema.shape || (typeof root === "object" && root !== null && top in root);
    return isPointer ? { ...problem, path: `${document.locate(segments)} ${problem.path}` } : problem;
}
//# sourceMappingURL=load.js.map