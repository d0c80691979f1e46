#!/usr/bin/env node
// npm run bench: the set-up, then the benchmarks (test/bench).
import { setup } from "./setup/setup.mjs";
import { SetupError } from "./setup/shell.mjs";

try {
  await setup({ tests: false });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exit(1);
}
const { main } = await import("../test/dist/bench/main.js");
process.exit(await main(process.argv.slice(2)));
