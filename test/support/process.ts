import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface Output {
  /** Exit code, or the name of the signal that ended it. */
  status: number | NodeJS.Signals;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  timeoutMs?: number;
  input?: string;
  env?: Record<string, string>;
  cwd?: string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const STOP_GRACE_MS = 5_000;

/** A command that ended in another way than asked for; the message holds what it printed. */
export class CommandError extends Error {
  constructor(
    readonly argv: readonly string[],
    readonly output: Output,
  ) {
    const text = [output.stdout, output.stderr]
      .map((part) => part.trim())
      .filter(Boolean)
      .join("\n");
    super(`${argv.join(" ")} ended with ${output.status}${text ? `:\n${text}` : ""}`);
  }
}

/** Runs a command to its end, at most `timeoutMs`; after that it is killed and the status is SIGKILL. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
  const [command, ...args] = argv;
  if (command === undefined) throw new Error("no command given");
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const output = collect(child);
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") reject(error); // the command need not read all of its input
    });
    child.stdin.end(options.input ?? "");
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ status: code ?? signal ?? "SIGKILL", ...output }));
  });
}

/** Like run(), but throws a CommandError unless the command ends with 0. Returns its standard output. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const output = await run(argv, options);
  if (output.status !== 0) throw new CommandError(argv, output);
  return output.stdout;
}

/** What it prints, as it comes. */
export function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return output;
}

/** A program in the background, in a session of its own: Ctrl-C reaches it by way of the clean-up only. */
export class Background {
  readonly #child: ChildProcess;
  readonly #output: { stdout: string; stderr: string };
  readonly #argv: readonly string[];
  readonly ended: Promise<Output>;

  /** `logFile`: both outputs go there and are not collected, and the program may outlive this one. */
  constructor(argv: readonly string[], options: { env?: Record<string, string>; logFile?: string } = {}) {
    const [command, ...args] = argv;
    if (command === undefined) throw new Error("no command given");
    this.#argv = argv;
    const log = options.logFile === undefined ? undefined : openSync(options.logFile, "a");
    this.#child = spawn(command, args, {
      stdio: ["ignore", log ?? "pipe", log ?? "pipe"],
      env: { ...process.env, ...options.env },
      detached: true,
    });
    if (log !== undefined) closeSync(log);
    this.#output = collect(this.#child);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => resolve({ status: code ?? signal ?? "SIGKILL", ...this.#output }));
    });
    this.ended.catch(() => undefined); // also seen by whoever waits for the end
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#argv.join(" ")} did not start`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Sends `signal`, waits, and kills what has not ended after five seconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Output> {
    if (this.running) {
      this.#child.kill(signal);
      const kill = setTimeout(() => this.#child.kill("SIGKILL"), STOP_GRACE_MS);
      try {
        return await this.ended;
      } finally {
        clearTimeout(kill);
      }
    }
    return this.ended;
  }

  /** The end of the program by itself, at most `timeoutMs` away. */
  async finish(timeoutMs: number): Promise<Output> {
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(kill);
    }
  }
}

/** Calls `probe` until it returns something other than undefined. Throws with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(50);
  }
}
