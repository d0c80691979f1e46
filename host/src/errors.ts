/** One thing that was refused or failed: what, where, and what to do. The same on every edge: files, gRPC, the CLI. */
export interface Problem {
  /** Stable, kebab-case. */
  readonly code: string;
  /** A JSON pointer, a file, `file:line:column pointer`, or empty. */
  readonly path: string;
  readonly message: string;
}

/** The only error that leaves a module on purpose. Anything else thrown is a defect. */
export class SluiceError extends Error {
  override readonly name = "SluiceError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join("\n"), options);
    this.problems = problems;
  }

  static of(code: string, path: string, message: string, options?: ErrorOptions): SluiceError {
    return new SluiceError([{ code, path, message }], options);
  }
}

/** One line, whatever the message holds. */
export function formatProblem({ code, path, message }: Problem): string {
  const line = message.trim().replace(/\s*\n\s*/g, " ");
  return path === "" ? `${code}: ${line}` : `${code} ${path}: ${line}`;
}

/** Node's errno code of a thrown system error, or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** What went wrong in words; of "ENOENT: no such file or directory, open 'x'" the middle. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return /^E[A-Z0-9]+: ([^,]+), /.exec(error.message)?.[1] ?? error.message;
}

/** "/ports/2/mac" (RFC 6901). */
export function jsonPointer(segments: readonly PropertyKey[]): string {
  return segments.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

export function pointerSegments(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}
