/** Where in a source. */
export interface Place {
  /** Path as the compiler knows it: relative to the entry's folder, or the SDK's as ~lib/@sluice/sdk/. */
  file: string;
  /** From 1. */
  line?: number;
  /** From 1. */
  column?: number;
}

/** One thing that is wrong with a plugin's source or module, and what to do about it; without a file it is the module's. */
export interface Diagnostic extends Partial<Place> {
  severity: "error" | "warning";
  /** AS followed by a number: the AssemblyScript compiler's own. Other codes are Sluice's. */
  code: string;
  message: string;
  remedy?: string;
}

/** "file:line:column: message [code]", and the remedy on a line of its own. */
export const formatDiagnostic = (diagnostic: Diagnostic): string => {
  const { file, line, column, message, remedy, code } = diagnostic;
  const place = file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}:${column ?? 1}`}: `;
  return `${place}${message} [${code}]${remedy === undefined ? "" : `\n  ${remedy}`}`;
};

/** The plugin cannot be built; `diagnostics` has at least one error. */
export class BuildError extends Error {
  override readonly name = "BuildError";
  constructor(readonly diagnostics: Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
  }
}

/** What about a module is wrong. */
export type ModuleErrorCode =
  | "not-wasm"
  | "unsupported"
  | "manifest"
  | "abi-version"
  | "memory"
  | "data"
  | "imports"
  | "exports"
  | "start"
  | "source-map";

/** A .wasm is no Sluice stage, or one of another ABI. */
export class ModuleError extends Error {
  override readonly name = "ModuleError";
  /** The message without the remedy. */
  readonly problem: string;
  constructor(
    readonly code: ModuleErrorCode,
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(`${message}. ${remedy}`, options);
    this.problem = message;
  }
}
