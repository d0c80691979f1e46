#!/usr/bin/env node
import { setup } from "./setup.mjs";
// Makes a machine ready for Sluice. Usage: node deploy/setup/main.mjs [--tests] [--image] [--cluster]; see setup() for what it does.
import { SetupError } from "./shell.mjs";

const USAGE = `usage: npm run setup [-- --tests] [--image] [--cluster]

  --tests     also what the tests need
  --image     also the container image: build/image/sluice.tar
  --cluster   also what a Kubernetes cluster on this machine needs`;
const OPTIONS = ["--tests", "--image", "--cluster"];
const args = process.argv.slice(2);

if (args.includes("--help")) {
  console.log(USAGE);
} else if (args.some((arg) => !OPTIONS.includes(arg))) {
  console.error(`unknown option ${args.find((arg) => !OPTIONS.includes(arg))}\n${USAGE}`);
  process.exitCode = 2;
} else {
  try {
    await setup({
      tests: args.includes("--tests"),
      image: args.includes("--image"),
      cluster: args.includes("--cluster"),
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
