import { join } from "node:path";
import { lastLogLine, runLogged, SetupError, stopCommands } from "./shell.mjs";
import { contentHash, isCurrent, writeStamp } from "./stamp.mjs";

const HEARTBEAT_MS = 20_000;

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(0)} s`;

/** Runs `work(log)`, says when it starts and ends, and between, now and then, the last line of its log. */
export async function withProgress(title, log, work) {
  const started = Date.now();
  console.log(`  ${title} …`);
  const heartbeat = setInterval(
    () => console.log(`  ${title}: ${seconds(started)}: ${lastLogLine(log, 90)}`),
    HEARTBEAT_MS,
  );
  try {
    await work(log);
  } catch (error) {
    throw new SetupError(`${title}: ${error.message}`, { cause: error });
  } finally {
    clearInterval(heartbeat);
  }
  console.log(`  ${title}: done in ${seconds(started)}`);
}

/**
 * A step: { name, title, needs: names of earlier steps, after: others that must be done first, inputs: paths, extra: text
 * hashed with them, outputs: paths, commands: () => [{command, args, cwd, env}], finish: a function run after the commands }.
 * It runs when the hash of its inputs and of the steps that it needs is not the one it was last built from, or an output is
 * missing. The first step that fails stops those in work; its SetupError is thrown. Returns how many steps ran.
 */
export async function runSteps(steps, buildFolder) {
  const outcomes = new Map();
  const counts = { built: 0 };
  for (const step of steps) {
    const results = (names = []) => Promise.all(names.map((name) => outcomes.get(name)));
    const ready = Promise.all([results(step.needs), results(step.after)]);
    outcomes.set(
      step.name,
      ready.then(([hashes]) => runStep(step, hashes, buildFolder, counts)),
    );
  }
  try {
    await Promise.all(outcomes.values());
  } catch (error) {
    stopCommands();
    await Promise.allSettled(outcomes.values());
    throw error;
  }
  return counts.built;
}

async function runStep(step, neededHashes, buildFolder, counts) {
  const hash = contentHash(step.inputs, [...neededHashes, step.extra ?? ""].join("\n"));
  const stamp = join(buildFolder, "stamps", step.name);
  if (isCurrent(stamp, hash, step.outputs)) return hash;

  await withProgress(step.title, join(buildFolder, "logs", `${step.name}.log`), async (log) => {
    await runLogged(log, step.commands());
    step.finish?.();
  });
  writeStamp(stamp, hash);
  counts.built++;
  return hash;
}
