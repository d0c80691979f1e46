import type { Command, Option } from "commander";

/** Of what the user has made: only a cluster or a node knows them. */
export type NameKind = "nodes" | "plugins";

/** What the last word of a command line can become. */
export interface Completion {
  readonly words: readonly string[];
  /** Names that it can be, or the last one of those that commas part. */
  readonly names?: NameKind;
  /** Values of options that came before, by the names that they have in a program. */
  readonly given: Readonly<Record<string, string>>;
}

/**
 * What the last word of a command line can become, in alphabetical order; none: it is a file, or something else that nobody knows.
 * @param words those after the program's name; the last one is the one in the making, empty where it is only begun
 * @param lookUp tells names
 */
export async function candidates(
  program: Command,
  words: readonly string[],
  lookUp: (kind: NameKind, given: Completion["given"]) => Promise<readonly string[]>,
): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const { words: known, names, given } = completion(program, words);
  const before = last.slice(0, last.lastIndexOf(",") + 1);
  const found = names === undefined ? [] : await lookUp(names, given);
  return [...known, ...found.map((name) => `${before}${name}`)].filter((each) => each.startsWith(last)).sort();
}

export function completion(program: Command, words: readonly string[]): Completion {
  const { command, wanting, given } = position(program, words.slice(0, -1));
  if (wanting !== undefined) return { words: wanting.argChoices ?? [], ...namesIn(wanting.flags), given };
  if ((words.at(-1) ?? "").startsWith("-")) {
    const flags = command.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? "");
    return { words: ["--help", ...flags], given };
  }
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const [argument] = command.registeredArguments;
  const names = argument === undefined ? {} : namesIn(`<${argument.name()}>`);
  return { words: [...command.commands.map((child) => child.name()), ...choices], ...names, given };
}

/** The command that the words lead to, the option whose value comes next, and the values of those before. */
function position(
  program: Command,
  words: readonly string[],
): { command: Command; wanting: Option | undefined; given: Record<string, string> } {
  let command = program;
  let wanting: Option | undefined;
  const given: Record<string, string> = {};
  for (const word of words) {
    const [flag = "", ...value] = word.split("=");
    if (wanting !== undefined) {
      given[wanting.attributeName()] = word;
      wanting = undefined;
    } else if (word.startsWith("-")) {
      const option = optionWithValue(command, flag);
      if (value.length === 0) wanting = option;
      else if (option !== undefined) given[option.attributeName()] = value.join("=");
    } else command = command.commands.find((child) => child.name() === word) ?? command;
  }
  return { command, wanting, given };
}

/** An optional value may be left out: what follows is not taken for it. */
const optionWithValue = (command: Command, word: string): Option | undefined =>
  command.options.find((option) => option.required && (option.long === word || option.short === word));

/** Help texts name a value by what it is: "--name <nodes>", "<plugin>". */
function namesIn(value: string): { names?: NameKind } {
  const kind = /<(node|plugin)s?>/.exec(value)?.[1];
  return kind === undefined ? {} : { names: kind === "node" ? "nodes" : "plugins" };
}

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What a shell is to read: it asks `sluice complete` at each Tab, and completes files where that knows nothing. */
export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_sluice() {
  local IFS=$'\\n'
  COMPREPLY=($(sluice complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sluice sluice`,
  zsh: `#compdef sluice
_sluice() {
  local found
  found=$(sluice complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if [[ -n $found ]]; then compadd -- \${(f)found}; else _files; fi
}
compdef _sluice sluice`,
  fish: `function __sluice_complete
  set -l words (commandline -opc) (commandline -ct)
  sluice complete -- $words[2..-1] 2>/dev/null
end
complete -c sluice -a '(__sluice_complete)'`,
};
