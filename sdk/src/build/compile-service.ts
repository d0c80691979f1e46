// The compiler runs in a thread of its own, one compilation at a time: when it crashes it ends the process that it is in,
// on some sources it takes very long, and all of it is synchronous.

import { basename } from "node:path";
import { Worker } from "node:worker_threads";
import type { CompileInput, CompileOutput } from "./compile.js";
import { BuildError, type Diagnostic } from "./errors.js";

export interface CompileReply {
  output?: CompileOutput;
  /** What a BuildError had. */
  diagnostics?: Diagnostic[];
  /** The compiler crashed; its state is not to be trusted any more. */
  crash?: string;
  /** An error of the build's own. */
  failure?: string;
}

/** Longest that one compilation may take by default, in milliseconds. */
const TIMEOUT = 120_000;
/** The thread goes when it has had nothing to do for so long, in milliseconds. */
const IDLE = 30_000;
/** Of Node's timers, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

let worker: Worker | undefined;
let idleTimer: NodeJS.Timeout | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** As `compile`, in the compiler's thread. Throws BuildError. */
export function compileInWorker(
  input: CompileInput,
  { timeoutMs = TIMEOUT, keepMs = IDLE }: { timeoutMs?: number; keepMs?: number } = {},
): Promise<CompileOutput> {
  const result = queue.then(() => compileNow(input, timeoutMs, keepMs));
  queue = result.catch(() => undefined); // whoever asked for it handles the error; the next one in line goes on
  return result;
}

async function compileNow(input: CompileInput, timeoutMs: number, keepMs: number): Promise<CompileOutput> {
  clearTimeout(idleTimer);
  worker ??= new Worker(new URL("./compile-worker.js", import.meta.url));
  const { output, diagnostics, crash, failure } = await ask(worker, input, timeoutMs);
  if (crash !== undefined) {
    stop();
    const message = `the compiler crashed: ${crash}`;
    const remedy = "Take out what was added last until it compiles, and report that part";
    throw new BuildError([{ severity: "error", code: "compiler", message, remedy, file: basename(input.entry) }]);
  }
  idleTimer = setTimeout(stop, Math.min(keepMs, LONGEST)).unref();
  worker?.unref();
  if (diagnostics) throw new BuildError(diagnostics);
  if (output) return output;
  throw new Error(failure ?? "the compiler's thread sent an empty reply");
}

function stop(): void {
  worker?.terminate();
  worker = undefined;
}

/** One request and its reply. */
function ask(thread: Worker, input: CompileInput, timeoutMs: number): Promise<CompileReply> {
  return new Promise((resolve) => {
    const finish = (reply: CompileReply) => {
      clearTimeout(timer);
      thread.off("message", finish).off("error", onError).off("exit", onExit);
      resolve(reply);
    };
    const onError = (error: Error) => finish({ crash: error.message });
    const onExit = () => finish({ crash: "its thread ended" });
    const timer = setTimeout(() => finish({ crash: `it did not end within ${timeoutMs / 1000} s` }), timeoutMs);
    thread.on("message", finish).on("error", onError).on("exit", onExit);
    thread.ref();
    thread.postMessage(input);
  });
}
