import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { CommandError, collect, type Output } from "../support/process.js";

/** Says on descriptor 3 that it waits, and becomes the program once it is told to go on. */
const WAIT = 'echo >&3; read -r _ <&3; exec 3>&-; exec "$0" "$@"';

/** A program that waits to be let go: what it costs its starter to make a process is not in what it is timed for. */
export class Gated {
  private constructor(
    private readonly argv: readonly string[],
    private readonly child: ChildProcess,
    private readonly ended: Promise<Output>,
  ) {}

  /** Resolves once it waits. It is killed `timeoutMs` after its start. */
  static async start(
    argv: readonly string[],
    { input, env, timeoutMs = 30_000 }: { input: string; env: Record<string, string>; timeoutMs?: number },
  ): Promise<Gated> {
    const child = spawn("sh", ["-c", WAIT, ...argv], {
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const output = collect(child);
    const ended = once(child, "close").then(([code, signal]) => ({ status: code ?? signal, ...output }));
    child.stdin?.end(input);
    await Promise.race([once(gateOf(child), "data"), ended]);
    return new Gated(argv, child, ended);
  }

  /** Until it has ended. @throws CommandError when it ends with anything but 0 */
  async go(): Promise<void> {
    gateOf(this.child).end("\n");
    const output = await this.ended;
    if (output.status !== 0) throw new CommandError(this.argv, output);
  }
}

const gateOf = (child: ChildProcess): Duplex => child.stdio[3] as Duplex;
