import { parseArgs } from "node:util";
import { claim } from "../support/claim.js";
import { Cleanup, closeOnSignal } from "../support/cleanup.js";
import { machineDifferences, machineState } from "../support/machine.js";
import { Cluster } from "./cluster.js";
import { handOver, howToUse } from "./hand-over.js";
import { Sluice } from "./sluice.js";
import { takeDown } from "./take-down.js";

const PREFIX = "sluice-cluster";
const FOLDER = `/tmp/${PREFIX}`;
const MAX_NODES = 9; // as many as the address plan has
const USAGE = `usage: npm run cluster [-- --keep | --down | --nodes N | --cni NAME | --help]

Brings a Kubernetes cluster up on this machine, and takes it down at Ctrl-C.

  --nodes N   how many nodes: 2 if not said
  --cni NAME  "sluice", or "none": the nodes become Ready once you have given them a CNI
  --keep      end, and leave the cluster up
  --down      take down what --keep or a crash left
  --help      this text`;

interface Options {
  action: "up" | "down" | "help";
  nodes: number;
  cni: "sluice" | "none";
  keep: boolean;
}

class UsageError extends Error {}

/** Runs the command; returns the exit code. */
export async function main(args: string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n${USAGE}`);
    return 2;
  }
  if (options.action === "help") {
    console.log(USAGE);
    return 0;
  }
  const owner = claim(PREFIX, "cluster");
  if (owner !== undefined) {
    console.error(`A cluster is up already (process ${owner}): end that with Ctrl-C.`);
    return 1;
  }
  const tookDown = await takeDown(isOurs, FOLDER);
  if (options.action === "down") {
    console.log(tookDown ? "The cluster is down." : "There is no cluster to take down.");
    return 0;
  }
  if (tookDown) console.log("Took down what an earlier cluster had left.");
  return bringUp(options);
}

const isOurs = (name: string) => name.startsWith(`${PREFIX}-`);

function parse(args: string[]): Options {
  const { help, down, keep, cni, nodes } = parseOptions(args);
  const options = { action: help ? "help" : down ? "down" : "up", nodes: Number(nodes), cni, keep } as const;
  if (down && args.length > 1) throw new UsageError("--down takes no other option");
  if (!(options.nodes >= 1 && options.nodes <= MAX_NODES && Number.isInteger(options.nodes)))
    throw new UsageError(`--nodes ${nodes}: a number from 1 to ${MAX_NODES}`);
  if (cni !== "sluice" && cni !== "none") throw new UsageError(`--cni ${cni}: "sluice" or "none"`);
  return { ...options, cni };
}

function parseOptions(args: string[]) {
  const flag = { type: "boolean", default: false } as const;
  const options = {
    nodes: { type: "string", default: "2" },
    cni: { type: "string", default: "sluice" },
    keep: flag,
    down: flag,
    help: flag,
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function bringUp({ nodes, cni, keep }: Options): Promise<number> {
  const before = await machineState();
  const cleanup = new Cleanup();
  const unwatch = closeOnSignal(cleanup, async () => {
    await takeDown(isOurs, FOLDER);
    for (const line of machineDifferences(before, await machineState())) console.error(line);
  });
  const started = Date.now();
  try {
    const cluster = await Cluster.create(cleanup, { folder: FOLDER, nameOf: (name) => `${PREFIX}-${name}`, nodes });
    await handOver(cleanup, cluster);
    if (cni === "sluice") await (await Sluice.install(cluster)).startDns();
    else await cluster.startKubelets();
    console.log(`Up after ${((Date.now() - started) / 1000).toFixed(0)} s.\n\n${howToUse(cluster)}`);
  } catch (error) {
    if (cleanup.closing) return new Promise(() => undefined); // interrupted: the process ends when all is down
    console.error((error as Error).message);
    if (keep)
      console.error(`It is left up as it is. Logs: ${FOLDER}/*/*.log; npm run cluster -- --down takes it down.`);
    else await cleanup.close();
    return 1;
  }
  if (!keep) {
    console.log("\nCtrl-C takes it down.");
    return new Promise(() => undefined);
  }
  unwatch();
  console.log("\nnpm run cluster -- --down takes it down.");
  return 0;
}
