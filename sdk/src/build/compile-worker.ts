// Runs in a worker thread: see compile-service.ts.

import { parentPort } from "node:worker_threads";
import { type CompileInput, compile } from "./compile.js";
import type { CompileReply } from "./compile-service.js";
import { BuildError } from "./errors.js";

const port = parentPort;
if (!port) throw new Error("compile-worker.js is a worker thread's program");

/** The compiler crashed. It tells the console about it and ends the process, which in this thread become an exception. */
class CompilerCrash extends Error {}

let report = "";
console.error = (...parts: unknown[]) => {
  report += `${parts.join(" ")}\n`;
};
process.exit = () => {
  throw new CompilerCrash(/^.*?(\w*(?:Error|Exception)\b.*)$/m.exec(report)?.[1] ?? "it gave no reason");
};

function replyTo(error: unknown): CompileReply {
  if (error instanceof BuildError) return { diagnostics: error.diagnostics };
  if (error instanceof CompilerCrash) return { crash: error.message };
  return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

port.on("message", async (input: CompileInput) => {
  report = "";
  port.postMessage(await compile(input).then((output): CompileReply => ({ output }), replyTo));
});
