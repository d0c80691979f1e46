import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type Problem, SluiceError } from "../errors.js";
import type { BuiltModule } from "./builder.js";

export interface CompileRequest {
  readonly source: string;
  /** The plugin's. */
  readonly name: string;
}

/** One of these. */
export interface CompileAnswer {
  readonly module?: BuiltModule;
  /** Of the source. */
  readonly problems?: readonly Problem[];
  /** An error of the compiler's own. */
  readonly failure?: string;
}

export interface CompileLimits {
  /** Milliseconds, the process's start included. */
  readonly timeMs: number;
  /** MiB of memory that it may have in use. */
  readonly memoryMb: number;
}

export const COMPILE_LIMITS: CompileLimits = { timeMs: 60_000, memoryMb: 1024 };

const LOOK_MS = 50;
/** The process ends when it has had nothing to do for so long. */
const IDLE_MS = 300_000;
const ADVICE = "take out what was added last until it compiles";
const PAGE_BYTES = 4096;
/** The compiled one: its thread's program is one too. */
const CHILD = fileURLToPath(new URL("../../dist/plugins/compile-child.js", import.meta.url));

/**
 * Compiles sources that nobody vouches for, in a process of its own that has no environment, a low priority, and ends with the limits.
 * One at a time: who asks meanwhile waits. The process is kept: a compiler that has compiled before is several times as fast.
 */
export class Compiler {
  private queue: Promise<unknown> = Promise.resolve();
  private child: ChildProcess | undefined;
  private idle: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly limits: CompileLimits = COMPILE_LIMITS) {}

  /**
   * @throws SluiceError with every mistake in the source, "compile-time" or "compile-memory" with the limit, or
   * "compile-crashed"
   */
  compile(request: CompileRequest): Promise<BuiltModule> {
    const result = this.queue.then(() => this.compileNow(request));
    this.queue = result.catch(() => undefined); // who asked handles it; the next one goes on
    return result;
  }

  /** Ends the process at once; what it has been asked for fails. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.stop();
  }

  private async compileNow(request: CompileRequest): Promise<BuiltModule> {
    if (this.isClosed) throw SluiceError.of("compile-crashed", `${request.name}.ts`, "the compiler is stopping");
    clearTimeout(this.idle);
    const child = this.child ?? start(this.limits);
    this.child = child;
    const refused = (code: string, message: string) => SluiceError.of(code, `${request.name}.ts`, message);
    let answer: CompileAnswer;
    try {
      hold(child, true);
      answer = await answerOf(child, request, this.limits, refused);
      if (answer.failure !== undefined) throw refused("compile-crashed", `the compiler failed: ${answer.failure}`);
    } catch (error) {
      // What a source has done to it, the next one must not meet.
      await this.stop();
      throw error;
    }
    hold(child, false);
    this.idle = setTimeout(() => void this.stop(), IDLE_MS).unref();
    if (answer.module !== undefined) return answer.module;
    throw new SluiceError(answer.problems ?? []);
  }

  private async stop(): Promise<void> {
    clearTimeout(this.idle);
    const child = this.child;
    this.child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    hold(child, true);
    child.kill("SIGKILL");
    await ended;
  }
}

function start({ memoryMb }: CompileLimits): ChildProcess {
  const child = fork(CHILD, [], {
    cwd: "/",
    env: {},
    execArgv: [`--max-old-space-size=${memoryMb}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}

/** Whether this process lives on for it. */
function hold(child: ChildProcess, isHeld: boolean): void {
  if (isHeld) child.ref();
  else child.unref();
  // Types of older versions lack what keeps a channel from holding the process.
  const channel = child.channel as { ref(): void; unref(): void } | null | undefined;
  if (isHeld) channel?.ref();
  else channel?.unref();
}

/** Whatever comes first: its answer, its end, a limit. */
function answerOf(
  child: ChildProcess,
  request: CompileRequest,
  { timeMs, memoryMb }: CompileLimits,
  refused: (code: string, message: string) => SluiceError,
): Promise<CompileAnswer> {
  return new Promise((resolve, reject) => {
    const finish = (done: () => void) => {
      clearTimeout(timer);
      clearInterval(look);
      child.off("message", onAnswer).off("error", onError).off("exit", onExit);
      done();
    };
    const stop = (code: string, message: string) => finish(() => reject(refused(code, message)));
    const onAnswer = (answer: unknown) => finish(() => resolve(answer as CompileAnswer));
    const onError = ({ message }: Error) => stop("compile-crashed", `the compiler can't be started: ${message}`);
    const onExit = (code: number | null, by: string | null) =>
      stop("compile-crashed", `the compiler ended with ${by ?? `code ${code}`}; ${ADVICE}`);
    const timer = setTimeout(() => stop("compile-time", `not compiled within ${timeMs / 1000} s; ${ADVICE}`), timeMs);
    const look = setInterval(async () => {
      if ((await memoryOf(child.pid)) <= memoryMb) return;
      stop("compile-memory", `the compiler needs more than ${memoryMb} MiB; ${ADVICE}`);
    }, LOOK_MS);
    child.on("message", onAnswer).on("error", onError).on("exit", onExit);
    child.send(request, (error) => {
      if (error !== null) onError(error);
    });
  });
}

/** In use, in MiB: the compiler's own memory is not in V8's heap, whose limit is not enough. */
async function memoryOf(pid: number | undefined): Promise<number> {
  const statm = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => ""); // it has just ended
  return (Number(statm.split(" ")[1] ?? 0) * PAGE_BYTES) / (1 << 20);
}
