// What commands of Sluice have in common: how help, mistakes and output look. The `sluice` command uses it too.

import { type Command, CommanderError, Option } from "commander";

/** Where a command writes; tests give their own. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
}

export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** No line of help and no table is wider. */
export const SCREEN_WIDTH = 80;

/** Help that fits, output through `io`, no exit of the process. @param width columns of help texts */
export function prepare(program: Command, io: Io, width: number = SCREEN_WIDTH): Command {
  return program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.replace(/\n$/, "")),
      writeErr: (text) => io.err(text.replace(/\n$/, "")),
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
    })
    .showHelpAfterError("(--help shows what is allowed, with an example)");
}

/** Every command's help ends with an example that can be copied. */
export function example(command: Command, line: string, what: string): void {
  command.addHelpText("after", `\nExample:\n  $ ${line}${what === "" ? "" : `\n  ${what}`}`);
}

export interface OutputOptions {
  output: "table" | "json";
}

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "what to print").choices(["table", "json"]).default("table"),
  );
}

/** True when the arguments ask for JSON, whether or not they are right otherwise. */
export function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (arg, index) => /^(-o|--output=)json$/.test(arg) || (/^(-o|--output)$/.test(arg) && args[index + 1] === "json"),
  );
}

/** Commander has printed its own complaint, except those that a command found after parsing. */
export function usageExit(error: CommanderError, io: Io): number {
  if (error.exitCode === 0) return EXIT.ok;
  if (error.code === "commander.invalidArgument" && !error.message.startsWith("error:"))
    io.err(`error: ${error.message}`);
  return EXIT.usage;
}

/** A command ends with another program's exit code, which has said why. */
export class CommandExit extends Error {
  constructor(readonly code: number) {
    super(`exit code ${code}`);
  }
}

/** Wrong usage that only shows once a command has looked at its arguments together. */
export const wrongUsage = (message: string): CommanderError =>
  new CommanderError(EXIT.usage, "commander.invalidArgument", message);

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Aligned columns, two spaces apart; a line that would be too wide loses its end. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    columns
      .map(({ right }, at) =>
        right ? (cells[at] ?? "").padStart(widths[at] ?? 0) : (cells[at] ?? "").padEnd(widths[at] ?? 0),
      )
      .join("  ")
      .trimEnd()
      .replace(new RegExp(`^(.{${SCREEN_WIDTH - 1}})..+$`), "$1…");
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].join("\n");
}

/** One fact a line: names in a column of their own, long values wrapped between words to stay in it. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length)) + 2;
  return pairs
    .map(([name, value]) => name.padEnd(width) + wrap(value, SCREEN_WIDTH - width).join(`\n${" ".repeat(width)}`))
    .join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** "4.1 KiB (4213 bytes)", "1 MiB" */
export function bytes(size: number): string {
  if (size > 0 && size % (1 << 20) === 0) return `${size >> 20} MiB`;
  return size < 1024 ? `${size} bytes` : `${(size / 1024).toFixed(1)} KiB (${size} bytes)`;
}
