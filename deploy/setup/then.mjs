import { setup } from "./setup.mjs";
import { SetupError } from "./shell.mjs";

const HELP = ["--help", "-h"];

/**
 * Sets the machine up, then runs `main(args)` of a compiled program in this process, so that Ctrl-C reaches whichever
 * runs; its result is the exit code. `load` imports the program, which exists only after the set-up. A program that is
 * only asked for its help, and exists, is asked at once.
 * `options`: see setup().
 */
export async function setupThen(load, options = {}) {
  const args = process.argv.slice(2);
  const program = args.some((argument) => HELP.includes(argument)) ? await loadBuilt(load) : undefined;
  if (program === undefined) await setUpOrExit(options);
  const { main } = program ?? (await load());
  process.exit(await main(args));
}

async function setUpOrExit(options) {
  try {
    await setup(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

async function loadBuilt(load) {
  try {
    return await load();
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    return undefined;
  }
}
