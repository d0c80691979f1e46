import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { agentMemoryBenchmarks, runAgentMemory } from "./agent-memory.js";
import { cniBenchmarks, runCniAdd } from "./cni-add.js";
import { forwardingBenchmarks, runForwarding } from "./forwarding.js";
import { idleBenchmarks, runIdle } from "./idle.js";
import { thisMachine } from "./machine.js";
import { nativeBenchmarks, prepare, runNative } from "./native.js";
import { pluginBenchmarks, runPlugins } from "./plugins.js";
import { type Report, writeReadme } from "./readme.js";
import { reflectorBenchmarks, runReflector } from "./reflector.js";
import { type Figure, line } from "./result.js";
import { rolloutBenchmarks, runRollout } from "./rollout.js";
import { runTcp, tcpBenchmarks } from "./tcp.js";

interface Suite {
  readonly names: readonly string[];
  readonly run: (name: string, rounds: number) => AsyncGenerator<Figure>;
  /** How often each contender runs by default. */
  readonly rounds: number;
  /** Runs only where it is named: it takes minutes. */
  readonly onlyNamed?: boolean;
}

const suites: readonly Suite[] = [
  { names: nativeBenchmarks, run: runNative, rounds: 15 },
  { names: forwardingBenchmarks, run: runForwarding, rounds: 5 },
  { names: idleBenchmarks, run: runIdle, rounds: 3 },
  { names: tcpBenchmarks, run: runTcp, rounds: 5 },
  { names: cniBenchmarks, run: runCniAdd, rounds: 10 },
  { names: agentMemoryBenchmarks, run: () => runAgentMemory(), rounds: 1 },
  { names: pluginBenchmarks, run: runPlugins, rounds: 10, onlyNamed: true },
  { names: reflectorBenchmarks, run: () => runReflector(), rounds: 1, onlyNamed: true },
  { names: rolloutBenchmarks, run: () => runRollout(), rounds: 1, onlyNamed: true },
];
const names = suites.flatMap((suite) => suite.names);
const usual = suites.filter((suite) => !suite.onlyNamed).flatMap((suite) => suite.names);
const named = suites.filter((suite) => suite.onlyNamed).flatMap((suite) => suite.names);

const USAGE = `npm run bench [-- --only NAME]... [--json FILE] [--rounds N]
npm run bench -- --readme FILE
  Measures Sluice and prints a table. Names: ${usual.join(", ")}.
  Only where it is named, as it takes minutes: ${named.join(", ")}.
  --only NAME    this one only; may be given again
  --json FILE    {"results": [{"name", "unit", "value", "reference", "ratio"}], "machine"}
  --rounds N     how often each contender runs, in turns; the medians count (15; 3 to 5 where a round takes seconds)
  --readme FILE  measures nothing: puts the table and the chart of such a FILE into README.md`;

class UsageError extends Error {}

interface Wanted {
  names: readonly string[];
  json: string | undefined;
  readme: string | undefined;
  rounds: number | undefined;
}

function readArguments(args: string[]): Wanted | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true },
      json: { type: "string" },
      readme: { type: "string" },
      rounds: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && (!Number.isInteger(rounds) || rounds < 1)) {
    throw new UsageError(`--rounds ${values.rounds}: give a number from 1`);
  }
  const unknown = values.only?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is ${names.join(", ")}`);
  return { names: values.only ?? usual, json: values.json, readme: values.readme, rounds };
}

/** Prints figures as they come; what fails is told and left out. */
async function measure(wanted: Wanted): Promise<{ results: Figure[]; failed: number }> {
  const results: Figure[] = [];
  let failed = 0;
  for (const name of wanted.names) {
    const suite = suites.find((candidate) => candidate.names.includes(name)) as Suite;
    try {
      for await (const figure of suite.run(name, wanted.rounds ?? suite.rounds)) {
        results.push(figure);
        console.log(line(figure));
      }
    } catch (error) {
      failed++;
      console.error(`bench: ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { results, failed };
}

/** @returns the exit code: 0 also where a mark is missed, which is a figure and no failure. */
export async function main(args: string[]): Promise<number> {
  let wanted: Wanted | undefined;
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
  if (wanted.readme !== undefined) {
    writeReadme(JSON.parse(readFileSync(wanted.readme, "utf8")) as Report);
    return 0;
  }
  if (wanted.names.some((name) => !named.includes(name))) await prepare();
  const { results, failed } = await measure(wanted);
  if (wanted.json !== undefined) {
    const report: Report = { results, machine: thisMachine() };
    writeFileSync(wanted.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return failed === 0 ? 0 : 1;
}
