import { setup } from "./setup.mjs";
import { SetupError } from "./shell.mjs";

/**
 * Sets the machine up, then runs `main(args)` of a compiled program in this process, so that Ctrl-C reaches whichever
 * runs; its result is the exit code. `load` imports the program, which exists only after the set-up.
 * `options`: see setup().
 */
export async function setupThen(load, options = {}) {
  try {
    await setup(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
  const { main } = await load();
  process.exit(await main(process.argv.slice(2)));
}
