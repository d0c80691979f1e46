import { spawn, spawnSync } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from "node:fs";
import { dirname } from "node:path";

const LOG_TAIL_LINES = 25;

/** One clear sentence for the person at the terminal; no stack trace is printed for it. */
export class SetupError extends Error {}

/** Standard output of a short command, or undefined when it is not there or fails. */
export function tryOutput(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], ...options });
  return result.status === 0 ? result.stdout : undefined;
}

/** Last non-empty line of a log, at most `width` characters, for the progress line. */
export function lastLogLine(path, width) {
  const descriptor = openSync(path, "r");
  try {
    const size = fstatSync(descriptor).size;
    const buffer = Buffer.alloc(Math.min(size, 2048));
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    const line =
      buffer
        .toString("utf8")
        .split(/[\r\n]/)
        .map((text) => text.trim())
        .filter(Boolean)
        .pop() ?? "";
    return line.slice(0, width);
  } finally {
    closeSync(descriptor);
  }
}

const running = new Set();

/** Stops the commands in work; called when the set-up is interrupted. */
export function stopCommands() {
  for (const child of running) child.kill("SIGTERM");
}

/** Runs commands one after the other with their output in one log file. Throws a SetupError that holds the log's end. */
export async function runLogged(log, commands) {
  mkdirSync(dirname(log), { recursive: true });
  const descriptor = openSync(log, "w");
  try {
    for (const { command, args, cwd, env } of commands) {
      const status = await new Promise((resolve, reject) => {
        const child = spawn(command, args, {
          cwd,
          env: { ...process.env, ...env },
          stdio: ["ignore", descriptor, descriptor],
        });
        running.add(child);
        child.once("error", (error) => reject(new SetupError(`cannot run ${command}: ${error.message}`)));
        child.once("close", (code, signal) => {
          running.delete(child);
          resolve(code ?? signal);
        });
      });
      if (status !== 0) {
        const tail = readFileSync(log, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
        throw new SetupError(
          `${[command, ...args].join(" ")} failed (${status}). Its last lines:\n${tail}\nWhole log: ${log}`,
        );
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
