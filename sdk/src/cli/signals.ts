import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { CommandExit } from "./shell.js";

const SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Resolves with the first signal that asks this process to end. */
export async function untilInterrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const finish = (signal: NodeJS.Signals): void => {
      for (const each of SIGNALS) process.off(each, finish);
      resolve(signal);
    };
    for (const each of SIGNALS) process.on(each, finish);
  });
}

/**
 * Runs a program on this terminal and outlives it: a signal that asks this process to end is handed on (the terminal sends
 * Ctrl-C to both anyway), and the program's own end is waited for.
 * @returns its exit code; 128 and the signal's number when a signal ended it
 */
export async function runProgram(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env });
  const handOn = (signal: NodeJS.Signals): void => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  };
  for (const each of SIGNALS) process.on(each, handOn);
  try {
    return await exitOf(child);
  } finally {
    for (const each of SIGNALS) process.off(each, handOn);
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

/**
 * Does work that can be ended early. A signal that asks this process to end aborts it; once it has cleaned up, the command
 * ends with that signal's exit code.
 */
export async function withAbort<Value>(work: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
  const controller = new AbortController();
  let by: NodeJS.Signals | undefined;
  const abort = (signal: NodeJS.Signals): void => {
    by = signal;
    controller.abort();
  };
  for (const each of SIGNALS) process.on(each, abort);
  return work(controller.signal).finally(() => {
    for (const each of SIGNALS) process.off(each, abort);
    if (by !== undefined) throw new CommandExit(128 + constants.signals[by]);
  });
}
