#!/usr/bin/env node
import { main } from "../dist/cli/main.js";

// A closed pipe (sluice-plugin inspect | head) is no error.
process.stdout.on("error", (error) => {
  if (error.code !== "EPIPE") throw error;
});

const code = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});

// The compiler's idle thread would keep the process for a while. Nothing written is lost: pipes, files and terminals are
// written at once on Linux.
process.exit(code);
