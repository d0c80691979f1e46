import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { removeLeftovers } from "../support/leftovers.js";
import { type Arguments, readArguments, usage } from "./arguments.js";
import type { Attack, Setting } from "./attack.js";
import { fuzzing, keepCorpora } from "./fuzzers.js";
import { pluginFuzzing } from "./plugins.js";
import { races, sanitizedTests } from "./sanitized.js";
import { nodeAttacks } from "./suites.js";

/** In the order in which they run: what breaks most things first. */
const attacks: readonly Attack[] = [...fuzzing, pluginFuzzing, sanitizedTests, races, nodeAttacks];

interface Outcome {
  name: string;
  passed: boolean;
  seconds: number;
  headline: string;
}

/** @returns the exit code: 0 when nothing broke, 1 when something did, 2 for a wrong command line. */
export async function main(args: string[]): Promise<number> {
  let wanted: Arguments | undefined;
  try {
    wanted = readArguments(args, attacks);
  } catch (error) {
    console.error(`attack: ${error instanceof Error ? error.message : String(error)}\n\n${usage(attacks)}`);
    return 2;
  }
  if (wanted === undefined) {
    console.log(usage(attacks));
    return 0;
  }
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, removeLeftovers);
  const setting: Setting = { seconds: wanted.seconds, short: wanted.short, cleanup };
  const outcomes: Outcome[] = [];
  for (const attack of wanted.attacks) {
    outcomes.push(await carryOut(attack, setting));
    if (cleanup.closing) return new Promise(() => undefined); // interrupted: the process ends when all is undone
  }
  if (wanted.keepCorpora)
    await keepCorpora(
      setting,
      wanted.attacks.map(({ name }) => name),
    );
  await cleanup.close();
  unwatch();
  const broken = outcomes.filter(({ passed }) => !passed);
  for (const { name, headline } of broken) console.log(`${name}: ${headline}`);
  console.log(`${outcomes.length - broken.length} attacks held off, ${broken.length} broke something`);
  return broken.length === 0 ? 0 : 1;
}

async function carryOut({ name, about, run }: Attack, setting: Setting): Promise<Outcome> {
  const started = Date.now();
  const seconds = () => (Date.now() - started) / 1000;
  console.log(`== ${name}: ${about}`);
  try {
    const headline = await run(setting);
    console.log(`   held (${seconds().toFixed(1)} s): ${headline}`);
    return { name, passed: true, seconds: seconds(), headline };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (!setting.cleanup.closing)
      console.log(`   BROKE (${seconds().toFixed(1)} s): ${text.replaceAll("\n", "\n   ")}`);
    return { name, passed: false, seconds: seconds(), headline: text.split("\n")[0] ?? "" };
  }
}
