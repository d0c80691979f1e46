import type { Command } from "commander";

/** Every command's help ends with an example that can be copied. */
export function example(command: Command, line: string, what: string): void {
  command.addHelpText("after", `\nExample:\n  $ ${line}${what === "" ? "" : `\n  ${what}`}`);
}
