#!/usr/bin/env node
import { setup } from "./setup.mjs";
// Makes a machine ready for Sluice. Usage: node deploy/setup/main.mjs [--tests]; see setup() for what it does.
import { SetupError } from "./shell.mjs";

const USAGE = "usage: npm run setup [-- --tests]   (--tests: also what the tests need)";
const args = process.argv.slice(2);

if (args.includes("--help")) {
  console.log(USAGE);
} else if (args.some((arg) => arg !== "--tests")) {
  console.error(`unknown option ${args.find((arg) => arg !== "--tests")}\n${USAGE}`);
  process.exitCode = 2;
} else {
  try {
    await setup({ tests: args.includes("--tests") });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
