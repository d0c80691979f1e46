import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nativeBenchmarks, prepare, runNative } from "./native.js";
import { reflectorBenchmarks, runReflector } from "./reflector.js";
import { type Figure, line } from "./result.js";

const USAGE = `npm run bench [-- --only NAME]... [--json FILE] [--rounds N]
  Measures the packet path and prints a table. Names: ${nativeBenchmarks.join(", ")}.
  Only where it is named: ${reflectorBenchmarks.join(", ")} (builds Kubernetes, takes minutes).
  --only NAME   this one only; may be given again
  --json FILE   {"results": [{"name", "unit", "value", "reference", "ratio"}]}
  --rounds N    how often each contender runs, in turns; the medians count (15)`;

class UsageError extends Error {}

function readArguments(args: string[]): { names: string[]; json: string | undefined; rounds: number } | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true },
      json: { type: "string" },
      rounds: { type: "string", default: "15" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError(`--rounds ${values.rounds}: give a number from 1`);
  const known = [...nativeBenchmarks, ...reflectorBenchmarks];
  const unknown = values.only?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is ${known.join(", ")}`);
  return { names: values.only ?? nativeBenchmarks, json: values.json, rounds };
}

/** @returns the exit code: 0 also where a mark is missed, which is a figure and no failure. */
export async function main(args: string[]): Promise<number> {
  let wanted: ReturnType<typeof readArguments>;
  try {
    wanted = readArguments(args);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (wanted === undefined) {
    console.log(USAGE);
    return 0;
  }
  if (wanted.names.some((name) => nativeBenchmarks.includes(name))) await prepare();
  const results: Figure[] = [];
  let failed = 0;
  for (const name of wanted.names) {
    try {
      const figures = reflectorBenchmarks.includes(name) ? runReflector() : runNative(name, wanted.rounds);
      for await (const figure of figures) {
        results.push(figure);
        console.log(line(figure));
      }
    } catch (error) {
      failed++;
      console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (wanted.json !== undefined) writeFileSync(wanted.json, `${JSON.stringify({ results }, null, 2)}\n`);
  return failed === 0 ? 0 : 1;
}
