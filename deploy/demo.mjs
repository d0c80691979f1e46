#!/usr/bin/env node
// npm run demo: the set-up, then the demo (test/demo). Both in this process, so that Ctrl-C reaches whichever runs.
import { setup } from "./setup/setup.mjs";
import { SetupError } from "./setup/shell.mjs";

try {
  await setup({ tests: false });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exit(1);
}
const { main } = await import("../test/dist/demo/main.js");
process.exit(await main(process.argv.slice(2)));
