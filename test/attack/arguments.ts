import { parseArgs } from "node:util";
import type { Attack } from "./attack.js";

const MINUTES = "10";
const SHORT_SECONDS = 12;

export interface Arguments {
  attacks: readonly Attack[];
  seconds: number;
  short: boolean;
  keepCorpora: boolean;
}

export function usage(attacks: readonly Attack[]): string {
  const width = Math.max(...attacks.map(({ name }) => name.length)) + 2;
  return `usage: npm run attack [-- --only NAME]... [--minutes N | --short] [--keep-corpora]

  Attacks Sluice: fuzzers, hostile stages, exhausted resources, killed processes. Each attack passes or is told
  with what broke; exit code 1 when one did.

  --only NAME      this one only; may be given again
  --minutes N      for each fuzzer (${MINUTES}); fractions too
  --short          the form for every change: some thousand inputs for each fuzzer, from the kept corpus with a fixed seed
  --keep-corpora   afterwards put what the fuzzers found new, minimised, into native/fuzz/corpus
  --help           this text

${attacks.map(({ name, about }) => `  ${name.padEnd(width)}${about}`).join("\n")}`;
}

/** Undefined: only the help is wanted. Throws with one sentence on what is wrong. */
export function readArguments(args: string[], attacks: readonly Attack[]): Arguments | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true },
      minutes: { type: "string" },
      short: { type: "boolean", default: false },
      "keep-corpora": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.short && values.minutes !== undefined) throw new Error("--short and --minutes: give one of them");
  const minutes = Number(values.minutes ?? MINUTES);
  if (!(minutes > 0 && minutes <= 24 * 60))
    throw new Error(`--minutes ${values.minutes}: give a number from 0 to 1440`);
  const unknown = values.only?.find((name) => !attacks.some((attack) => attack.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there is ${attacks.map(({ name }) => name).join(", ")}`);
  }
  return {
    attacks: attacks.filter(({ name }) => values.only?.includes(name) ?? true),
    seconds: values.short ? SHORT_SECONDS : Math.max(1, Math.round(minutes * 60)),
    short: values.short,
    keepCorpora: values["keep-corpora"],
  };
}
