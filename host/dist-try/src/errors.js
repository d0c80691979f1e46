/** The only error that leaves a module on purpose. Anything else thrown is a defect. */
export class SluiceError extends Error {
    name = "SluiceError";
    problems;
    constructor(problems, options) {
        super(problems.map(formatProblem).join("\n"), options);
        this.problems = problems;
    }
    static of(code, path, message, options) {
        return new SluiceError([{ code, path, message }], options);
    }
}
export function formatProblem({ code, path, message }) {
    return path === "" ? `${code}: ${message}` : `${code} ${path}: ${message}`;
}
/** Node's errno code of a thrown system error, or undefined. */
export function systemCode(error) {
    return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
export function messageOf(error) {
    return error instanceof Error ? error.message : String(error);
}
/** "/ports/2/mac" (RFC 6901). */
export function jsonPointer(segments) {
    return segments.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
export function pointerSegments(pointer) {
    return pointer
        .split("/")
        .slice(1)
        .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}
//# sourceMappingURL=errors.js.map