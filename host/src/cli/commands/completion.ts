import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { Argument, type Command } from "commander";
import { COMPLETION_SCRIPTS, candidates, SHELLS, type Shell } from "../completion.js";
import { knownNames } from "../known-names.js";
import type { Io } from "../output.js";

export function addCompletion(program: Command, io: Io): void {
  const command = program
    .command("completion")
    .summary("print what makes a shell complete sluice's commands")
    .description(
      "Print what a shell has to read to complete commands, options, their values, and names of nodes and plugins at Tab.",
    )
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS));
  withOutput(command).action((shell: Shell, { output }: OutputOptions) => {
    const script = COMPLETION_SCRIPTS[shell];
    io.out(output === "json" ? JSON.stringify({ shell, script }) : script);
  });
  example(
    command,
    "sluice completion bash > /etc/bash_completion.d/sluice",
    "or for one shell: source <(sluice completion bash)",
  );
  addComplete(program, io);
}

function addComplete(program: Command, io: Io): void {
  const command = program
    .command("complete")
    .summary("print what a command line can go on with")
    .description(
      "Print what the last word of a command line can become, a line each: what shells ask at Tab. Names of nodes and plugins are asked of the cluster or node that the words mean; there are none where it does not answer within 2 s.",
    )
    .argument("[words...]", "the words after sluice, behind --; the last one is the one in the making");
  withOutput(command).action(async (words: string[], { output }: OutputOptions) => {
    const found = await candidates(program, words, knownNames);
    if (output === "json") io.out(JSON.stringify(found));
    else if (found.length > 0) io.out(found.join("\n"));
  });
  example(command, "sluice complete -- plugin ro", "rollback");
}
