import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Attack, Setting } from "./attack.js";
import { folder, runLogged } from "./command.js";
import { emptied, keep, unpack } from "./corpus.js";
import { buildFuzzer, SANITIZER_ENV } from "./sanitized.js";

const MAX_INPUT = 2048;
const GRACE_MS = 120_000; // start, the last input, the report
const SHORT_SECONDS = 90; // at most, where the inputs are counted
const MERGE_MS = 15 * 60_000;

/** Each is native/fuzz/<name>_fuzz.cc. The inputs of the short form are counted, so that it tries the same on any machine. */
const fuzzers: [name: string, about: string, shortInputs: number][] = [
  ["frame", "the parser: frames of a grammar, whole and in pieces, in memory of exactly their size", 12_000],
  ["segment", "super-frames of any shape, wrapped by stages too, are cut: what comes out is what was sent", 5000],
  ["coalesce", "bursts of TCP packets are joined: cut again they are the very same packets", 6000],
  ["path", "bursts of frames through the whole packet path, in virtual time", 12_000],
  ["module", "mutated modules through the whole load path, and what is taken runs", 4000],
  ["stage", "the same with a stage at each hook that does what the packets tell it: any write, verdict, call", 1500],
];

/** A worker is never killed for what it allocates, and Wasmtime handles its own SIGSEGV. */
const COMMON = [
  `-max_len=${MAX_INPUT}`,
  "-handle_segv=0",
  "-handle_bus=0",
  "-handle_ill=0",
  "-handle_fpe=0",
  "-timeout=60",
  "-rss_limit_mb=4096",
];

async function fuzz(setting: Setting, name: string, shortInputs: number): Promise<string> {
  const program = await buildFuzzer(setting, name);
  const seeds = emptied(join(folder, name, "seeds"));
  const kept = unpack(name, seeds);
  // What long runs found is gone on with; a short run is the same each time.
  const found = join(folder, name, "found");
  if (setting.short) emptied(found);
  mkdirSync(found, { recursive: true });
  const crash = join(folder, name, "broken-by-");
  const seconds = setting.short ? SHORT_SECONDS : setting.seconds;
  const text = await runLogged(
    setting.cleanup,
    `${name}/log`,
    [
      program,
      ...COMMON,
      ...(setting.short ? ["-seed=1", `-runs=${shortInputs}`] : []),
      `-max_total_time=${seconds}`,
      "-print_final_stats=1",
      `-artifact_prefix=${crash}`,
      found,
      seeds,
    ],
    { env: SANITIZER_ENV, timeoutMs: seconds * 1000 + GRACE_MS },
  );
  const runs = /number_of_executed_units:\s*(\d+)/.exec(text)?.[1] ?? "?";
  const coverage = [...text.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? "?";
  return `${Number(runs).toLocaleString("en")} inputs from ${kept} kept ones, ${coverage} places reached`;
}

export const fuzzing: Attack[] = fuzzers.map(([name, about, shortInputs]) => ({
  name,
  about,
  run: (setting) => fuzz(setting, name, shortInputs),
}));

/** Puts the smallest set of inputs that reaches all that was reached into the repository. */
export async function keepCorpora(setting: Setting, names: readonly string[]): Promise<void> {
  for (const [name] of fuzzers.filter(([each]) => names.includes(each))) {
    const program = await buildFuzzer(setting, name);
    const [seeds, merged] = [emptied(join(folder, name, "seeds")), emptied(join(folder, name, "merged"))];
    unpack(name, seeds);
    const from = [seeds, join(folder, name, "found")];
    await runLogged(setting.cleanup, `${name}/merge.log`, [program, ...COMMON, "-merge=1", merged, ...from], {
      env: SANITIZER_ENV,
      timeoutMs: MERGE_MS,
    });
    console.log(`${name}: ${keep(name, merged)} inputs kept`);
  }
}
