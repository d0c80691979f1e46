// Runs in a worker thread: see compile-service.ts.

import { parentPort } from "node:worker_threads";
import { type CompileInput, compile } from "./compile.js";
import type { CompileReply } from "./compile-service.js";
import { BuildError } from "./errors.js";

const port = parentPort;
if (!port) throw new Error("compile-worker.js is a worker thread's program");

port.on("message", async (input: CompileInput) => {
  const reply: CompileReply = await compile(input).then(
    (output) => ({ output }),
    (error: unknown) =>
      error instanceof BuildError
        ? { diagnostics: error.diagnostics }
        : { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) },
  );
  port.postMessage(reply);
});
