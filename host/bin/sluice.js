#!/usr/bin/env node
import { main } from "../dist/cli/main.js";
import { processIo } from "../dist/cli/process-io.js";

const code = await main(process.argv.slice(2), processIo());

// The compiler's idle thread would keep the process for a while. Nothing written is lost: pipes, files and terminals are
// written at once on Linux.
process.exit(code);
