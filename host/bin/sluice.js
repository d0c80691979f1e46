#!/usr/bin/env node
import { main } from "../dist/cli/main.js";

// A closed pipe (sluice status | head) is no error.
process.stdout.on("error", (error) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
