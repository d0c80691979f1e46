import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type Problem, SluiceError } from "../errors.js";
import { type BuiltModule, refusedText } from "./builder.js";

export interface CompileRequest {
  readonly source: string;
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
  /** Milliseconds of CPU time, the process's start included: that others need the CPU is not the source's fault. */
  readonly timeMs: number;
  /** MiB of memory that it may have in use. */
  readonly memoryMb: number;
}

export const COMPILE_LIMITS: CompileLimits = { timeMs: 60_000, memoryMb: 1024 };

const LOOK_MS = 50;
/** How many times as long a source may take that gets little CPU. */
const WALL_TIMES = 5;
/** The process ends when it has had nothing to do for so long, unless it is to be warm. */
const IDLE_MS = 300_000;
/** How many times a new compiler compiles a source of its own: its first ones take three times as long as later ones. */
const WARM_UPS = 3;
const WARM_UP: CompileRequest = {
  source: `
import { Batch, Counter, definePlugin, DropReason, Settings } from "@sluice/sdk";
definePlugin({ name: "warm-up", version: "1.0.0", headerBytes: 64 });
@config
class Config { port: u16 = 9; names: string[] = []; }
@unmanaged
class Port { number: u32; }
const port = new Settings<Port>("port");
const refused = new Counter("refused_packets", "Dropped");
@configure
export function build(config: Config): void {
  const made = port.make();
  if (made != null) made.number = config.port;
}
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isUdp || packet.destinationPort != port.value.number) packet.setDscp(8);
    else {
      refused.add();
      packet.drop(DropReason.Policy);
    }
  }
}
`,
};
const ADVICE = "take out what was added last until it compiles";
const PAGE_BYTES = 4096;
/** Of the kernel's clock ticks, 100 a second. */
const TICK_MS = 10;
/** The compiled one: its thread's program is one too. */
const CHILD = fileURLToPath(new URL("../../dist/plugins/compile-child.js", import.meta.url));

/**
 * Compiles sources that nobody vouches for, in a process of its own that has no environment and ends with the limits.
 * One at a time: who asks meanwhile waits. The process is kept, as a compiler that has compiled before is several times as fast; one that
 * did not make a module of a source is replaced, so that no source has to do with another one.
 */
export class Compiler {
  private queue: Promise<unknown> = Promise.resolve();
  /** Sources in work and waiting. */
  private asked = 0;
  private child: ChildProcess | undefined;
  private idle: NodeJS.Timeout | undefined;
  private isWarm = false;
  private isClosed = false;

  /** @param priority of the process, as setPriority() takes it */
  constructor(
    private readonly limits: CompileLimits = COMPILE_LIMITS,
    private readonly priority: number = constants.priority.PRIORITY_NORMAL,
  ) {}

  /**
   * Has a compiler ready from now on that has compiled before. Resolves once it is, or somebody asks for a module meanwhile.
   * @throws SluiceError as compile()
   */
  async warmUp(): Promise<void> {
    this.isWarm = true;
    for (let time = 0; time < WARM_UPS && this.asked === 0 && !this.isClosed; time++) {
      await this.inTurn(() => this.compileNow(WARM_UP));
    }
  }

  /**
   * @throws SluiceError, as compileText(), with every mistake in the source, "compile-time" or "compile-memory" with the limit, or
   * "compile-crashed"
   */
  async compile(request: CompileRequest): Promise<BuiltModule> {
    this.asked++;
    try {
      return await this.inTurn(() => this.compileNow(request));
    } finally {
      this.asked--;
      // What keeps it from starting is told to who asks next.
      if (this.isWarm && this.child === undefined && this.asked === 0) this.warmUp().catch(() => undefined);
    }
  }

  /** Ends the process at once; what it has been asked for fails. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.stop();
  }

  private inTurn(work: () => Promise<BuiltModule>): Promise<BuiltModule> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined); // who asked handles it; the next one goes on
    return result;
  }

  private async compileNow(request: CompileRequest): Promise<BuiltModule> {
    if (this.isClosed) throw refusedText("compile-crashed", "the compiler is stopping");
    clearTimeout(this.idle);
    const child = this.child ?? start(this.limits, this.priority);
    this.child = child;
    let module: BuiltModule | undefined;
    try {
      hold(child, true);
      const answer = await answerOf(child, request, this.limits);
      if (answer.failure !== undefined) throw refusedText("compile-crashed", `the compiler failed: ${answer.failure}`);
      module = answer.module;
      if (module === undefined) throw new SluiceError(answer.problems ?? []);
    } finally {
      // What a source has done to it, the next one must not meet.
      if (module === undefined || (await isLarge(child, this.limits))) await this.stop();
    }
    hold(child, false);
    if (!this.isWarm) this.idle = setTimeout(() => void this.stop(), IDLE_MS).unref();
    return module;
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

function start({ memoryMb }: CompileLimits, priority: number): ChildProcess {
  const child = fork(CHILD, [], {
    cwd: "/",
    env: {},
    // One that is kept would else let its heap become three times as large as what lives in it.
    execArgv: [`--max-old-space-size=${memoryMb}`, "--heap-growing-percent=40"],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  if (child.pid !== undefined) setPriority(child.pid, priority);
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
): Promise<CompileAnswer> {
  return new Promise((resolve, reject) => {
    const finish = (done: () => void) => {
      clearTimeout(timer);
      clearInterval(look);
      child.off("message", onAnswer).off("error", onError).off("exit", onExit);
      done();
    };
    const stop = (code: string, message: string) => finish(() => reject(refusedText(code, message)));
    const onAnswer = (answer: unknown) => finish(() => resolve(answer as CompileAnswer));
    const onError = ({ message }: Error) => stop("compile-crashed", `the compiler can't be started: ${message}`);
    const onExit = (code: number | null, by: string | null) =>
      stop("compile-crashed", `the compiler ended with ${by ?? `code ${code}`}; ${ADVICE}`);
    const late = () => stop("compile-time", `not compiled within ${timeMs / 1000} s of CPU time; ${ADVICE}`);
    const timer = setTimeout(late, timeMs * WALL_TIMES);
    let before: number | undefined;
    const look = setInterval(async () => {
      const [used, memory] = await Promise.all([cpuTimeOf(child.pid), memoryOf(child.pid)]);
      before ??= used;
      if (used - before > timeMs) late();
      else if (memory > memoryMb) stop("compile-memory", `the compiler needs more than ${memoryMb} MiB; ${ADVICE}`);
    }, LOOK_MS);
    child.on("message", onAnswer).on("error", onError).on("exit", onExit);
    child.send(request, (error) => {
      if (error !== null) onError(error);
    });
  });
}

/** Used until now, in milliseconds, by all its threads. */
async function cpuTimeOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""); // it has just ended
  const [, , , , , , , , , , , user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  return (user + system) * TICK_MS;
}

/** A compiler's memory does not become less: what one source has needed, the next one would lack. */
async function isLarge({ pid }: ChildProcess, { memoryMb }: CompileLimits): Promise<boolean> {
  return (await memoryOf(pid)) > memoryMb * 0.75;
}

/** In use, in MiB: the compiler's own memory is not in V8's heap, whose limit is not enough. */
async function memoryOf(pid: number | undefined): Promise<number> {
  const statm = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => ""); // it has just ended
  return (Number(statm.split(" ")[1] ?? 0) * PAGE_BYTES) / (1 << 20);
}
