import { existsSync, readFileSync } from "node:fs";
import { Background, eventually, type Output } from "../support/process.js";

const LOG_TAIL_LINES = 30;

export interface DaemonPlan {
  /** Of the log file, and in errors. */
  name: string;
  /** A function where it may change from one start to the next. */
  argv: readonly string[] | (() => readonly string[]);
  env?: Record<string, string>;
  /** Whether it serves; asked until it does. */
  ready: () => Promise<boolean>;
  /** Milliseconds that it may take. */
  readyMs: number;
}

/** A program of the cluster that can be stopped, killed and started again. It ends with the namespace it runs in. */
export class Daemon {
  #program: Background | undefined;

  /** `within`: makes its command line one that runs where it belongs. */
  constructor(
    readonly plan: DaemonPlan,
    private readonly within: (argv: readonly string[]) => string[],
    private readonly folder: string,
  ) {}

  get name(): string {
    return this.plan.name;
  }

  get logFile(): string {
    return `${this.folder}/${this.name}.log`;
  }

  get running(): boolean {
    return this.#program?.running ?? false;
  }

  /** The end of what it has written. */
  logTail(lines = LOG_TAIL_LINES): string {
    if (!existsSync(this.logFile)) return "";
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Starts it without waiting until it serves. */
  launch(): void {
    const { env, argv } = this.plan;
    const options = { logFile: this.logFile, ...(env && { env }) };
    this.#program = new Background(this.within(typeof argv === "function" ? argv() : argv), options);
  }

  async ready(): Promise<void> {
    try {
      await eventually(`${this.name} serves`, this.plan.readyMs, async () => {
        if (!this.running) throw new Error(`${this.name} ended`);
        return (await this.plan.ready()) ? true : undefined;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}. Its last lines (${this.logFile}):\n${this.logTail()}`);
    }
  }

  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Ends it as an operator would (SIGTERM), or as a crash does (SIGKILL). */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Output> {
    if (this.#program === undefined) throw new Error(`${this.name} was not started`);
    const program = this.#program;
    if (program.running) process.kill(innermost(program.pid), signal);
    return program.finish(20_000);
  }

  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }
}

/** nsenter stays around a program in another PID namespace, and passes no signal on. */
function innermost(pid: number): number {
  if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() !== "nsenter") return pid;
  const [child] = children(pid);
  return child ?? pid;
}

export function children(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}
