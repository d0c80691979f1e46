import { readdirSync, rmSync } from "node:fs";
import { claim } from "../support/claim.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { type MachineState, machineDifferences, machineState } from "../support/machine.js";
import { namespaces, removeNamespace } from "../support/namespace.js";
import { type Seen, type StepResult, summary } from "./report.js";
import { demoSteps, howToLook } from "./steps.js";
import { DEMO_FOLDER, DEMO_PREFIX, DemoWorld } from "./world.js";

const USAGE = `usage: npm run demo [-- --keep | --down | --help]

  --keep   leave nodes and pods up at the end, and say how to look at them
  --down   take down what --keep left
  --help   this text`;

/** Runs the demo; returns the exit code. The machine is left as it was found unless --keep is given. */
export async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !["--keep", "--down", "--help"].includes(arg));
  if (unknown !== undefined || args.length > 1) {
    console.error(`${unknown === undefined ? "one option at a time" : `unknown option ${unknown}`}\n${USAGE}`);
    return 2;
  }
  if (args[0] === "--help") {
    console.log(USAGE);
    return 0;
  }
  if (args[0] === "--down") {
    console.log((await takeDown()) ? "The demo is down." : "There is no demo to take down.");
    return 0;
  }
  const owner = claim(DEMO_PREFIX, "demo");
  if (owner !== undefined) {
    console.error(`A demo is running already (process ${owner}).`);
    return 1;
  }
  return demo(args[0] === "--keep");
}

async function demo(keep: boolean): Promise<number> {
  if (await takeDown()) console.log("Took down what an earlier demo had left.");
  const before = await machineState();
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, takeDown);
  const started = Date.now();
  const results: StepResult[] = [];
  const world = new DemoWorld(cleanup);
  await runSteps(world, results);
  if (cleanup.closing) return new Promise(() => undefined); // interrupted: the process ends when all is down
  if (!keep) results.push(await takenDown(cleanup, before));
  unwatch();
  console.log(`\n${summary(results, (Date.now() - started) / 1000)}`);
  if (keep && world.isUp) console.log(`\n${howToLook(world)}`);
  return results.every((result) => result.passed) ? 0 : 1;
}

/** Without the first step there is nothing that the others could run on. */
async function runSteps(world: DemoWorld, results: StepResult[]): Promise<void> {
  const steps = demoSteps(world);
  for (const [index, { title, run }] of steps.entries()) {
    process.stdout.write(`[${String(index + 1).padStart(2)}/${steps.length + 1}] ${title} ... `);
    const result = await timed(title, run);
    if (world.cleanup.closing) return;
    results.push(result);
    console.log(`${result.passed ? "ok" : "FAILED"} (${result.seconds.toFixed(1)} s)`);
    for (const line of [result.seen.headline, ...result.seen.details]) console.log(`        ${line}`);
    if (!result.passed && index === 0) return;
  }
}

function takenDown(cleanup: Cleanup, before: MachineState): Promise<StepResult> {
  return timed("Machine as it was found", async () => {
    await cleanup.close();
    const differences = machineDifferences(before, await machineState());
    if (differences.length > 0) throw new Error(differences.join("\n"));
    return { headline: "namespaces, links, addresses, routes, hugepages, mounts, files: unchanged", details: [] };
  });
}

async function timed(title: string, work: () => Promise<Seen>): Promise<StepResult> {
  const started = Date.now();
  const seconds = () => (Date.now() - started) / 1000;
  try {
    const seen = await work();
    return { title, passed: true, seen, seconds: seconds() };
  } catch (error) {
    const [headline = "", ...details] = (error instanceof Error ? error.message : String(error)).split("\n");
    return { title, passed: false, seen: { headline, details }, seconds: seconds() };
  }
}

/** Removes every namespace of the demo's, with the programs in it, its folder and its flow records. Returns whether there was any. */
async function takeDown(): Promise<boolean> {
  const found = namespaces().filter((name) => name.startsWith(`${DEMO_PREFIX}-`));
  for (const name of found) await removeNamespace(name);
  rmSync(DEMO_FOLDER, { recursive: true, force: true });
  for (const name of readdirSync("/dev/shm").filter((each) => each.startsWith(`${DEMO_PREFIX}-`)))
    rmSync(`/dev/shm/${name}`);
  return found.length > 0;
}
