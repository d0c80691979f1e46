import { relative, resolve } from "node:path";
import { BuildError, type Diagnostic, ModuleError } from "../build/errors.js";
import { NativeMissingError } from "../testing/native-stage.js";
import { PcapError } from "../testing/pcap-format.js";
import { ConfigureError } from "../testing/rows.js";

/** A command can't do what it was asked to; what is wrong, where, and what to do about it. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(
    readonly code: string,
    readonly problem: string,
    readonly remedy: string,
    /** A path as the user gave it, with ":line:column" where it is known. */
    readonly place = "",
    options?: ErrorOptions,
  ) {
    super(`${problem}. ${remedy}`, options);
  }
}

/** One thing to report. */
export interface Problem {
  code: string;
  /** A file, `file:line:column`, or empty. */
  place: string;
  message: string;
  remedy?: string;
}

/** Node's errno code of a thrown system error, or undefined. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && !(error instanceof CommandError) && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;

/** What went wrong in words; of "ENOENT: no such file or directory, open 'x'" the middle. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? (/^E[A-Z0-9]+: ([^,]+), /.exec(error.message)?.[1] ?? error.message) : String(error);

/** What an error says to the user. */
export function problemsOf(error: unknown): Problem[] {
  if (error instanceof BuildError) return error.diagnostics.map((each) => problemOf(each));
  if (error instanceof ModuleError)
    return [{ code: error.code, place: "", message: error.problem, remedy: error.remedy }];
  if (error instanceof CommandError)
    return [{ code: error.code, place: error.place, message: error.problem, remedy: error.remedy }];
  if (error instanceof ConfigureError) {
    return [{ code: "config", place: "", message: error.message, remedy: "Change the configuration" }];
  }
  if (error instanceof NativeMissingError) {
    return [{ code: "no-native", place: "", message: error.message, remedy: "Or measure with --only node" }];
  }
  if (error instanceof PcapError) {
    const [message = ""] = error.message.split("\n");
    return [{ code: "pcap", place: "", message, remedy: error.remedy }];
  }
  return [{ code: "internal", place: "", message: messageOf(error) }];
}

export function problemOf({ file, line, column, code, message, remedy }: Diagnostic): Problem {
  const place = file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}:${column ?? 1}`}`;
  return { code, place, message, ...(remedy === undefined ? {} : { remedy }) };
}

/** One line, whatever its texts hold. */
export function formatProblem({ code, place, message, remedy }: Problem): string {
  const text = remedy === undefined ? message : `${message.replace(/\.$/, "")}. ${remedy}`;
  return `${place === "" ? "" : `${place}: `}${text.trim().replace(/\s*\n\s*/g, " ")} [${code}]`;
}

/** The error with its files as the user sees them from where the command runs; the compiler names them from `entry`'s folder. */
export function fromHere(error: unknown, entry: string): unknown {
  if (!(error instanceof BuildError)) return error;
  return new BuildError(error.diagnostics.map((each) => diagnosticFromHere(each, entry)));
}

export function diagnosticFromHere(diagnostic: Diagnostic, entry: string): Diagnostic {
  const { file } = diagnostic;
  if (file === undefined || file.startsWith("~lib/")) return diagnostic;
  const path = resolve(entry, "..", file);
  const seen = relative(process.cwd(), path);
  return { ...diagnostic, file: seen.startsWith("..") ? path : seen };
}
